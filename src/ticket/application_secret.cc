#include "countersign/application_secret.h"

#include <utility>

#include <openssl/crypto.h>

#include "ticket/base64.h"
#include "ticket/mac_key.h"

namespace countersign {
namespace {

tl::unexpected<Error> wrong_size() {
  return fail(ErrorCode::kBadSecret, "a secret has 16 to 1024 bytes");
}

}  // namespace

Result<ApplicationSecret> ApplicationSecret::from_base64(std::string_view text) {
  if (text.size() > base64::encoded_size(base64::Variant::kStandard, kMaxBytes)) {
    return wrong_size();
  }
  ApplicationSecret secret{std::vector<std::byte>(base64::max_decoded_size(text.size()))};
  const std::optional<std::size_t> size =
      base64::decode(base64::Variant::kStandard, text, secret.bytes_.data());
  if (!size) return fail(ErrorCode::kBadSecret, "the secret is not canonical base64");
  if (*size < kMinBytes || *size > kMaxBytes) return wrong_size();
  return from_bytes(std::span{secret.bytes_}.first(*size));
}

Result<ApplicationSecret> ApplicationSecret::from_bytes(std::span<const std::byte> bytes) {
  if (bytes.size() < kMinBytes || bytes.size() > kMaxBytes) return wrong_size();
  return ApplicationSecret{std::vector<std::byte>(bytes.begin(), bytes.end())};
}

ApplicationSecret::ApplicationSecret(std::vector<std::byte> bytes) noexcept
    : bytes_(std::move(bytes)) {}

ApplicationSecret::ApplicationSecret(ApplicationSecret&& other) noexcept
    : bytes_(std::move(other.bytes_)) {
  other.bytes_.clear();
}

ApplicationSecret& ApplicationSecret::operator=(ApplicationSecret&& other) noexcept {
  if (this != &other) {
    wipe();
    bytes_ = std::move(other.bytes_);
    other.bytes_.clear();
  }
  return *this;
}

ApplicationSecret::~ApplicationSecret() { wipe(); }

ApplicationSecret ApplicationSecret::clone() const { return ApplicationSecret{bytes_}; }

std::string ApplicationSecret::fingerprint() const {
  static constexpr char kHex[] = "0123456789abcdef";
  const Mac mac = MacKey(bytes_).sign("countersign/secret-fingerprint/1");
  std::string text;
  for (std::size_t i = 0; i < 8; ++i) {
    const auto byte = std::to_integer<unsigned>(mac[i]);
    text += kHex[byte >> 4];
    text += kHex[byte & 15U];
  }
  return text;
}

void ApplicationSecret::wipe() noexcept {
  if (!bytes_.empty()) OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

}  // namespace countersign

#include "countersign/turn_credential.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "ticket/base64.h"
#include "ticket/digest.h"
#include "ticket/mac_key.h"
#include "ticket/timestamp.h"

namespace countersign {
namespace {

constexpr std::size_t kMaxExpiryDigits = 18;

std::string password_for(const TurnSecret& secret, std::string_view username) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac;
  unsigned int size = 0;
  const std::string_view key = secret.reveal();
  if (HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(username.data()), username.size(), mac.data(),
           &size) == nullptr) {
    std::abort();  // only without memory or SHA-1
  }
  return base64::encode(base64::Variant::kStandard,
                        {reinterpret_cast<const char*>(mac.data()), size});
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool is_user_part(std::string_view user) noexcept {
  return user.size() <= kMaxTurnUserBytes && std::none_of(user.begin(), user.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == '\x7f';
         });
}

bool is_separator(std::string_view separator) noexcept {
  return !separator.empty() && std::none_of(separator.begin(), separator.end(), is_digit);
}

}  // namespace

Result<TurnSecret> TurnSecret::from_text(std::string_view text) {
  constexpr std::size_t kMaxBytes = 4096;
  if (text.empty() || text.size() > kMaxBytes) {
    return fail(ErrorCode::kBadSecret, "a TURN secret has 1 to 4096 bytes");
  }
  return TurnSecret(text);
}

TurnSecret::TurnSecret(std::string_view text) : text_(text.begin(), text.end()) {}

TurnSecret::TurnSecret(TurnSecret&& other) noexcept { text_.swap(other.text_); }

TurnSecret& TurnSecret::operator=(TurnSecret&& other) noexcept {
  text_.swap(other.text_);  // the other one wipes what was here
  return *this;
}

TurnSecret::~TurnSecret() {
  if (!text_.empty()) OPENSSL_cleanse(text_.data(), text_.size());
}

Result<TurnCredential> mint_turn_credential(const TurnSecret& secret, std::string_view user,
                                            std::chrono::sys_seconds expires_at,
                                            std::string_view separator) {
  if (!is_separator(separator)) return fail(ErrorCode::kBadUsername, "unusable separator");
  if (!is_user_part(user)) return fail(ErrorCode::kBadUsername, "unusable user part");
  if (expires_at.time_since_epoch().count() < 0) {
    return fail(ErrorCode::kBadUsername, "the expiry is before 1970");
  }
  TurnCredential credential;
  credential.username = std::to_string(expires_at.time_since_epoch().count());
  if (!user.empty()) credential.username.append(separator).append(user);
  credential.password = password_for(secret, credential.username);
  return credential;
}

Result<VerifiedTurnUser> verify_turn_credential(std::span<const TurnSecret> secrets,
                                                const TurnCredential& credential, Instant now,
                                                std::string_view separator) {
  if (!is_separator(separator)) return fail(ErrorCode::kBadUsername, "unusable separator");
  const std::string_view username = credential.username;
  const std::size_t split = username.find(separator);
  const std::string_view expiry = username.substr(0, split);
  const std::string_view user = split == std::string_view::npos
                                    ? std::string_view{}
                                    : username.substr(split + separator.size());
  if (expiry.empty() || expiry.size() > kMaxExpiryDigits ||
      !std::all_of(expiry.begin(), expiry.end(), is_digit) || !is_user_part(user)) {
    return fail(ErrorCode::kBadUsername);
  }
  // The password is compared as text: its padding is part of it. All secrets are tried, so that the
  // time does not tell which one matched.
  bool matches = false;
  for (const TurnSecret& secret : secrets) {
    const std::string expected = password_for(secret, username);
    matches |= equal_macs(as_bytes_of(expected), as_bytes_of(credential.password));
  }
  if (!matches) return fail(ErrorCode::kBadPassword);
  std::int64_t seconds = 0;
  std::from_chars(expiry.data(), expiry.data() + expiry.size(), seconds);
  if (Timestamp::from(now).seconds > seconds) return fail(ErrorCode::kExpired);
  return VerifiedTurnUser{std::string(user),
                          std::chrono::sys_seconds{std::chrono::seconds{seconds}}};
}

std::array<std::byte, 16> turn_long_term_key(const TurnCredential& credential,
                                             std::string_view realm) {
  std::string text = credential.username;
  text.append(":").append(realm).append(":").append(credential.password);
  const std::array<std::byte, 16> key = digest<16>("MD5", text);
  OPENSSL_cleanse(text.data(), text.size());
  return key;
}

}  // namespace countersign

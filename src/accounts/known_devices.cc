#include "accounts/known_devices.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/encoding.h"

namespace countersign::accounts {
namespace {

constexpr std::size_t kRandomBytes = 24;
constexpr std::size_t kTagBytes = 8;
constexpr std::size_t kTokenLength = 43;  // 32 bytes in base64url

std::string hash_of(std::string_view token) { return base::to_string(base::sha256(token)); }

}  // namespace

KnownDevices::KnownDevices(storage::KnownDeviceStore& store, const base::Clock& clock,
                           base::Random& random, base::SecretBytes key, KnownDeviceOptions options)
    : store_(store), clock_(clock), random_(random), key_(std::move(key)), options_(options) {}

bool KnownDevices::claims(std::string_view cookie) const { return !tokens(cookie).empty(); }

Result<std::optional<std::string>> KnownDevices::reserve(std::string_view cookie,
                                                         const base::AccountId& account) {
  for (const std::string_view token : tokens(cookie)) {
    std::string hash = hash_of(token);
    const Result<bool> good = store_.reserve_try(hash, account, options_.tries);
    if (!good) return good.failure();
    if (*good) return std::optional<std::string>(std::move(hash));
  }
  return std::optional<std::string>();
}

Result<void> KnownDevices::give_back(std::string_view token_hash) {
  return store_.give_back_try(token_hash);
}

Result<void> KnownDevices::clear(std::string_view token_hash) {
  return store_.clear_failures(token_hash);
}

Result<std::string> KnownDevices::issue(std::string_view cookie, const base::AccountId& account) {
  std::array<std::uint8_t, kRandomBytes + kTagBytes> raw{};
  const auto random = std::span(raw).first(kRandomBytes);
  random_.fill(random);
  const base::Sha256 tag = base::hmac_sha256(
      key_.bytes(), std::string_view(reinterpret_cast<const char*>(raw.data()), kRandomBytes));
  std::copy_n(tag.begin(), kTagBytes, raw.begin() + kRandomBytes);
  std::string value = base::base64url_encode(raw);

  const Result<void> created = store_.create_device({hash_of(value), account, 0, clock_.now()},
                                                    options_.devices_per_account);
  if (!created) return created.failure();
  std::size_t held = 1;
  for (const std::string_view token : tokens(cookie)) {
    if (held++ == kTokensPerCookie) break;
    value.append(".").append(token);
  }
  return value;
}

std::vector<std::string_view> KnownDevices::tokens(std::string_view cookie) const {
  std::vector<std::string_view> found;
  for (std::size_t i = 0; i < kTokensPerCookie && !cookie.empty(); ++i) {
    const std::size_t end = std::min(cookie.find('.'), cookie.size());
    const std::string_view token = cookie.substr(0, end);
    cookie.remove_prefix(std::min(end + 1, cookie.size()));
    if (is_ours(token) && std::find(found.begin(), found.end(), token) == found.end()) {
      found.push_back(token);
    }
  }
  return found;
}

bool KnownDevices::is_ours(std::string_view token) const {
  if (token.size() != kTokenLength) return false;
  const auto raw = base::base64url_decode(token);
  if (!raw || raw->size() != kRandomBytes + kTagBytes) return false;
  const std::string_view bytes(reinterpret_cast<const char*>(raw->data()), raw->size());
  const std::string tag =
      base::to_string(base::hmac_sha256(key_.bytes(), bytes.substr(0, kRandomBytes)));
  return base::equal_constant_time(bytes.substr(kRandomBytes),
                                   std::string_view(tag).substr(0, kTagBytes));
}

}  // namespace countersign::accounts

#include "accounts/keys.h"

#include <sodium.h>

#include "base/encoding.h"

namespace countersign::accounts {
namespace {

base::SecretBytes derive_one(std::span<const std::uint8_t> master_key, std::string_view label) {
  base::Sha256 derived = base::hmac_sha256(master_key, label);
  base::SecretBytes key{std::span<const std::uint8_t>(derived)};
  sodium_memzero(derived.data(), derived.size());
  return key;
}

}  // namespace

AccountKeys AccountKeys::derive(std::string_view master_key_id,
                                std::span<const std::uint8_t> master_key) {
  AccountKeys keys;
  keys.password_keys.push_back(
      {std::string(master_key_id), derive_one(master_key, "accounts/password-seal/1")});
  keys.throttle_key = derive_one(master_key, "accounts/throttle-name/1");
  keys.device_key = derive_one(master_key, "accounts/known-device/1");
  return keys;
}

}  // namespace countersign::accounts

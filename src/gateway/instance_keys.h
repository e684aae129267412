// Instance keys: the secret that lets a client come back as the instance it was. It is derived from
// the master key whenever it is needed and stored nowhere; the store keeps the inputs.
// Thread-safety: const functions may run concurrently.
// Source: docs/reference/protocol.md, "Instances"; RFC 2104 (HMAC).
#ifndef COUNTERSIGN_GATEWAY_INSTANCE_KEYS_H_
#define COUNTERSIGN_GATEWAY_INSTANCE_KEYS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "countersign/identity.h"

#include "base/encoding.h"
#include "base/secret_bytes.h"

namespace countersign::gateway {

class InstanceKeys {
 public:
  /// New instances use this master key.
  /// @param key_id      names the master key in the rows of instances.
  /// @param master_key  at least 16 bytes; only a key derived from it is kept.
  InstanceKeys(std::string key_id, std::span<const std::uint8_t> master_key);

  /// Lets instances that were made under an earlier master key come back.
  void add_earlier(std::string key_id, std::span<const std::uint8_t> master_key);

  /// The id of the key that new instances use.
  const std::string& current_key_id() const { return current_; }

  /// The secret as base64, 44 characters; nullopt if `key_id` is not known.
  /// HMAC-SHA256(K, "instance-secret/1" ‖ application ‖ instance id ‖ generation), every part
  /// preceded by its length, so that no two instances share an input.
  std::optional<std::string> secret(std::string_view key_id, std::string_view application_key,
                                    std::string_view instance, std::uint32_t generation) const;

  /// The id of a device's instance: 16 bytes, base64url. One device of one user is one instance, so
  /// that a page which reloads with a new ticket resumes what it was and leaves nothing behind.
  /// Derived with the current key, so that nobody can predict it.
  std::string instance_for(std::string_view application_key, const Identity& identity,
                           std::string_view device) const;

 private:
  std::string current_;
  std::map<std::string, base::SecretBytes, std::less<>> keys_;
};

/// A name for a master key that tells nothing about it: 16 hexadecimal digits.
std::string master_key_id(std::span<const std::uint8_t> master_key);

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_INSTANCE_KEYS_H_

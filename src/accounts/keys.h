// The keys of this room, each derived from the server's master key for one purpose.
// Thread-safety: value types; reading is thread-safe.
// Source: RFC 5869 is not needed: the master key is uniform, so one HMAC a label suffices.
#ifndef COUNTERSIGN_ACCOUNTS_KEYS_H_
#define COUNTERSIGN_ACCOUNTS_KEYS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret_bytes.h"

namespace countersign::accounts {

/// A key that seals password hashes; its id is written beside each of them.
struct SealingKey {
  std::string id;  ///< 1-32 of `A-Za-z0-9_-`
  base::SecretBytes key;
};

struct AccountKeys {
  /// The first seals; the others only open what they sealed earlier.
  std::vector<SealingKey> password_keys;
  base::SecretBytes throttle_key;  ///< hides the typed names that throttles count
  base::SecretBytes device_key;    ///< marks known-device tokens as ours

  /// The keys of one master key.
  /// @param master_key_id  names the master key wherever something was sealed with it.
  /// @param master_key     32 bytes.
  static AccountKeys derive(std::string_view master_key_id,
                            std::span<const std::uint8_t> master_key);
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_KEYS_H_

// Classic keys: everything secret or unguessable that the classic door hands out. All of it is
// derived from the master key, so that every node knows it without asking and nothing is stored.
//
// A publish or subscribe key names its instance and proves that we made it:
// `pub-c-{instance id}-{MAC}`. It is a bearer credential that lives as long as the instance does.
// Thread-safety: const functions may run concurrently.
// Source: docs/reference/classic-door.md, "Keys"; RFC 2104 (HMAC).
#ifndef COUNTERSIGN_GATEWAY_CLASSIC_CLASSIC_KEYS_H_
#define COUNTERSIGN_GATEWAY_CLASSIC_CLASSIC_KEYS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "countersign/identity.h"

#include "base/ids.h"
#include "base/secret_bytes.h"
#include "storage/message_records.h"

namespace countersign::gateway::classic {

class ClassicKeys {
 public:
  /// @param master_key  at least 16 bytes; only a key derived from it is kept.
  explicit ClassicKeys(std::span<const std::uint8_t> master_key);

  std::string publish_key(const base::InstanceId& instance) const;
  std::string subscribe_key(const base::InstanceId& instance) const;
  /// Whose key it is; nothing if we did not make it.
  std::optional<base::InstanceId> publisher(std::string_view publish_key) const;
  std::optional<base::InstanceId> subscriber(std::string_view subscribe_key) const;

  /// The channel that all of a user's instances share.
  std::string transport_channel(const storage::UserKey& user) const;
  std::string broadcast_channel(const base::InstanceId& instance) const;
  std::string signal_channel(const base::InstanceId& instance) const;
  /// Whether it looks like one of these, whoever has it.
  static bool is_channel(std::string_view name);

  /// 32 raw bytes.
  std::string instance_key(const base::InstanceId& instance) const;
  /// 32 raw bytes, the same for every node and for ever.
  std::string transport_key(std::string_view application, std::string_view transport) const;

 private:
  std::string derive(std::string_view label, std::initializer_list<std::string_view> parts) const;
  std::string bearer(std::string_view prefix, const base::InstanceId& instance) const;
  std::optional<base::InstanceId> owner(std::string_view prefix, std::string_view key) const;

  base::SecretBytes key_;
};

}  // namespace countersign::gateway::classic

#endif  // COUNTERSIGN_GATEWAY_CLASSIC_CLASSIC_KEYS_H_

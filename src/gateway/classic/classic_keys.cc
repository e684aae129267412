#include "gateway/classic/classic_keys.h"

#include <cassert>

#include "base/encoding.h"

namespace countersign::gateway::classic {
namespace {

constexpr std::string_view kPublish = "pub-c-";
constexpr std::string_view kSubscribe = "sub-c-";
constexpr std::size_t kMacBytes = 16;
constexpr std::size_t kChannelBytes = 16;

void append_part(std::string& out, std::string_view part) {
  out.append(std::to_string(part.size())).append(":").append(part);
}

std::string hex(std::string_view raw, std::size_t size) {
  return base::hex_encode(base::as_bytes(raw.substr(0, size)));
}

}  // namespace

ClassicKeys::ClassicKeys(std::span<const std::uint8_t> master_key) {
  assert(master_key.size() >= 16);
  auto key = base::hmac_sha256(master_key, "countersign classic door/1");
  key_ = base::SecretBytes(std::span<const std::uint8_t>{key});
  key.fill(0);
}

// Parts with their lengths in front: no two things share an input.
std::string ClassicKeys::derive(std::string_view label,
                                std::initializer_list<std::string_view> parts) const {
  std::string text;
  append_part(text, label);
  for (const std::string_view part : parts) append_part(text, part);
  return base::to_string(base::hmac_sha256(key_.bytes(), text));
}

std::string ClassicKeys::bearer(std::string_view prefix, const base::InstanceId& instance) const {
  std::string key(prefix);
  key.append(instance.text()).append("-");
  return key + hex(derive(prefix, {instance.text()}), kMacBytes);
}

std::optional<base::InstanceId> ClassicKeys::owner(std::string_view prefix,
                                                   std::string_view key) const {
  constexpr std::size_t kTail = 1 + 2 * kMacBytes;
  if (key.size() <= prefix.size() + kTail || !key.starts_with(prefix)) return std::nullopt;
  const std::size_t length = key.size() - prefix.size() - kTail;
  base::InstanceId instance(std::string(key.substr(prefix.size(), length)));
  if (!base::equal_constant_time(key, bearer(prefix, instance))) return std::nullopt;
  return instance;
}

std::string ClassicKeys::publish_key(const base::InstanceId& instance) const {
  return bearer(kPublish, instance);
}
std::string ClassicKeys::subscribe_key(const base::InstanceId& instance) const {
  return bearer(kSubscribe, instance);
}
std::optional<base::InstanceId> ClassicKeys::publisher(std::string_view publish_key) const {
  return owner(kPublish, publish_key);
}
std::optional<base::InstanceId> ClassicKeys::subscriber(std::string_view subscribe_key) const {
  return owner(kSubscribe, subscribe_key);
}

std::string ClassicKeys::transport_channel(const storage::UserKey& user) const {
  const std::string raw =
      derive("transport-channel",
             {user.application, identity_type_name(user.identity.type), user.identity.endpoint});
  return "t-" + hex(raw, kChannelBytes);
}
std::string ClassicKeys::broadcast_channel(const base::InstanceId& instance) const {
  return "b-" + hex(derive("broadcast-channel", {instance.text()}), kChannelBytes);
}
std::string ClassicKeys::signal_channel(const base::InstanceId& instance) const {
  return "s-" + hex(derive("signal-channel", {instance.text()}), kChannelBytes);
}

bool ClassicKeys::is_channel(std::string_view name) {
  return name.size() == 2 + 2 * kChannelBytes &&
         (name.starts_with("t-") || name.starts_with("b-") || name.starts_with("s-"));
}

std::string ClassicKeys::instance_key(const base::InstanceId& instance) const {
  return derive("instance-key", {instance.text()});
}
std::string ClassicKeys::transport_key(std::string_view application,
                                       std::string_view transport) const {
  return derive("transport-key", {application, transport});
}

}  // namespace countersign::gateway::classic

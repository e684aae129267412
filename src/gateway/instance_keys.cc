#include "gateway/instance_keys.h"

#include <cassert>
#include <initializer_list>
#include <utility>

namespace countersign::gateway {
namespace {

// Parts with their lengths in front (4 bytes, big-endian): two lists of parts never give one text.
std::string joined(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view part : parts) {
    const auto size = static_cast<std::uint32_t>(part.size());
    for (int shift = 24; shift >= 0; shift -= 8) {
      out.push_back(static_cast<char>((size >> shift) & 0xFF));
    }
    out.append(part);
  }
  return out;
}

base::SecretBytes derive(std::span<const std::uint8_t> master_key) {
  assert(master_key.size() >= 16);
  auto key = base::hmac_sha256(master_key, joined({"countersign instance keys/1"}));
  base::SecretBytes secret(std::span<const std::uint8_t>{key});
  key.fill(0);
  return secret;
}

}  // namespace

InstanceKeys::InstanceKeys(std::string key_id, std::span<const std::uint8_t> master_key)
    : current_(std::move(key_id)) {
  keys_.emplace(current_, derive(master_key));
}

void InstanceKeys::add_earlier(std::string key_id, std::span<const std::uint8_t> master_key) {
  keys_.emplace(std::move(key_id), derive(master_key));
}

std::optional<std::string> InstanceKeys::secret(std::string_view key_id,
                                                std::string_view application_key,
                                                std::string_view instance,
                                                std::uint32_t generation) const {
  const auto key = keys_.find(key_id);
  if (key == keys_.end()) return std::nullopt;
  return base::base64_encode(base::hmac_sha256(
      key->second.bytes(),
      joined({"instance-secret/1", application_key, instance, std::to_string(generation)})));
}

std::string InstanceKeys::instance_for(std::string_view application_key, const Identity& identity,
                                       std::string_view device) const {
  constexpr std::size_t kIdBytes = 16;
  const auto digest =
      base::hmac_sha256(keys_.find(current_)->second.bytes(),
                        joined({"instance-id/1", application_key, identity_type_name(identity.type),
                                identity.endpoint, device}));
  return base::base64url_encode(std::span(digest).first(kIdBytes));
}

std::string master_key_id(std::span<const std::uint8_t> master_key) {
  constexpr std::size_t kNameBytes = 8;
  const std::string_view key(reinterpret_cast<const char*>(master_key.data()), master_key.size());
  const auto digest = base::sha256(joined({"countersign master key id/1", key}));
  return base::hex_encode(std::span(digest).first(kNameBytes));
}

}  // namespace countersign::gateway

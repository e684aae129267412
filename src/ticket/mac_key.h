// HMAC-SHA256 with a kept key. HMAC begins by hashing two blocks that depend on the key alone;
// their SHA-256 states are computed once and copied for each MAC, which leaves four blocks for a
// ticket instead of six and spares every allocation of the EVP interface.
//
// The plain way through EVP stays beside it as the reference that it is tested against.
// Thread-safety: const functions may run concurrently.
// Source: RFC 2104 section 4 (precomputed intermediate results), RFC 6234.
#ifndef COUNTERSIGN_TICKET_MAC_KEY_H_
#define COUNTERSIGN_TICKET_MAC_KEY_H_

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace countersign {

using Mac = std::array<std::byte, 32>;

inline std::span<const std::byte> as_bytes_of(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// The two key-dependent states of HMAC-SHA256. As sensitive as the key; wiped at the end.
class MacKey {
 public:
  explicit MacKey(std::span<const std::byte> key) noexcept;
  MacKey(const MacKey&) noexcept = default;
  MacKey& operator=(const MacKey&) noexcept = default;
  ~MacKey();

  Mac sign(std::span<const std::byte> message) const noexcept;
  Mac sign(std::string_view message) const noexcept { return sign(as_bytes_of(message)); }

 private:
  // SHA-256's chaining value after one block: all that distinguishes the state of one key.
  std::array<unsigned int, 8> inner_;
  std::array<unsigned int, 8> outer_;
};

/// Compares two MACs in time that does not depend on where they differ.
bool equal_macs(std::span<const std::byte> a, std::span<const std::byte> b) noexcept;

/// HMAC-SHA256 through OpenSSL's EVP interface: slow, plain, and right by construction.
Mac reference_hmac(std::span<const std::byte> key, std::span<const std::byte> message);

}  // namespace countersign

#endif  // COUNTERSIGN_TICKET_MAC_KEY_H_

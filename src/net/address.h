// IP addresses, the prefixes that limits and throttles count by, and networks in CIDR form.
// Thread-safety: value types.
#ifndef COUNTERSIGN_NET_ADDRESS_H_
#define COUNTERSIGN_NET_ADDRESS_H_

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "countersign/result.h"

namespace countersign::net {

/// An IPv4 or IPv6 address. IPv4-mapped IPv6 addresses become IPv4 when parsed.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};  ///< network order; IPv4 uses the first four
  bool is_v4 = true;

  /// kBadRequest if `text` is not an address (RFC 5952 or dotted quad, no port, no brackets).
  static Result<IpAddress> parse(std::string_view text);
  std::string text() const;
  bool is_loopback() const;
  /// The address cut to `v4_bits` or `v6_bits`, with the length: `203.0.113.7/32`, `2001:db8::/64`.
  std::string prefix(int v4_bits = 32, int v6_bits = 64) const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

/// A network: `10.0.0.0/8`, `::1`, `192.0.2.4`.
struct Network {
  IpAddress base;
  int bits = 32;

  /// kBadSetting if `text` is not a network, or has bits set beyond its length.
  static Result<Network> parse(std::string_view text);
  bool contains(const IpAddress& address) const;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_ADDRESS_H_

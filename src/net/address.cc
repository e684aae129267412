#include "net/address.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>

namespace countersign::net {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/// Zeroes all bits after the first `bits`. True if any of them was set.
bool cut(IpAddress& address, int bits) {
  const int size = address.is_v4 ? 4 : 16;
  bool lost = false;
  for (int i = 0; i < size; ++i) {
    const int keep = std::clamp(bits - 8 * i, 0, 8);
    auto& byte = address.bytes[static_cast<std::size_t>(i)];
    const auto kept = static_cast<std::uint8_t>(byte & (0xff00 >> keep));
    lost = lost || kept != byte;
    byte = kept;
  }
  return lost;
}

}  // namespace

Result<IpAddress> IpAddress::parse(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN + 1];
  if (text.empty() || text.size() >= sizeof buffer || text.find('\0') != text.npos) {
    return fail(ErrorCode::kBadRequest, "not an IP address");
  }
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';

  IpAddress address;
  if (inet_pton(AF_INET, buffer, address.bytes.data()) == 1) return address;
  if (inet_pton(AF_INET6, buffer, address.bytes.data()) != 1) {
    return fail(ErrorCode::kBadRequest, "not an IP address");
  }
  if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), address.bytes.begin())) {
    IpAddress v4;
    std::copy_n(address.bytes.begin() + 12, 4, v4.bytes.begin());
    return v4;
  }
  address.is_v4 = false;
  return address;
}

std::string IpAddress::text() const {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(is_v4 ? AF_INET : AF_INET6, bytes.data(), buffer, sizeof buffer);
  return buffer;
}

bool IpAddress::is_loopback() const {
  if (is_v4) return bytes[0] == 127;
  return bytes[15] == 1 &&
         std::all_of(bytes.begin(), bytes.end() - 1, [](std::uint8_t byte) { return byte == 0; });
}

std::string IpAddress::prefix(int v4_bits, int v6_bits) const {
  IpAddress base = *this;
  const int bits = is_v4 ? v4_bits : v6_bits;
  cut(base, bits);
  return base.text() + "/" + std::to_string(bits);
}

Result<Network> Network::parse(std::string_view text) {
  const auto bad = [&](const char* why) {
    return fail(ErrorCode::kBadSetting, "'" + std::string(text) + "' is no network: " + why);
  };
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return bad("an address like 192.0.2.4 or 2001:db8::1 is wanted before the length");

  const int whole = address->is_v4 ? 32 : 128;
  Network network{*address, whole};
  if (slash == text.npos) return network;

  const auto length = text.substr(slash + 1);
  const auto parsed = std::from_chars(length.data(), length.data() + length.size(), network.bits);
  if (length.empty() || length.size() > 3 || parsed.ec != std::errc() ||
      parsed.ptr != length.data() + length.size()) {
    return bad("the length after / is not a number");
  }
  const bool mapped = address->is_v4 && text.substr(0, slash).find(':') != text.npos;
  if (mapped) network.bits -= 96;  // ::ffff:10.0.0.0/104 is 10.0.0.0/8
  if (network.bits < 0 || network.bits > whole) return bad("the length after / is out of range");
  if (cut(network.base, network.bits)) return bad("bits are set beyond its length");
  return network;
}

bool Network::contains(const IpAddress& address) const {
  if (address.is_v4 != base.is_v4) return false;
  IpAddress cut_address = address;
  cut(cut_address, bits);
  return cut_address == base;
}

}  // namespace countersign::net

#include "app/dev_names.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include <arpa/inet.h>

namespace countersign::app {
namespace {

constexpr std::size_t kMaxMore = 16;
constexpr std::size_t kMaxName = 253;
constexpr std::size_t kMaxLabel = 63;
constexpr std::string_view kLocalDomains[] = {"localhost", "test", "local", "internal",
                                              "home.arpa"};

bool is_private(const std::array<std::uint8_t, 4>& a) {
  return a[0] == 127 || a[0] == 10 || (a[0] == 172 && (a[1] & 0xf0) == 16) ||
         (a[0] == 192 && a[1] == 168) || (a[0] == 169 && a[1] == 254);
}

bool is_private(const std::array<std::uint8_t, 16>& a) {
  const bool loopback = a[15] == 1 && std::all_of(a.begin(), a.end() - 1,
                                                  [](std::uint8_t byte) { return byte == 0; });
  return loopback || (a[0] & 0xfe) == 0xfc || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
}

/// The address in its shortest form if `text` is one of this machine or its network; empty if it is
/// one of the wide world; nullopt if it is no address.
template <std::size_t Size>
std::optional<std::string> address_text(int family, const std::string& text) {
  std::array<std::uint8_t, Size> bytes{};
  if (inet_pton(family, text.c_str(), bytes.data()) != 1) return std::nullopt;
  if (!is_private(bytes)) return "";
  std::array<char, INET6_ADDRSTRLEN> shortest{};
  return inet_ntop(family, bytes.data(), shortest.data(), shortest.size());
}

bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) return false;
  std::size_t label = 0;
  char before = '.';
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (c == '.') {
      if (label == 0 || before == '-') return false;
      label = 0;
    } else if (plain || (c == '-' && label > 0)) {
      if (++label > kMaxLabel) return false;
    } else {
      return false;
    }
    before = c;
  }
  return label > 0 && before != '-';
}

bool is_local(std::string_view name) {
  return std::ranges::any_of(kLocalDomains, [name](std::string_view domain) {
    return name == domain || (name.size() > domain.size() + 1 && name.ends_with(domain) &&
                              name[name.size() - domain.size() - 1] == '.');
  });
}

Result<DevName> dev_name(std::string text) {
  const auto refused = [&text](std::string_view why) {
    return fail(ErrorCode::kUsage, "--name " + text + ": " + std::string(why));
  };
  constexpr std::string_view kElsewhere =
      "not of this machine or its network; get a real certificate for it";
  auto address = address_text<4>(AF_INET, text);
  if (!address) address = address_text<16>(AF_INET6, text);
  if (address) {
    if (address->empty()) return refused(kElsewhere);
    return DevName{true, std::move(*address)};
  }
  std::ranges::transform(text, text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (!is_host_name(text)) return refused("not a host name or an address");
  if (!is_local(text)) return refused(kElsewhere);
  return DevName{false, std::move(text)};
}

}  // namespace

Result<std::vector<DevName>> dev_names(std::span<const std::string> more) {
  std::vector<DevName> names = {{false, "localhost"}, {true, "127.0.0.1"}, {true, "::1"}};
  if (more.size() > kMaxMore) return fail(ErrorCode::kUsage, "at most 16 further names");
  for (const auto& text : more) {
    auto name = dev_name(text);
    if (!name) return name.failure();
    if (std::ranges::find(names, *name) == names.end()) names.push_back(std::move(*name));
  }
  return names;
}

}  // namespace countersign::app

#include "bus/nats/nats_address.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

namespace countersign::bus {
namespace {

constexpr std::size_t kMaxServers = 64;
constexpr std::size_t kMaxPasswordBytes = 4096;

/// Never quotes the URL: it may hold a password.
auto bad(const std::string& what) { return fail(ErrorCode::kBadSetting, "bus.url: " + what); }

struct Credentials {
  std::string user;
  std::optional<std::string> password;

  friend bool operator==(const Credentials&, const Credentials&) = default;
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// RFC 3986 section 2.1. nullopt for a % that introduces no byte, and for NUL.
std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (c == '%') {
      if (at + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[at + 1]);
      const int low = hex_digit(text[at + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      at += 2;
    }
    if (c == '\0') return std::nullopt;
    decoded += c;
  }
  return decoded;
}

bool is_port(std::string_view text) {
  std::uint32_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

/// `HOST[:PORT]` with the port filled in; nullopt if it is none.
std::optional<std::string> read_host(std::string_view text) {
  std::string_view host = text;
  std::string_view port = "4222";
  const auto colon = text.rfind(':');
  const auto bracket = text.rfind(']');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (host.starts_with('[') != host.ends_with(']')) return std::nullopt;
  const bool v6 = host.starts_with('[');
  const std::string_view bare = v6 ? host.substr(1, host.size() - 2) : host;
  const bool good = !bare.empty() && std::ranges::all_of(bare, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || (v6 && c == ':');
  });
  if (!good || !is_port(port)) return std::nullopt;
  return std::string(host) + ":" + std::string(port);
}

/// Adds one URL to the address. What it says of credentials must not contradict the others.
Result<void> add_server(std::string_view url, NatsAddress& address,
                        std::optional<Credentials>& credentials) {
  if (url.starts_with("tls://")) {
    address.tls = true;
  } else if (!url.starts_with("nats://")) {
    return bad("each server wants nats:// or tls://");
  }
  url.remove_prefix(url.find("://") + 3);
  if (url.ends_with('/')) url.remove_suffix(1);
  if (const auto at = url.rfind('@'); at != std::string_view::npos) {
    const auto given = url.substr(0, at);
    url.remove_prefix(at + 1);
    const auto colon = given.find(':');
    const auto user = percent_decode(given.substr(0, colon));
    Credentials here;
    bool good = user && !user->empty();
    if (good) here.user = *user;
    if (good && colon != std::string_view::npos) {
      here.password = percent_decode(given.substr(colon + 1));
      good = here.password.has_value();
    }
    if (!good) return bad("what stands before @ is not USER or USER:PASSWORD");
    if (credentials && !(*credentials == here)) {
      return bad("the servers of a cluster have the same user and password");
    }
    credentials = std::move(here);
  }
  const auto host = read_host(url);
  if (!host) return bad("what stands after :// or @ is not HOST or HOST:PORT");
  address.servers.push_back("nats://" + *host);
  return {};
}

/// The file's text without its line end.
Result<std::string> read_password(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  if (file) text.assign(std::istreambuf_iterator<char>(file), {});
  if (!file.is_open() || file.bad()) {
    return fail(ErrorCode::kUnreadableFile, "bus.password_file: cannot read " + path);
  }
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  if (text.empty() || text.size() > kMaxPasswordBytes || text.find('\0') != std::string::npos) {
    return fail(ErrorCode::kBadSetting, "bus.password_file: " + path + " holds no password");
  }
  return text;
}

}  // namespace

Result<NatsAddress> read_nats_address(const NatsOptions& options) {
  NatsAddress address;
  address.tls = !options.ca_file.empty();
  std::optional<Credentials> credentials;
  std::string_view rest = options.url;
  for (;;) {
    const auto comma = rest.find(',');
    const auto good = add_server(rest.substr(0, comma), address, credentials);
    if (!good) return good.failure();
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (address.servers.size() > kMaxServers) return bad("too many servers");
  if (!options.password_file.empty()) {
    if (credentials && credentials->password) {
      return bad("holds a password, and bus.password_file another");
    }
    auto secret = read_password(options.password_file);
    if (!secret) return secret.failure();
    if (credentials) {
      credentials->password = std::move(*secret);
    } else {
      address.token = std::move(*secret);
    }
  }
  if (credentials && credentials->password) {
    address.user = std::move(credentials->user);
    address.password = std::move(*credentials->password);
  } else if (credentials) {
    address.token = std::move(credentials->user);
  }
  return address;
}

}  // namespace countersign::bus

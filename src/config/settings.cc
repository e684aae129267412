#include "config/settings.h"

#include <algorithm>
#include <charconv>
#include <type_traits>

#include "base/http_url.h"
#include "config/nearest.h"
#include "config/toml_file.h"

extern char** environ;

namespace countersign::config {
namespace {

constexpr std::string_view kVariablePrefix = "COUNTERSIGN_";

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

const SettingRow* find_row(std::string_view key) {
  const auto rows = setting_rows();
  const auto found = std::ranges::find(rows, key, &SettingRow::key);
  return found == rows.end() ? nullptr : &*found;
}

tl::unexpected<Error> unknown(std::string_view key, std::string_view where) {
  std::vector<std::string_view> known;
  for (const auto& row : setting_rows()) known.push_back(row.key);
  std::string detail = std::string(key) + " (" + std::string(where) + ")";
  if (const auto near = nearest(key, known)) detail += "; did you mean " + std::string(*near) + "?";
  return fail(ErrorCode::kUnknownSetting, detail);
}

tl::unexpected<Error> bad(std::string_view key, std::string_view where, std::string_view why) {
  return fail(ErrorCode::kBadSetting,
              std::string(key) + " (" + std::string(where) + "): " + std::string(why));
}

std::string join(const std::vector<std::string_view>& words) {
  std::string out;
  for (const auto word : words) {
    if (!out.empty()) out += ", ";
    out += word;
  }
  return out;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const auto comma = text.find(',');
    auto item = text.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return items;
}

Result<void> assign(Settings& settings, const SettingRow& row, const SettingValue& value,
                    std::string_view where) {
  return std::visit(
      [&](auto member) -> Result<void> {
        using Held = std::remove_cvref_t<decltype(settings.*member)>;
        if constexpr (std::is_same_v<Held, std::string>) {
          const auto* text = std::get_if<std::string>(&value);
          if (text == nullptr) return bad(row.key, where, "wants text");
          if (!row.choices.empty() && std::ranges::find(row.choices, *text) == row.choices.end()) {
            return bad(row.key, where, "wants one of: " + join(row.choices));
          }
          settings.*member = *text;
        } else if constexpr (std::is_same_v<Held, bool>) {
          const auto* truth = std::get_if<bool>(&value);
          if (truth == nullptr) return bad(row.key, where, "wants true or false");
          settings.*member = *truth;
        } else if constexpr (std::is_same_v<Held, std::int64_t>) {
          const auto* number = std::get_if<std::int64_t>(&value);
          if (number == nullptr || *number < row.least || *number > row.most) {
            return bad(row.key, where,
                       "wants a whole number from " + std::to_string(row.least) + " to " +
                           std::to_string(row.most));
          }
          settings.*member = *number;
        } else {
          const auto* list = std::get_if<std::vector<std::string>>(&value);
          if (list == nullptr) return bad(row.key, where, "wants a list of texts");
          settings.*member = *list;
        }
        return {};
      },
      row.member);
}

/// Text of the environment or a flag, read as what the row wants.
SettingValue read_text(const SettingRow& row, const std::string& text) {
  if (std::holds_alternative<bool Settings::*>(row.member)) {
    if (text == "true" || text == "1") return true;
    if (text == "false" || text == "0") return false;
  } else if (std::holds_alternative<std::int64_t Settings::*>(row.member)) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return number;
  } else if (std::holds_alternative<std::vector<std::string> Settings::*>(row.member)) {
    return split_list(text);
  }
  return text;
}

/// `COUNTERSIGN_SERVER__LISTEN` is server.listen, `COUNTERSIGN_DATA_DIR` is data_dir.
std::optional<std::string> key_of_variable(std::string_view name) {
  if (!name.starts_with(kVariablePrefix)) return std::nullopt;
  std::string key = lower(name.substr(kVariablePrefix.size()));
  if (const auto at = key.find("__"); at != std::string::npos) key.replace(at, 2, ".");
  return key;
}

/// The classic SDK takes such names for its vendor's and asks ps1…ps19 instead.
bool is_rewritten_by_the_sdk(std::string_view host) {
  const std::string name = lower(host);
  return name.starts_with("ps") || name.starts_with("pubsub");
}

Result<void> check_classic_door(const Settings& s) {
  for (const std::string& text : s.compat_sinch_hosts) {
    if (const auto host = parse_sinch_host(text); !host) return host.failure();
  }
  const std::string& prefix = s.compat_sinch_path_prefix;
  const bool plain = prefix.find_first_of("?#%\\ ") == std::string::npos && !prefix.ends_with('/');
  if (!prefix.empty() && (!prefix.starts_with('/') || !plain)) {
    return bad("compat.sinch_path_prefix", prefix, "wants a path like /gateway");
  }
  const auto name = s.server_public_url.find("://");
  if (s.compat_sinch_sdk && s.compat_sinch_hosts.empty() && name != std::string::npos &&
      is_rewritten_by_the_sdk(std::string_view(s.server_public_url).substr(name + 3))) {
    return bad("compat.sinch_hosts", "settings",
               "the classic SDK rewrites host names that begin with ps or pubsub: name another");
  }
  return {};
}

Result<void> check_together(Settings& s) {
  if (s.master_key_file.empty()) s.master_key_file = s.data_dir + "/master.key";
  if (s.storage_url.empty()) s.storage_url = "sqlite:" + s.data_dir + "/countersign.db";
  // Only the scheme is shown: the rest may hold a password.
  const auto scheme_end = s.storage_url.find(':') + 1;
  const std::string_view scheme = std::string_view(s.storage_url).substr(0, scheme_end);
  const bool sqlite = scheme == "sqlite:";
  const bool postgres =
      s.storage_url.starts_with("postgresql://") || s.storage_url.starts_with("postgres://");
  if ((!sqlite && !postgres) || s.storage_url.size() == scheme_end) {
    return bad("storage.url", scheme,
               "wants sqlite:PATH or postgresql://USER:PASSWORD@HOST:PORT/DATABASE");
  }
  const bool nats = s.bus_url.starts_with("nats://") || s.bus_url.starts_with("tls://");
  if (s.bus_url != "local:" && !nats) {  // not quoted: it may hold a password
    return bad("bus.url", "settings", "wants local:, nats://HOST[:PORT] or tls://HOST[:PORT]");
  }
  if (!nats && !(s.bus_password_file.empty() && s.bus_ca_file.empty())) {
    return bad("bus.url", "settings", "bus.password_file and bus.ca_file want NATS servers in it");
  }
  if (!s.callbacks_url.empty() && !base::parse_http_url(s.callbacks_url)) {
    return bad("callbacks.url", "settings",
               "wants http(s)://HOST[:PORT]/PATH without user name and fragment");
  }
  if (auto done = check_classic_door(s); !done) return done;
  const auto listen = parse_host_port("server.listen", s.server_listen);
  if (!listen) return listen.failure();
  if (!s.metrics_listen.empty()) {
    const auto metrics = parse_host_port("metrics.listen", s.metrics_listen);
    if (!metrics) return metrics.failure();
  }
  if (s.server_tls_certificate.empty() != s.server_tls_key.empty()) {
    return bad("server.tls_key", "settings",
               "server.tls_certificate and server.tls_key go together");
  }
  if (s.application_key.empty() != s.application_secret_file.empty()) {
    return bad("application.key", "settings",
               "application.key and application.secret_file go together");
  }
  if (!s.server_public_url.empty()) {
    const auto origin = parse_origin(s.server_public_url);
    if (!origin) {
      return bad("server.public_url", "settings", "wants http(s)://HOST[:PORT] without a path");
    }
    s.server_public_url = *origin;
  }
  for (auto& allowed : s.server_allowed_origins) {
    const auto origin = parse_origin(allowed);
    if (!origin) {
      return bad("server.allowed_origins", "settings",
                 allowed + " is not an origin: http(s)://HOST[:PORT] without a path");
    }
    allowed = *origin;
  }
  return {};
}

}  // namespace

Environment read_environment() {
  Environment variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!text.starts_with(kVariablePrefix)) continue;
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

std::vector<std::string> unused_variables(const Environment& environment) {
  std::vector<std::string> unused;
  for (const auto& [name, value] : environment) {
    const auto key = key_of_variable(name);
    if (key && find_row(*key) == nullptr) unused.push_back(name);
  }
  return unused;
}

Result<Settings> load_settings(const std::optional<std::string>& file,
                               const Environment& environment, const Overrides& flags) {
  Settings settings;
  if (file) {
    const auto entries = read_toml_file(*file);
    if (!entries) return entries.failure();
    for (const auto& entry : *entries) {
      const auto where = *file + " line " + std::to_string(entry.line);
      const auto* row = find_row(entry.key);
      if (row == nullptr) return unknown(entry.key, where);
      if (auto done = assign(settings, *row, entry.value, where); !done) return done.failure();
    }
  }
  for (const auto& [name, text] : environment) {
    const auto key = key_of_variable(name);
    if (!key) continue;
    const auto* row = find_row(*key);
    if (row == nullptr) {
      if (key->find('.') == std::string::npos) continue;  // see unused_variables()
      return unknown(*key, name);
    }
    if (auto done = assign(settings, *row, read_text(*row, text), name); !done) {
      return done.failure();
    }
  }
  for (const auto& [key, text] : flags) {
    const auto* row = find_row(key);
    if (row == nullptr) return unknown(key, "command line");
    if (auto done = assign(settings, *row, read_text(*row, text), "command line"); !done) {
      return done.failure();
    }
  }
  if (auto done = check_together(settings); !done) return done.failure();
  return settings;
}

Result<HostPort> parse_host_port(std::string_view key, std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad(key, text, "wants HOST:PORT");
  HostPort result;
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad(key, text, "an IPv6 address goes into brackets: [::1]:8080");
  }
  result.host = host.empty() ? "localhost" : std::string(host);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), result.port);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return bad(key, text, "the port is a number from 0 to 65535");
  }
  return result;
}

Result<SinchHost> parse_sinch_host(std::string_view text) {
  constexpr std::string_view kKey = "compat.sinch_hosts";
  SinchHost host;
  const auto colon = text.find(':');
  const auto name = text.substr(0, colon);
  if (colon != std::string_view::npos) {
    const auto address = parse_host_port(kKey, text);
    if (!address || address->port == 0) return bad(kKey, text, "wants NAME[:PORT] or :PORT");
    host.port = address->port;
  }
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-';
  });
  if (!plain || (name.empty() && host.port == 0)) {
    return bad(kKey, text, "wants NAME[:PORT] or :PORT");
  }
  if (is_rewritten_by_the_sdk(name)) {
    return bad(kKey, text, "the classic SDK rewrites names that begin with ps or pubsub");
  }
  host.name = name;
  return host;
}

std::optional<std::string> parse_origin(std::string_view url) {
  std::string text = lower(url);
  if (text.ends_with('/')) text.pop_back();
  const bool https = text.starts_with("https://");
  if (!https && !text.starts_with("http://")) return std::nullopt;
  const std::string scheme = https ? "https://" : "http://";
  std::string_view rest = std::string_view(text).substr(scheme.size());
  if (rest.empty() || rest.find_first_of("/?#@ \t\r\n\"'\\,") != std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view standard = https ? ":443" : ":80";
  if (rest.ends_with(standard)) rest.remove_suffix(standard.size());
  const auto bracket = rest.rfind(']');
  const auto colon = rest.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    const auto digits = rest.substr(colon + 1);
    unsigned port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size() || port == 0 || port > 65535) {
      return std::nullopt;
    }
    if (colon == 0) return std::nullopt;
  }
  return scheme + std::string(rest);
}

}  // namespace countersign::config

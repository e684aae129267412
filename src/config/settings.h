// Settings: every value an operator can set, with its documentation beside it.
//
// They come from a TOML file, overridden by COUNTERSIGN_SECTION__KEY in the environment, overridden
// by flags. An unknown or ill-formed value is an error that names the key.
// Thread-safety: a value type.
#ifndef COUNTERSIGN_CONFIG_SETTINGS_H_
#define COUNTERSIGN_CONFIG_SETTINGS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "countersign/result.h"

namespace countersign::config {

/// The values, named section_key. Defaults stand here; their meaning stands in setting_rows().
struct Settings {
  std::string data_dir = "./var";
  std::string master_key_file;

  std::string server_listen = "localhost:8080";
  std::string server_public_url;
  std::string server_tls_certificate;
  std::string server_tls_key;
  std::vector<std::string> server_allowed_origins;
  std::vector<std::string> server_trusted_proxies;
  bool server_insecure_cookies = false;
  std::int64_t server_shards = 0;
  std::int64_t server_drain_seconds = 10;

  std::string metrics_listen = "127.0.0.1:9464";
  std::string log_level = "info";

  std::string storage_url;
  std::int64_t storage_workers = 16;
  std::string bus_url = "local:";
  std::string bus_password_file;
  std::string bus_ca_file;

  std::string application_key;
  std::string application_secret_file;

  std::string accounts_sign_up = "open";
  std::int64_t accounts_password_min_length = 15;
  std::int64_t accounts_argon2_memory_kib = 19456;
  std::int64_t accounts_argon2_passes = 2;
  std::int64_t accounts_password_pool_memory_mib = 256;
  std::int64_t accounts_sign_ups_per_hour = 5;
  std::int64_t accounts_answer_floor_ms = 250;
  std::int64_t accounts_answer_jitter_ms = 85;
  std::int64_t accounts_throttle_ipv4_bits = 32;

  std::int64_t sessions_idle_minutes = 30;
  std::int64_t sessions_absolute_hours = 12;
  std::int64_t sessions_max_per_account = 10;

  std::string issuing_identity = "username";
  bool issuing_session_member = true;
  std::int64_t issuing_ticket_seconds = 3600;

  std::string gateway_ticket_policy = "default";
  bool gateway_replay_cache = false;
  std::int64_t gateway_ping_seconds = 25;

  std::string messages_unknown_users = "refuse";
  std::string messages_presence = "contacts";
  std::int64_t messages_retention_days = 30;
  std::int64_t messages_inbox_entries = 100'000;
  std::int64_t messages_inbox_mebibytes = 256;
  std::int64_t messages_inbox_entries_of_sender = 20'000;

  std::string callbacks_url;
  std::vector<std::string> callbacks_allowed_private_hosts;
  std::string callbacks_ca_file;
  std::int64_t callbacks_max_rows = 1'000'000;

  std::int64_t limits_max_connections = 18'000;
  std::int64_t limits_max_connections_per_address = 512;
  std::int64_t limits_max_header_bytes = 16 * 1024;
  std::int64_t limits_header_timeout_seconds = 10;
  std::int64_t limits_body_timeout_seconds = 20;
  std::int64_t limits_idle_timeout_seconds = 60;
  std::int64_t limits_write_timeout_seconds = 20;
  std::int64_t limits_max_frame_bytes = 64 * 1024;
  std::int64_t limits_max_queued_bytes = 256 * 1024;
  std::int64_t limits_max_instances_per_user = 50;
  std::int64_t limits_commands_per_second = 50;
  std::int64_t limits_messages_per_second = 20;
  std::int64_t limits_max_devices_per_user = 100;
  std::int64_t limits_server_api_per_second = 500;

  bool compat_query_credentials = false;
  bool compat_sinch_sdk = false;
  bool compat_sinch_accounts = true;
  std::vector<std::string> compat_sinch_hosts;
  std::int64_t compat_sinch_instance_hours = 24;
  std::string compat_sinch_path_prefix;
};

/// One setting: where it lives, what it may be and what it means.
struct SettingRow {
  using Member = std::variant<std::string Settings::*, bool Settings::*, std::int64_t Settings::*,
                              std::vector<std::string> Settings::*>;
  std::string_view key;  ///< `section.name`, or `name` at the top
  Member member;
  std::string_view doc;
  std::vector<std::string_view> choices = {};  ///< for text: the allowed values; empty: any
  std::int64_t least = 0;                      ///< for numbers
  std::int64_t most = 0;
};

/// All settings, in the order in which they are documented.
std::span<const SettingRow> setting_rows();

/// Values by key, as text: what the command line's flags give.
using Overrides = std::vector<std::pair<std::string, std::string>>;
using Environment = std::map<std::string, std::string>;

/// Reads `file` (none: defaults), then the environment, then `flags`; then checks what concerns
/// several settings at once and fills in what follows from others (storage.url, master_key_file,
/// server.public_url without a port of 0).
/// kUnreadableFile, kBadSetting (with file, line and key), kUnknownSetting (with the nearest known
/// key).
Result<Settings> load_settings(const std::optional<std::string>& file,
                               const Environment& environment, const Overrides& flags);

/// This process's environment.
Environment read_environment();

/// Variables of the environment that begin with COUNTERSIGN_ and set nothing. For a warning.
std::vector<std::string> unused_variables(const Environment& environment);

/// A commented TOML file with every setting at its default: `config doc`.
std::string document_as_toml();
/// The reference page docs/reference/settings.md: `config doc --markdown`.
std::string document_as_markdown();

/// `HOST:PORT`, `[V6]:PORT` or `:PORT` (localhost). kBadSetting naming `key`.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
Result<HostPort> parse_host_port(std::string_view key, std::string_view text);

/// One entry of compat.sinch_hosts: `NAME`, `NAME:PORT` or `:PORT`. kBadSetting.
struct SinchHost {
  std::string name;        ///< empty: the one of server.public_url
  std::uint16_t port = 0;  ///< 0: none was named
};
Result<SinchHost> parse_sinch_host(std::string_view text);

/// `scheme://host[:port]` of a URL without a path, lower case, default ports left out: what
/// browsers send as Origin. nullopt if `url` is not an http(s) origin.
std::optional<std::string> parse_origin(std::string_view url);

}  // namespace countersign::config

#endif  // COUNTERSIGN_CONFIG_SETTINGS_H_

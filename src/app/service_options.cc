#include "app/service_options.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace countersign::app {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

std::size_t cores() { return std::max(1u, std::thread::hardware_concurrency()); }

std::size_t shard_count(const config::Settings& s) {
  return s.server_shards > 0 ? static_cast<std::size_t>(s.server_shards) : cores();
}

}  // namespace

base::LogLevel log_level(const config::Settings& s) {
  if (s.log_level == "debug") return base::LogLevel::kDebug;
  if (s.log_level == "warning") return base::LogLevel::kWarning;
  if (s.log_level == "error") return base::LogLevel::kError;
  return base::LogLevel::kInfo;
}

accounts::AnswerFloorOptions floor_options(const config::Settings& s) {
  accounts::AnswerFloorOptions options;
  options.minimum = milliseconds(s.accounts_answer_floor_ms);
  options.jitter = milliseconds(s.accounts_answer_jitter_ms);
  return options;
}

accounts::PasswordPoolOptions pool_options(const config::Settings& s) {
  accounts::PasswordPoolOptions options;
  options.threads = accounts::PasswordPool::threads_for(
      cores(), static_cast<std::size_t>(s.accounts_password_pool_memory_mib) << 20,
      static_cast<std::size_t>(s.accounts_argon2_memory_kib) << 10);
  return options;
}

sessions::SessionOptions session_options(const config::Settings& s) {
  sessions::SessionOptions options;
  options.idle_limit = minutes(s.sessions_idle_minutes);
  options.absolute_limit = hours(s.sessions_absolute_hours);
  options.max_sessions = static_cast<std::size_t>(s.sessions_max_per_account);
  return options;
}

issuing::IssuerOptions issuer_options(const config::Settings& s, const std::string& key) {
  issuing::IssuerOptions options;
  options.application_key = key;
  options.identity =
      issuing::parse_identity_mode(s.issuing_identity).value_or(issuing::IdentityMode::kUsername);
  options.lifetime = seconds(s.issuing_ticket_seconds);
  options.session_member = s.issuing_session_member;
  options.session_limit = hours(s.sessions_absolute_hours);
  return options;
}

gateway::GatewayOptions gateway_options(const config::Settings& s, const StoreClock& store_clock) {
  gateway::GatewayOptions options;
  options.store_clock = &store_clock;
  options.shards = shard_count(s);
  options.machine.ping_interval = seconds(s.gateway_ping_seconds);
  options.machine.limits.max_frame_bytes = static_cast<std::uint32_t>(s.limits_max_frame_bytes);
  options.machine.limits.max_queued_bytes = static_cast<std::uint32_t>(s.limits_max_queued_bytes);
  options.machine.inbox.max_queued_bytes = options.machine.limits.max_queued_bytes;
  options.machine.inbox.loose.max_queued_bytes = options.machine.limits.max_queued_bytes;
  options.machine.limits.commands_per_second =
      static_cast<std::uint32_t>(s.limits_commands_per_second);
  options.max_instances_per_user = static_cast<std::size_t>(s.limits_max_instances_per_user);
  options.sessions.idle = minutes(s.sessions_idle_minutes);
  options.sessions.absolute = hours(s.sessions_absolute_hours);
  options.replay_capacity = s.gateway_replay_cache ? 100'000 : 0;
  return options;
}

gateway::MessagingOptions messaging_options(const config::Settings& s,
                                            const StoreClock& store_clock) {
  gateway::MessagingOptions options;
  options.desk.keep_unknown = s.messages_unknown_users == "keep";
  options.desk.budget.per_second = static_cast<double>(s.limits_messages_per_second);
  options.desk.budget.burst = 5 * options.desk.budget.per_second;
  storage::MessageLimits& limits = options.desk.limits;
  limits.inbox_entries = static_cast<std::size_t>(s.messages_inbox_entries);
  limits.inbox_bytes = static_cast<std::size_t>(s.messages_inbox_mebibytes) << 20;
  limits.sender_entries = static_cast<std::size_t>(s.messages_inbox_entries_of_sender);
  options.worker.retention = hours(24 * s.messages_retention_days);
  options.worker.store_clock = &store_clock;
  options.worker.may_expire = [&store_clock] { return store_clock.agrees(); };
  options.presence_mode = s.messages_presence == "everybody" ? gateway::PresenceMode::kEverybody
                          : s.messages_presence == "off"     ? gateway::PresenceMode::kOff
                                                             : gateway::PresenceMode::kContacts;
  options.max_devices_per_user = static_cast<std::size_t>(s.limits_max_devices_per_user);
  return options;
}

web::GatewayDoorOptions door_options(const config::Settings& s) {
  web::GatewayDoorOptions options;
  options.max_connections_per_address =
      static_cast<std::size_t>(s.limits_max_connections_per_address);
  options.max_frame_bytes = static_cast<std::size_t>(s.limits_max_frame_bytes);
  // The gateway cuts who leaves more than the limit unread for a while; the channel nobody may
  // overrun.
  options.max_queued_bytes = 2 * static_cast<std::size_t>(s.limits_max_queued_bytes);
  return options;
}

Result<net::ServerOptions> server_options(const config::Settings& s, std::string_view key,
                                          const std::string& listen) {
  const auto address = config::parse_host_port(key, listen);
  if (!address) return address.failure();
  net::ServerOptions options;
  options.host = address->host;
  options.port = address->port;
  options.shards = shard_count(s);
  for (const auto& text : s.server_trusted_proxies) {
    const auto network = net::Network::parse(text);
    if (!network) {
      return fail(ErrorCode::kBadSetting, "server.trusted_proxies: " + text + " is no network");
    }
    options.trusted_proxies.push_back(*network);
  }
  options.limits.max_connections = static_cast<std::size_t>(s.limits_max_connections);
  options.limits.max_connections_per_address =
      static_cast<std::size_t>(s.limits_max_connections_per_address);
  options.limits.max_header_bytes = static_cast<std::size_t>(s.limits_max_header_bytes);
  options.limits.header_timeout = seconds(s.limits_header_timeout_seconds);
  options.limits.body_timeout = seconds(s.limits_body_timeout_seconds);
  options.limits.idle_timeout = seconds(s.limits_idle_timeout_seconds);
  options.limits.write_timeout = seconds(s.limits_write_timeout_seconds);
  return options;
}

}  // namespace countersign::app

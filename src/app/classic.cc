#include "app/classic.h"

#include <utility>

#include "app/service_options.h"
#include "base/log.h"

namespace countersign::app {
namespace {

Policy ticket_policy(const config::Settings& s) {
  return s.gateway_ticket_policy == "strict" ? Policy::strict() : Policy::default_policy();
}

// What a user may begin: transports, and instances. As many as messages.
gateway::SendBudgetOptions openings(const config::Settings& s) {
  gateway::SendBudgetOptions budget;
  budget.per_second = static_cast<double>(s.limits_messages_per_second);
  budget.burst = 5 * budget.per_second;
  return budget;
}

gateway::classic::ClassicSetup classic_setup(ClassicSide::Parts& parts) {
  const config::Settings& s = parts.core.settings();
  const gateway::GatewayOptions general = gateway_options(s, parts.core.store_clock());
  gateway::classic::ClassicOptions options;
  options.max_polls = static_cast<std::size_t>(s.limits_max_connections);
  options.openings = openings(s);
  const auto messages = static_cast<double>(s.limits_messages_per_second);
  options.requests.per_second = 10 * messages;
  options.requests.burst = 50 * messages;
  options.keep_unknown = s.messages_unknown_users == "keep";
  options.retention = std::chrono::hours(24 * s.messages_retention_days);
  options.sessions = general.sessions;
  options.max_instances_per_user = general.max_instances_per_user;
  return {options,
          general.shards,
          parts.core.store(),
          *parts.gateway.messaging(),
          parts.gateway.poller(),
          parts.gateway.tasks(),
          parts.core.clock(),
          parts.core.store_clock(),
          parts.core.random(),
          parts.core.metrics(),
          &parts.directory,
          parts.core.master_key().bytes.bytes()};
}

web::classic::ClassicInstanceOptions instance_options(Core& core) {
  const config::Settings& s = core.settings();
  const gateway::GatewayOptions general = gateway_options(s, core.store_clock());
  web::classic::ClassicInstanceOptions options;
  options.lifetime = std::chrono::hours(s.compat_sinch_instance_hours);
  options.desk = {general.sessions, general.max_instances_per_user};
  options.replay = {general.replay_capacity, general.replay_capacity_per_user};
  options.openings = openings(s);
  return options;
}

}  // namespace

Result<std::unique_ptr<ClassicSide>> ClassicSide::create(Parts parts) {
  if (!parts.core.settings().compat_sinch_sdk) return std::unique_ptr<ClassicSide>();
  if (parts.core.store().classic() == nullptr) {
    return fail(ErrorCode::kBadSetting, "compat.sinch_sdk: this store keeps no transports");
  }
  return std::unique_ptr<ClassicSide>(new ClassicSide(std::move(parts)));
}

ClassicSide::ClassicSide(Parts parts)
    : context_(parts.context),
      gateway_(classic_setup(parts)),
      instances_(
          instance_options(parts.core), [&core = parts.core] { return core.applications().ring(); },
          ticket_policy(parts.core.settings()),
          {parts.core.master_key().id, parts.core.master_key().bytes.bytes()}, parts.core.store(),
          parts.core.clock(), parts.core.random()),
      door_(parts.site,
            {{parts.core.settings().compat_sinch_hosts, parts.core.settings().compat_sinch_accounts,
              parts.core.settings().compat_sinch_path_prefix},
             context_,
             [&core = parts.core] { return core.applications().ring(); },
             parts.core.applications().default_key(),
             gateway_,
             instances_,
             parts.workers},
            {}) {}

std::vector<std::uint16_t> classic_ports(const config::Settings& settings) {
  std::vector<std::uint16_t> ports;
  if (!settings.compat_sinch_sdk) return ports;
  for (const std::string& text : settings.compat_sinch_hosts) {
    const auto host = config::parse_sinch_host(text);
    if (host && host->name.empty()) ports.push_back(host->port);
  }
  return ports;
}

}  // namespace countersign::app

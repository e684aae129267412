#include "app/bus_choice.h"

#include <utility>

#include "bus/local/local_bus.h"
#include "bus/nats/nats_bus.h"

namespace countersign::app {

Result<std::unique_ptr<bus::Bus>> open_bus(const config::Settings& settings,
                                           const std::string& installation,
                                           const base::Clock& clock, base::Random& random,
                                           base::Metrics& metrics) {
  if (settings.bus_url == "local:") return bus::make_local_bus(clock, metrics);
  bus::NatsOptions options;
  options.url = settings.bus_url;
  options.password_file = settings.bus_password_file;
  options.ca_file = settings.bus_ca_file;
  options.installation = installation;
  options.wait = false;
  return bus::open_nats_bus(std::move(options), random, metrics);
}

}  // namespace countersign::app

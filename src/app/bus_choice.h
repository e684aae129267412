// The bus that the settings name.
// Thread-safety: call at start; the bus says for itself.
#ifndef COUNTERSIGN_APP_BUS_CHOICE_H_
#define COUNTERSIGN_APP_BUS_CHOICE_H_

#include <memory>
#include <string>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "bus/bus.h"
#include "config/settings.h"

namespace countersign::app {

/// Opens the bus of bus.url. Does not wait for NATS servers: a bus whose servers are away costs
/// latency, and no start. `installation` is what all nodes of an installation share and no other
/// has (the master key's id). `clock`, `random` and `metrics` outlive the bus. kBadSetting,
/// kUnreadableFile.
Result<std::unique_ptr<bus::Bus>> open_bus(const config::Settings& settings,
                                           const std::string& installation,
                                           const base::Clock& clock, base::Random& random,
                                           base::Metrics& metrics);

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_BUS_CHOICE_H_

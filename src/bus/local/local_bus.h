// The bus of an installation that is one process: no thread, no socket.
//
// A publication reaches its handlers on the publisher's thread, or on that of another publisher
// whose call of the same handler is still running. Leases live in memory.
// Thread-safety: as Bus.
#ifndef COUNTERSIGN_BUS_LOCAL_LOCAL_BUS_H_
#define COUNTERSIGN_BUS_LOCAL_LOCAL_BUS_H_

#include <memory>

#include "base/clock.h"
#include "base/metrics.h"
#include "bus/bus.h"

namespace countersign::bus {

/// `clock` (whose steady time ends leases) and `metrics` outlive the bus and its leases.
std::unique_ptr<Bus> make_local_bus(const base::Clock& clock, base::Metrics& metrics);

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_LOCAL_LOCAL_BUS_H_

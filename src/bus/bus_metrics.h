// BusMetrics: what every bus counts.
// Thread-safety: as base::Metrics, which outlives it.
#ifndef COUNTERSIGN_BUS_BUS_METRICS_H_
#define COUNTERSIGN_BUS_BUS_METRICS_H_

#include "base/metrics.h"

namespace countersign::bus {

struct BusMetrics {
  explicit BusMetrics(base::Metrics& metrics);

  base::Gauge& connected;
  base::Gauge& nodes;         ///< that are heard, this one included
  base::Counter& published;   ///< handed to the bus
  base::Counter& overloaded;  ///< refused: too much waited
  base::Counter& away;        ///< refused: the bus was away
  base::Counter& lost;        ///< accepted, then dropped: the bus went away
  base::Counter& received;    ///< handed to a handler
  base::Counter& gaps_returned;
  base::Counter& gaps_slow;
  base::Counter& gaps_error;
  base::Counter& gaps_missed;
};

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_BUS_METRICS_H_

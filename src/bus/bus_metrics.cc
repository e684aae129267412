#include "bus/bus_metrics.h"

namespace countersign::bus {
namespace {

base::Counter& publications(base::Metrics& metrics, const char* result) {
  return metrics.counter("countersign_bus_publications_total",
                         "Publications by what became of them", {{"result", result}});
}

base::Counter& gaps(base::Metrics& metrics, const char* reason) {
  return metrics.counter("countersign_bus_gaps_total",
                         "Times that publications may have been missed, by why",
                         {{"reason", reason}});
}

}  // namespace

BusMetrics::BusMetrics(base::Metrics& metrics)
    : connected(metrics.gauge("countersign_bus_connected", "1 while the bus is there")),
      nodes(metrics.gauge("countersign_bus_nodes", "Nodes that are heard, this one included")),
      published(publications(metrics, "published")),
      overloaded(publications(metrics, "overloaded")),
      away(publications(metrics, "away")),
      lost(publications(metrics, "lost")),
      received(metrics.counter("countersign_bus_received_total", "Publications that handlers got")),
      gaps_returned(gaps(metrics, "returned")),
      gaps_slow(gaps(metrics, "slow")),
      gaps_error(gaps(metrics, "error")),
      gaps_missed(gaps(metrics, "missed")) {}

}  // namespace countersign::bus

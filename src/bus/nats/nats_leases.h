// Leases in a JetStream key-value bucket: compare-and-set on the sequence of a key's last message,
// and the bucket's maximal age as the time to live.
//
// The bucket stands in memory, on three servers of a cluster (one, if there is one): losing it
// loses leases, which end by themselves anyway. It is made again when it is gone. Thread-safety:
// every call may be made from any thread; they block. Source: ADR-8 of nats-architecture; libnats's
// own KV calls hide why a change was refused.
#ifndef COUNTERSIGN_BUS_NATS_NATS_LEASES_H_
#define COUNTERSIGN_BUS_NATS_NATS_LEASES_H_

#include <chrono>
#include <memory>
#include <string>

#include "bus/nats/nats_core.h"

namespace countersign::bus {

/// Makes the bucket, or brings it up to date. kBusFailed, with a word on JetStream if that is why.
Result<std::unique_ptr<Leases>> open_nats_leases(std::shared_ptr<NatsCore> core, std::string bucket,
                                                 std::chrono::milliseconds time_to_live);

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_NATS_NATS_LEASES_H_

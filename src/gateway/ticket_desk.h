// The ticket desk: verifies user tickets against the present key ring.
// Thread-safety: verify() may be called from any thread.
// Source: docs/reference/ticket-format.md.
#ifndef COUNTERSIGN_GATEWAY_TICKET_DESK_H_
#define COUNTERSIGN_GATEWAY_TICKET_DESK_H_

#include <functional>
#include <memory>
#include <string_view>

#include "countersign/key_ring.h"
#include "countersign/policy.h"
#include "countersign/replay_cache.h"
#include "countersign/result.h"
#include "countersign/user_ticket.h"

#include "base/clock.h"
#include "gateway/connection_machine.h"

namespace countersign::gateway {

/// Gives the ring in force; it may be another one each time.
using KeyRingProvider = std::function<std::shared_ptr<const KeyRing>()>;

class TicketDesk {
 public:
  /// @param replay_capacity  how many tickets are remembered so that another device cannot use them
  ///                         again; 0 switches that off.
  TicketDesk(KeyRingProvider ring, Policy policy, std::size_t replay_capacity);

  /// Verifies; the errors are those of UserTicketVerifier::verify().
  /// @param device  who presents it; matters only while repeats are told apart.
  Result<TicketFacts> verify(std::string_view ticket, std::string_view device,
                             base::SystemTime now) const;

 private:
  const KeyRingProvider ring_;
  const Policy policy_;
  const std::unique_ptr<BoundedReplayCache> replay_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_TICKET_DESK_H_

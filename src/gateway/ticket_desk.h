// The ticket desk: verifies user tickets against the present key ring. Where a ticket is good for
// one device only, it also says under which name and until when the store has to remember it; only
// the store, which all nodes share and which survives them, can tell whether it was shown before.
// Thread-safety: verify() may be called from any thread.
// Source: docs/reference/ticket-format.md; docs/reference/protocol.md, "A ticket for one device".
#ifndef COUNTERSIGN_GATEWAY_TICKET_DESK_H_
#define COUNTERSIGN_GATEWAY_TICKET_DESK_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "countersign/key_ring.h"
#include "countersign/policy.h"
#include "countersign/result.h"
#include "countersign/user_ticket.h"

#include "base/clock.h"
#include "gateway/connection_machine.h"

namespace countersign::gateway {

/// Gives the ring in force; it may be another one each time.
using KeyRingProvider = std::function<std::shared_ptr<const KeyRing>()>;

class TicketDesk {
 public:
  /// How many presented tickets the store may remember.
  struct ReplayBounds {
    std::size_t tickets = 0;  ///< in all; 0: a ticket is good for any number of devices
    std::size_t tickets_of_user = 0;
  };

  TicketDesk(KeyRingProvider ring, Policy policy, ReplayBounds replay);

  /// Verifies; the errors are those of UserTicketVerifier::verify().
  Result<TicketFacts> verify(std::string_view ticket, base::SystemTime now) const;

 private:
  const KeyRingProvider ring_;
  const Policy policy_;
  const ReplayBounds replay_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_TICKET_DESK_H_

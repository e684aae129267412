#include "gateway/ticket_desk.h"

#include <chrono>
#include <optional>
#include <utility>

namespace countersign::gateway {
namespace {

base::SystemTime to_system_time(Instant instant) {
  return std::chrono::time_point_cast<base::SystemTime::duration>(instant);
}

}  // namespace

TicketDesk::TicketDesk(KeyRingProvider ring, Policy policy, std::size_t replay_capacity)
    : ring_(std::move(ring)),
      policy_(policy),
      replay_(replay_capacity == 0 ? nullptr
                                   : std::make_unique<BoundedReplayCache>(replay_capacity)) {}

Result<TicketFacts> TicketDesk::verify(std::string_view ticket, std::string_view device,
                                       base::SystemTime now) const {
  const UserTicketVerifier verifier(ring_(), policy_, replay_.get());
  VerifyOptions options;
  options.presenter = device;
  const auto verified = verifier.verify(ticket, now, options);
  if (!verified) return verified.failure();

  TicketFacts facts;
  facts.application_key = verified->application_key();
  facts.identity = verified->identity();
  facts.created = to_system_time(verified->created());
  facts.expires = to_system_time(verified->expires_at());
  if (verified->session()) facts.session = base::SessionHandle(*verified->session());
  return facts;
}

}  // namespace countersign::gateway

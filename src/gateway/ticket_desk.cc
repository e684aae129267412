#include "gateway/ticket_desk.h"

#include <array>
#include <chrono>
#include <string>
#include <utility>

#include "base/encoding.h"

namespace countersign::gateway {
namespace {

base::SystemTime to_system_time(Instant instant) {
  return std::chrono::time_point_cast<base::SystemTime::duration>(instant);
}

std::string digest_of(const std::array<std::byte, 32>& mac) {
  return base::to_string(
      base::sha256(std::string_view(reinterpret_cast<const char*>(mac.data()), mac.size())));
}

}  // namespace

TicketDesk::TicketDesk(KeyRingProvider ring, Policy policy, ReplayBounds replay)
    : ring_(std::move(ring)), policy_(policy), replay_(replay) {}

Result<TicketFacts> TicketDesk::verify(std::string_view ticket, base::SystemTime now) const {
  const UserTicketVerifier verifier(ring_(), policy_);
  const auto verified = verifier.verify(ticket, now);
  if (!verified) return verified.failure();

  TicketFacts facts;
  facts.application_key = verified->application_key();
  facts.identity = verified->identity();
  facts.created = to_system_time(verified->created());
  facts.expires = to_system_time(verified->expires_at());
  if (verified->session()) facts.session = base::SessionHandle(*verified->session());
  if (replay_.tickets > 0) {
    storage::PresentedTicket& presented = facts.presented.emplace();
    presented.digest = digest_of(verified->mac());
    presented.expires = facts.expires + policy_.clock_skew;
    presented.max_noted = replay_.tickets;
    presented.max_noted_of_identity = replay_.tickets_of_user;
  }
  return facts;
}

}  // namespace countersign::gateway

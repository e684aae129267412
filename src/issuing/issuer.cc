#include "issuing/issuer.h"

#include <algorithm>
#include <utility>

#include "countersign/user_ticket.h"

#include "base/log.h"

namespace countersign::issuing {
namespace {

constexpr const char* kMetric = "countersign_tickets_total";
constexpr const char* kMetricHelp = "Tickets asked for by result";

}  // namespace

Issuer::Issuer(std::shared_ptr<const KeyRing> ring, storage::Store& store,
               sessions::SessionService& sessions, const base::Clock& clock, base::Metrics& metrics,
               IssuerOptions options)
    : ring_(std::move(ring)),
      store_(store),
      sessions_(sessions),
      clock_(clock),
      options_(std::move(options)),
      issued_(metrics.counter(kMetric, kMetricHelp, {{"result", "issued"}})),
      refused_(metrics.counter(kMetric, kMetricHelp, {{"result", "refused"}})) {}

Result<IssuedTicket> Issuer::issue(const storage::SessionView& view, std::string_view request_id) {
  Result<IssuedTicket> ticket = mint(view);
  const std::string_view type = identity_type_name(
      options_.identity == IdentityMode::kEmail ? IdentityType::kEmail : IdentityType::kUsername);
  if (ticket) {
    issued_.add();
    base::log_info("ticket_issued", {{"account", view.account.id.text()},
                                     {"session", view.session.handle.text()},
                                     {"identity_type", type},
                                     {"request_id", request_id}});
  } else {
    refused_.add();
    base::log_warning("ticket_not_issued", {{"account", view.account.id.text()},
                                            {"reason", error_name(ticket.code())},
                                            {"detail", ticket.error().detail},
                                            {"request_id", request_id}});
  }
  return ticket;
}

Result<IssuedTicket> Issuer::mint(const storage::SessionView& view) {
  Result<Identity> identity = identity_of(view.account, options_.identity);
  if (!identity) return identity.failure();

  RawUserTicket raw;
  raw.identity = *std::move(identity);
  raw.application_key = options_.application_key;
  if (options_.session_member) {
    raw.created = std::max(std::chrono::floor<std::chrono::seconds>(clock_.now()),
                           base::second_after(view.session.created));
    raw.session = view.session.handle.text();
  } else {
    const Result<std::chrono::sys_seconds> stamp = stamp_after_watermark(view, raw.identity);
    if (!stamp) return stamp.failure();
    raw.created = *stamp;
  }
  const auto session_end =
      std::chrono::floor<std::chrono::seconds>(view.session.created + options_.session_limit);
  raw.expires_in = std::min(options_.lifetime, session_end - raw.created);
  if (raw.expires_in < std::chrono::seconds(1)) {
    return fail(ErrorCode::kNotSignedIn, "the session is at its end");
  }

  const Result<CompactUserTicket> compact = mint_user_ticket(*ring(), raw);
  if (!compact) return compact.failure();
  return IssuedTicket{compact->text(), raw.created + raw.expires_in, std::move(raw.identity)};
}

Result<std::chrono::sys_seconds> Issuer::stamp_after_watermark(const storage::SessionView& view,
                                                               const Identity& identity) {
  // The order matters. A sign-out that comes before the session is looked up is seen there; one
  // that comes after it leaves a watermark later than this `now`.
  const auto now = std::chrono::floor<std::chrono::seconds>(clock_.now());
  const Result<base::SystemTime> watermark =
      store_.revocations().watermark(options_.application_key, identity);
  if (!watermark) return watermark.failure();
  const Result<sessions::SessionCache::View> live = sessions_.find_live(view.session.handle);
  if (!live) return live.failure();
  if (*live == nullptr) return fail(ErrorCode::kNotSignedIn, "the session has ended");
  return std::max(now, base::second_after(*watermark));
}

void Issuer::set_ring(std::shared_ptr<const KeyRing> ring) {
  const std::lock_guard lock(mutex_);
  ring_ = std::move(ring);
}

std::shared_ptr<const KeyRing> Issuer::ring() const {
  const std::lock_guard lock(mutex_);
  return ring_;
}

}  // namespace countersign::issuing

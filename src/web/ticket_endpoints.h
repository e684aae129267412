// TicketEndpoints: where tickets come from: POST /v1/tickets for the person signed in, and
// POST /api/auth for a user name and password.
// Thread-safety: every call may be made from any shard.
#ifndef COUNTERSIGN_WEB_TICKET_ENDPOINTS_H_
#define COUNTERSIGN_WEB_TICKET_ENDPOINTS_H_

#include <optional>

#include "web/call.h"

namespace countersign::web {

class TicketEndpoints {
 public:
  /// `site` outlives this.
  explicit TicketEndpoints(const SiteContext& site) : site_(site) {}

  /// A ticket for the live session of `view`. The hot path: no I/O unless the issuer needs_store(),
  /// and then it must run on a worker.
  net::Response issue(const sessions::SessionCache::View& view, const net::Request& request) const;
  /// The same wherever it has to run.
  net::Awaitable<net::Response> tickets(const Call& call) const;

  /// User name and password in the body or, if the operator allows it, in the query.
  net::Awaitable<net::Response> api_auth(Call& call) const;

 private:
  const SiteContext& site_;
};

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_TICKET_ENDPOINTS_H_

#include "web/ticket_endpoints.h"

#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "web/answers.h"

namespace countersign::web {
namespace {

/// `{"userTicket":"…","expiresAt":"…"}`. A ticket is base64 and a colon, an instant plain ASCII:
/// neither needs escaping.
std::string ticket_body(const issuing::IssuedTicket& ticket) {
  static constexpr std::string_view kBegin = "{\"userTicket\":\"";
  static constexpr std::string_view kBetween = "\",\"expiresAt\":\"";
  const std::string expires = base::format_rfc3339(ticket.expires_at);
  std::string body;
  body.reserve(kBegin.size() + ticket.text.size() + kBetween.size() + expires.size() + 2);
  body += kBegin;
  body += ticket.text;
  body += kBetween;
  body += expires;
  body += "\"}";
  return body;
}

/// True if the query names a credential. A query that cannot be decoded counts: better refused than
/// let past.
bool names_credentials(std::string_view query, const Result<Fields>& decoded) {
  if (query.empty()) return false;
  return !decoded.ok() || decoded->has("username") || decoded->has("password");
}

}  // namespace

net::Response TicketEndpoints::issue(const sessions::SessionCache::View& view,
                                     const net::Request& request) const {
  Result<issuing::IssuedTicket> ticket = site_.issuer.issue(*view, request.id);
  if (!ticket) return problem(ticket.code(), request.id);
  return json(200, ticket_body(*ticket));
}

net::Awaitable<net::Response> TicketEndpoints::tickets(const Call& call) const {
  if (!site_.issuer.needs_store()) co_return issue(call.session, call.request);
  auto work = [&issuer = site_.issuer, view = call.session, id = call.request.id] {
    return issuer.issue(*view, id);
  };
  const Result<issuing::IssuedTicket> ticket =
      co_await net::offload(call.shard, site_.workers, std::move(work));
  if (!ticket) co_return problem(ticket.code(), call.request.id);
  co_return json(200, ticket_body(*ticket));
}

net::Awaitable<net::Response> TicketEndpoints::api_auth(Call& call) const {
  Result<Fields> query = decode_form(call.request.query);
  if (names_credentials(call.request.query, query)) {
    if (!site_.options.query_credentials) {
      co_return problem(ErrorCode::kQueryCredentials, call.request.id);
    }
    if (!query) co_return problem(query.code(), call.request.id);
    call.fields = *std::move(query);
  }
  if (!call.fields.has("username") || !call.fields.has("password")) {
    co_return problem(ErrorCode::kBadRequest, call.request.id);
  }
  accounts::SignInRequest typed;
  typed.name = call.fields.get("username");
  typed.password = call.fields.secret("password");
  typed.prefix = client_prefix(call.request, site_.options.throttle_ipv4_bits);
  typed.wants_device = false;
  typed.request_id = call.request.id;
  const std::string place = typed.prefix.narrow;
  Result<accounts::SignInAttempt> attempt = site_.api_sign_in.admit(std::move(typed));
  if (!attempt) co_return problem(attempt.code(), call.request.id);

  auto issue_ticket = [&site = site_, place, id = call.request.id](
                          accounts::Authenticated person) -> Result<issuing::IssuedTicket> {
    const Result<sessions::SessionCache::View> view =
        site.sessions.api_session(person.account, place, site.issuer.options().lifetime);
    if (!view) return view.failure();
    return site.issuer.issue(**view, id);
  };
  const Result<issuing::IssuedTicket> ticket = co_await run_steps<issuing::IssuedTicket>(
      site_, call.shard, site_.api_sign_in, *std::move(attempt), std::move(issue_ticket));
  co_await wait_for_floor(site_, call.shard, site_.api_floor, call.began);
  // Just the one member: what the tutorial's pages hand on to start() as it is.
  if (ticket.ok()) co_return json(200, "{\"userTicket\":\"" + ticket->text + "\"}");
  // The tutorial's pages know one refusal: 403.
  const int status = http_status(wire_code(ticket.code()));
  co_return problem(ticket.code(), status == 401 ? 403 : status, call.request.id);
}

}  // namespace countersign::web

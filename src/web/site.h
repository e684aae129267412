// Site: everything that is answered over plain HTTP: pages, the JSON endpoints, files, health.
//
// A request is matched against the route table, judged by the cross-site rule, given its session,
// and handed to its handler; every answer leaves with the same security headers and one line in the
// access log, which names the route and never a query, a cookie or a body.
// Thread-safety: every call may be made from any shard.
#ifndef COUNTERSIGN_WEB_SITE_H_
#define COUNTERSIGN_WEB_SITE_H_

#include <optional>
#include <span>
#include <string_view>

#include "net/http_handler.h"
#include "web/account_pages.h"
#include "web/assets.h"
#include "web/client_pages.h"
#include "web/pages.h"
#include "web/routes.h"
#include "web/sign_in_pages.h"
#include "web/site_context.h"
#include "web/ticket_endpoints.h"

namespace countersign::web {

class Site final : public net::HttpHandler {
 public:
  /// Everything that `context` refers to outlives the site.
  explicit Site(SiteContext context);

  std::size_t body_limit(std::string_view method, std::string_view path) const override;
  net::Awaitable<net::Response> handle(net::Request& request, net::Shard& shard) override;
  net::Response refuse(ErrorCode code) const override;

  /// The route table, for documents and tests.
  static std::span<const Route> routes() { return web::routes(); }

 private:
  net::Awaitable<net::Response> answer(const net::Request& request, net::Shard& shard,
                                       const RouteMatch& match, base::SteadyTime began);
  net::Awaitable<net::Response> dispatch(Call& call);
  /// The cross-site rule and the form token; reads the body. Nothing: the request may go on.
  std::optional<net::Response> guard(Call& call) const;
  net::Response unmatched(const net::Request& request, const RouteMatch& match) const;
  net::Response not_signed_in(const Call& call) const;
  net::Response asset(const net::Request& request) const;
  net::Response health(const net::Request& request, bool ready) const;
  net::Response refuse_call(const Call& call, ErrorCode code) const;
  void note(const net::Request& request, const Route* route, const net::Response& response,
            base::SteadyTime began) const;

  const SiteContext context_;
  const Assets assets_;
  const Pages pages_;
  const SignInPages sign_in_pages_;
  const AccountPages account_pages_;
  const ClientPages client_pages_;
  const TicketEndpoints ticket_endpoints_;
};

/// Serves /metrics in the Prometheus text format, on its own listener, and nothing else.
class MetricsSite final : public net::HttpHandler {
 public:
  /// `metrics` outlives this.
  explicit MetricsSite(const base::Metrics& metrics) : metrics_(metrics) {}

  std::size_t body_limit(std::string_view method, std::string_view path) const override;
  net::Awaitable<net::Response> handle(net::Request& request, net::Shard& shard) override;
  net::Response refuse(ErrorCode code) const override;

 private:
  const base::Metrics& metrics_;
};

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_SITE_H_

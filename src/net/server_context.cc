#include "net/server_context.h"

#include <algorithm>
#include <string>

#include "net/text.h"

namespace countersign::net {
namespace {

base::Counter* requests_of_class(base::Metrics& metrics, int first_digit) {
  return &metrics.counter("countersign_http_requests_total", "HTTP answers by status class",
                          {{"class", std::to_string(first_digit) + "xx"}});
}

base::Counter& refusals_for(base::Metrics& metrics, const char* reason) {
  return metrics.counter("countersign_net_refused_total", "Connections over a limit",
                         {{"reason", reason}});
}

std::uint64_t random_number(base::Random& random) {
  std::uint64_t number = 0;
  random.fill(std::span(reinterpret_cast<std::uint8_t*>(&number), sizeof number));
  return number;
}

}  // namespace

NetMetrics::NetMetrics(base::Metrics& metrics)
    : connections(metrics.gauge("countersign_net_connections", "Connections now open")),
      websockets(metrics.gauge("countersign_net_websockets", "WebSocket connections now open")),
      requests{requests_of_class(metrics, 1), requests_of_class(metrics, 2),
               requests_of_class(metrics, 3), requests_of_class(metrics, 4),
               requests_of_class(metrics, 5)},
      refused_total(refusals_for(metrics, "total")),
      refused_address(refusals_for(metrics, "address")),
      refused_unanswered(refusals_for(metrics, "unanswered")),
      accept_failures(metrics.counter("countersign_net_accept_failures_total",
                                      "Times accept failed for want of files or memory")),
      tls_failures(
          metrics.counter("countersign_net_tls_failures_total", "TLS handshakes that failed")),
      slow_readers(metrics.counter("countersign_net_slow_readers_total",
                                   "WebSockets closed because the client did not read")) {}

ServerContext::ServerContext(ServerOptions options_, HttpHandler& handler_, WebSocketDoor* door_,
                             const base::Clock& clock_, base::Random& random_,
                             base::Metrics& metrics_)
    : options(std::move(options_)),
      handler(handler_),
      door(door_),
      clock(clock_),
      random(random_),
      metrics(metrics_),
      limits(options.limits.max_connections, options.limits.max_connections_per_address,
             random_number(random_)) {}

Response ServerContext::refusal(ErrorCode code, const Request* head) const {
  Response response = head != nullptr ? handler.refuse_request(code, *head) : handler.refuse(code);
  const bool says_when = std::any_of(
      response.headers.begin(), response.headers.end(),
      [](const auto& header) { return equals_ignoring_case(header.first, "retry-after"); });
  if (response.status == 503 && !says_when) response.set("retry-after", "5");
  return response;
}

}  // namespace countersign::net

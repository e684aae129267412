#include "web/gateway_door.h"

#include <utility>

#include "base/log.h"
#include "web/answers.h"
#include "web/routes.h"

namespace countersign::web {
namespace {

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool offers_subprotocol(const net::Request& request) {
  for (const net::Request::Field& field : request.fields) {
    if (field.name != "sec-websocket-protocol") continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const std::size_t comma = rest.find(',');
      if (trim(rest.substr(0, comma)) == kGatewaySubprotocol) return true;
      rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    }
  }
  return false;
}

/// What an address counts as: IPv4 whole, IPv6 by its /64.
std::string place_of(const net::Request& request) { return request.client.prefix(32, 64); }

}  // namespace

/// Hands everything on to the gateway's handler and gives the address its place back at the end.
class GatewayDoor::Counted final : public gateway::ChannelHandler {
 public:
  Counted(GatewayDoor& door, std::string place, std::unique_ptr<gateway::ChannelHandler> inner)
      : door_(door), place_(std::move(place)), inner_(std::move(inner)) {}
  ~Counted() override { door_.give_back(place_); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  void on_open(gateway::Channel& channel) override { inner_->on_open(channel); }
  void on_frame(std::string_view frame) override { inner_->on_frame(frame); }
  void on_timer() override { inner_->on_timer(); }
  void on_closed() override { inner_->on_closed(); }

 private:
  GatewayDoor& door_;
  const std::string place_;
  std::unique_ptr<gateway::ChannelHandler> inner_;
};

GatewayDoor::GatewayDoor(GatewayDoorOptions options, const SiteOrigin& origin, Opener open,
                         base::Metrics& metrics)
    : options_(options),
      origin_(origin),
      open_(std::move(open)),
      accepted_(metrics.counter("countersign_gateway_handshakes_total",
                                "WebSocket handshakes at the gateway's door",
                                {{"result", "accepted"}})),
      refused_(metrics.counter("countersign_gateway_handshakes_total",
                               "WebSocket handshakes at the gateway's door",
                               {{"result", "refused"}})) {}

net::WebSocketDoor::Decision GatewayDoor::decide(const net::Request& request, net::Shard& shard) {
  if (!offers_subprotocol(request)) {
    refused_.add();
    net::Response response = problem(ErrorCode::kUpgradeRequired, request.id);
    response.set("Upgrade", "websocket");
    response.set("Sec-WebSocket-Protocol", std::string(kGatewaySubprotocol));
    add_common_headers(response, &request, find_route("GET", kGatewayPath).route, origin_);
    return response;
  }
  const std::size_t origins = request.count("origin");
  const bool welcome =
      origins == 0 || (origins == 1 && origin_.is_ours_or_listed(request.header("origin")));
  if (!welcome) return refuse(request, CloseCode::kOrigin);

  std::string place = place_of(request);
  if (!take_place(place)) return refuse(request, CloseCode::kConnectionLimit);
  accepted_.add();
  Accept accept;
  accept.handler = std::make_unique<Counted>(*this, std::move(place), open_(request, shard));
  accept.subprotocol = kGatewaySubprotocol;
  accept.max_frame_bytes = options_.max_frame_bytes;
  accept.max_queued_bytes = options_.max_queued_bytes;
  return accept;
}

net::WebSocketDoor::Decision GatewayDoor::refuse(const net::Request& request, CloseCode code) {
  refused_.add();
  base::log_info("gateway_handshake_refused", {{"request_id", request.id},
                                               {"close_code", static_cast<int>(code)},
                                               {"reason", close_name(code)},
                                               {"client", place_of(request)}});
  return RefuseAfterHandshake{code, std::string(kGatewaySubprotocol)};
}

bool GatewayDoor::take_place(const std::string& prefix) {
  const std::lock_guard lock(mutex_);
  const auto at = held_.find(prefix);
  if (at == held_.end()) {
    if (options_.max_connections_per_address == 0) return false;
    held_.emplace(prefix, 1);
    return true;
  }
  if (at->second >= options_.max_connections_per_address) return false;
  ++at->second;
  return true;
}

void GatewayDoor::give_back(const std::string& prefix) {
  const std::lock_guard lock(mutex_);
  const auto at = held_.find(prefix);
  if (at != held_.end() && --at->second == 0) held_.erase(at);
}

std::size_t GatewayDoor::held_by(const std::string& prefix) const {
  const std::lock_guard lock(mutex_);
  const auto at = held_.find(prefix);
  return at == held_.end() ? 0 : at->second;
}

}  // namespace countersign::web

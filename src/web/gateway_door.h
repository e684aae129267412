// GatewayDoor: who may open the gateway's WebSocket, GET /v1/gateway.
//
// Browsers send cookies and an Origin with every handshake and ask nobody. So cookies are never
// looked at (the first command must bring a ticket), and an Origin must be ours or listed; native
// programs send none. Browsers show scripts nothing of a refused handshake, so a refusal that they
// should understand comes as a close code right after it.
// Thread-safety: decide() may be called from any shard.
// Source: RFC 6455 sections 4.2 and 10.2; docs/reference/protocol.md.
#ifndef COUNTERSIGN_WEB_GATEWAY_DOOR_H_
#define COUNTERSIGN_WEB_GATEWAY_DOOR_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/metrics.h"
#include "net/http_handler.h"
#include "web/site_origin.h"

namespace countersign::web {

inline constexpr std::string_view kGatewayPath = "/v1/gateway";
inline constexpr std::string_view kGatewaySubprotocol = "countersign.v1.json";

struct GatewayDoorOptions {
  /// WebSockets that one client's IPv4 address or IPv6 /64 may hold; beyond it: 4504. The server
  /// limits the connections of one peer; behind a proxy all clients are one peer.
  std::size_t max_connections_per_address = 512;
  std::size_t max_frame_bytes = 64 * 1024;
  std::size_t max_queued_bytes = 256 * 1024;
};

class GatewayDoor final : public net::WebSocketDoor {
 public:
  /// Makes the gateway's side of a connection: gateway::Gateway::open.
  using Opener = std::function<std::unique_ptr<gateway::ChannelHandler>(const net::Request& request,
                                                                        net::Shard& shard)>;

  /// `origin` and `metrics` outlive the door; every handler it gave out dies before it.
  GatewayDoor(GatewayDoorOptions options, const SiteOrigin& origin, Opener open,
              base::Metrics& metrics);

  bool serves(std::string_view path) const override { return path == kGatewayPath; }
  Decision decide(const net::Request& request, net::Shard& shard) override;

  /// WebSockets that addresses of this prefix hold now.
  std::size_t held_by(const std::string& prefix) const;

 private:
  class Counted;
  bool take_place(const std::string& prefix);
  void give_back(const std::string& prefix);
  Decision refuse(const net::Request& request, CloseCode code);

  const GatewayDoorOptions options_;
  const SiteOrigin& origin_;
  const Opener open_;
  base::Counter& accepted_;
  base::Counter& refused_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::size_t> held_;
};

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_GATEWAY_DOOR_H_

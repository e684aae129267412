// The classic plane: publish and subscribe over plain GETs, as the classic SDK's library does it.
//
// A request that waits is a net::HeldAnswer: between news it costs what an idle connection costs,
// and the gateway is told when its client goes.
// Thread-safety: every call may be made from any shard; what is held stays on its own.
// Source: docs/reference/classic-door.md, "Publish-subscribe".
#ifndef COUNTERSIGN_WEB_CLASSIC_CLASSIC_PLANE_H_
#define COUNTERSIGN_WEB_CLASSIC_CLASSIC_PLANE_H_

#include <chrono>
#include <string_view>

#include "gateway/classic/classic_gateway.h"
#include "net/http_handler.h"

namespace countersign::web::classic {

struct ClassicPlaneOptions {
  /// How long the answer to what nobody can obey is held back: the SDK asks again every second,
  /// for ever, and gives up on anything but a poll after 15 s.
  std::chrono::milliseconds poll_refusal{10'000};
  std::chrono::milliseconds other_refusal{2'000};
  /// When an answer is given up that the gateway owes: for ever is too long. The SDK waits 310 s
  /// for a poll, 15 s for the rest.
  std::chrono::milliseconds poll_limit{295'000};
  std::chrono::milliseconds publish_limit{13'000};
};

class ClassicPlane {
 public:
  /// `gateway` outlives this.
  ClassicPlane(ClassicPlaneOptions options, gateway::classic::ClassicGateway& gateway)
      : options_(options), gateway_(gateway) {}

  /// Answers a GET of one of the plane's paths.
  net::Response answer(const net::Request& request, net::Shard& shard) const;
  /// Refuses what is no such GET, or before it is one.
  static net::Response refuse(std::string_view path, ErrorCode code);

 private:
  const ClassicPlaneOptions options_;
  gateway::classic::ClassicGateway& gateway_;
};

}  // namespace countersign::web::classic

#endif  // COUNTERSIGN_WEB_CLASSIC_CLASSIC_PLANE_H_

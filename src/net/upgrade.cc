#include "net/upgrade.h"

#include <exception>

#include "base/log.h"
#include "net/websocket_handshake.h"

namespace countersign::net {

bool is_upgrade(const ServerContext& server, const Request& request) {
  return server.door != nullptr && wants_websocket(request) && server.door->serves(request.path);
}

WebSocketDoor::Decision decide_upgrade(ShardImpl& shard, const Request& request,
                                       Admission& admission) {
  ServerContext& server = shard.server();
  const bool proxied = request.client != request.peer;
  if (admission.refused() || (proxied && !server.limits.count_client(admission, request.client))) {
    // Browsers drop a handshake that names none of the subprotocols they offered, and the close
    // code with it.
    return WebSocketDoor::RefuseAfterHandshake{CloseCode::kConnectionLimit,
                                               first_offered_subprotocol(request)};
  }
  try {
    return server.door->decide(request, shard);
  } catch (const std::exception& escaped) {
    base::log_error("upgrade_failed", {{"request_id", request.id}, {"what", escaped.what()}});
    return server.refusal(ErrorCode::kInternal);
  }
}

}  // namespace countersign::net

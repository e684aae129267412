// What becomes of a request to upgrade to a WebSocket, before anything is answered.
// Thread-safety: called on the shard that serves the connection.
#ifndef COUNTERSIGN_NET_UPGRADE_H_
#define COUNTERSIGN_NET_UPGRADE_H_

#include "net/connection_limits.h"
#include "net/http_message.h"
#include "net/server.h"
#include "net/shard_impl.h"

namespace countersign::net {

/// True if `request` asks for a WebSocket at a path where the server's door has one.
bool is_upgrade(const ServerContext& server, const Request& request);

/// The door's decision on such a request; a refusal with kConnectionLimit if `admission` says that
/// there are too many connections already, from the peer or from the client behind a trusted proxy,
/// who is counted here.
WebSocketDoor::Decision decide_upgrade(ShardImpl& shard, const Request& request,
                                       Admission& admission);

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_UPGRADE_H_

// The life of an HTTP connection: requests one after the other until somebody ends it or it becomes
// a WebSocket.
// Thread-safety: runs on the shard it is given.
#ifndef COUNTERSIGN_NET_HTTP_SESSION_H_
#define COUNTERSIGN_NET_HTTP_SESSION_H_

#include "net/connection_limits.h"
#include "net/http_handler.h"
#include "net/stream.h"

namespace countersign::net {

class ShardImpl;

/// Serves `stream` to its end. A refused admission gets one answer: 503, or for a WebSocket the
/// close code 4504.
Awaitable<void> serve_http(ShardImpl& shard, Stream stream, IpAddress peer, Admission admission);

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_HTTP_SESSION_H_

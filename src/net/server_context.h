// ServerContext: what all shards of a server share.
// Thread-safety: the references are constant; each member says or is itself safe.
#ifndef COUNTERSIGN_NET_SERVER_CONTEXT_H_
#define COUNTERSIGN_NET_SERVER_CONTEXT_H_

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "net/connection_limits.h"
#include "net/server.h"
#include "net/tls_context.h"

namespace countersign::net {

/// The room's metrics, looked up once.
struct NetMetrics {
  explicit NetMetrics(base::Metrics& metrics);

  base::Gauge& connections;
  base::Gauge& websockets;
  std::array<base::Counter*, 5> requests;  ///< by status class, 1xx first
  base::Counter& refused_total;
  base::Counter& refused_address;
  base::Counter& refused_unanswered;
  base::Counter& accept_failures;
  base::Counter& tls_failures;
  base::Counter& slow_readers;
};

struct ServerContext {
  ServerContext(ServerOptions options_, HttpHandler& handler_, WebSocketDoor* door_,
                const base::Clock& clock_, base::Random& random_, base::Metrics& metrics_);

  /// The handler's answer to a request that never reached it; 503 says when to come again.
  /// @param head  the request as far as it is known; null: not even its head.
  Response refusal(ErrorCode code, const Request* head = nullptr) const;

  /// The certificate for new connections; null when the server speaks plain HTTP.
  std::shared_ptr<const TlsContext> tls() const {
    const std::lock_guard lock(tls_mutex_);
    return tls_context_;
  }
  void set_tls(std::shared_ptr<const TlsContext> context) {
    const std::lock_guard lock(tls_mutex_);
    tls_context_ = std::move(context);
  }

  const ServerOptions options;
  HttpHandler& handler;
  WebSocketDoor* const door;
  const base::Clock& clock;
  base::Random& random;
  NetMetrics metrics;
  ConnectionLimits limits;
  std::atomic<bool> draining{false};

 private:
  mutable std::mutex tls_mutex_;
  std::shared_ptr<const TlsContext> tls_context_;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_SERVER_CONTEXT_H_

// Server: one acceptor, one io_context (shard) a core, HTTP/1.1 and WebSocket with or without TLS.
//
// The acceptor hands each socket to the least loaded shard; a connection lives and dies there.
// Thread-safety: start, drain and stop from one thread; the rest from any.
#ifndef COUNTERSIGN_NET_SERVER_H_
#define COUNTERSIGN_NET_SERVER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "net/http_handler.h"

namespace countersign::net {

/// Limits of every connection. Bytes and durations; the settings `limits.*` fill them.
struct ServerLimits {
  std::size_t max_header_bytes = 16 * 1024;
  std::size_t max_connections = 18'000;              ///< of the whole server
  std::size_t max_connections_per_address = 512;     ///< IPv4 address or IPv6 /64
  std::chrono::milliseconds header_timeout{10'000};  ///< first byte to end of headers
  std::chrono::milliseconds body_timeout{20'000};
  std::chrono::milliseconds idle_timeout{60'000};  ///< keep-alive, between requests
  std::chrono::milliseconds write_timeout{20'000};
  std::chrono::milliseconds handshake_timeout{10'000};  ///< TLS
};

struct ServerOptions {
  std::string host =
      "127.0.0.1";         ///< name, IPv4 or IPv6 address; `localhost` binds 127.0.0.1 and ::1
  std::uint16_t port = 0;  ///< 0: a free one
  std::vector<std::uint16_t> more_ports;  ///< of the same host; everything is served there too
  std::size_t shards = 0;                 ///< 0: one a core
  std::optional<std::string> certificate_file;  ///< PEM chain; with key_file: TLS 1.2 and 1.3
  std::optional<std::string> key_file;
  std::vector<Network> trusted_proxies;
  ServerLimits limits;
};

/// A thread with an io_context. Implements base::Executor: post() from any thread.
class Shard : public base::Executor {
 public:
  virtual std::size_t index() const = 0;
  virtual boost::asio::io_context& context() = 0;
};

class Server {
 public:
  /// `handler` and `door` (may be null) must outlive the server.
  static std::unique_ptr<Server> create(ServerOptions options, HttpHandler& handler,
                                        WebSocketDoor* door, const base::Clock& clock,
                                        base::Random& random, base::Metrics& metrics);
  virtual ~Server() = default;

  /// Binds and begins to serve. kAddressInUse, kBadCertificate, kUnreadableFile, kBadSetting.
  virtual Result<void> start() = 0;
  /// The port it listens on, after start().
  virtual std::uint16_t port() const = 0;
  virtual bool tls() const = 0;
  virtual std::size_t shard_count() const = 0;
  virtual Shard& shard(std::size_t index) = 0;
  /// Reads certificate and key again; new connections use them. On failure the old ones stay.
  virtual Result<void> reload_certificate() = 0;
  /// Stops accepting (serving what already waits in the queue), lets requests end, closes idle
  /// connections at once and WebSockets by asking their handlers' owner first (the gateway pushes
  /// `bye`); returns when no connection is left or `limit` has passed.
  virtual void drain(std::chrono::milliseconds limit) = 0;
  /// Ends everything and joins the threads.
  virtual void stop() = 0;
  /// Connections now open.
  virtual std::size_t connections() const = 0;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_SERVER_H_

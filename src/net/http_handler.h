// What the network layer asks of those who answer: an HTTP handler and a WebSocket door.
// Thread-safety: one handler serves all shards, so its calls come from several threads at once;
// a coroutine stays on its shard.
#ifndef COUNTERSIGN_NET_HTTP_HANDLER_H_
#define COUNTERSIGN_NET_HTTP_HANDLER_H_

#include <memory>
#include <string_view>
#include <variant>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "gateway/channel.h"
#include "net/http_message.h"

namespace countersign::net {

/// Coroutines of a shard run on its io_context; the concrete executor saves a virtual call each.
template <class T>
using Awaitable = boost::asio::awaitable<T, boost::asio::io_context::executor_type>;

class Shard;

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;

  /// Largest body in bytes that `method path` takes. A larger one is answered 413 unread.
  virtual std::size_t body_limit(std::string_view method, std::string_view path) const = 0;
  /// Answers one request. Exceptions become 500 and a log line.
  virtual Awaitable<Response> handle(Request& request, Shard& shard) = 0;
  /// Answers what never became a request: 400, 408, 413, 431, 503 for `code`.
  virtual Response refuse(ErrorCode code) const = 0;
  /// The same once the head of the request has been read: its fields can be looked at, the body
  /// cannot.
  virtual Response refuse_request(ErrorCode code, const Request& head) const {
    static_cast<void>(head);
    return refuse(code);
  }
};

class WebSocketDoor {
 public:
  virtual ~WebSocketDoor() = default;

  /// True if an upgrade request to `path` is for this door.
  virtual bool serves(std::string_view path) const = 0;
  /// What to do with an upgrade: a plain HTTP answer; or a handler, with the subprotocol to name;
  /// or a close code that is sent right after the handshake (browsers show page scripts no HTTP
  /// status of a failed handshake).
  struct Accept {
    std::unique_ptr<gateway::ChannelHandler> handler;
    std::string subprotocol;
    std::size_t max_frame_bytes = 64 * 1024;
    std::size_t max_queued_bytes = 256 * 1024;
  };
  struct RefuseAfterHandshake {
    CloseCode code;
    std::string subprotocol;
  };
  using Decision = std::variant<Response, Accept, RefuseAfterHandshake>;
  virtual Decision decide(const Request& request, Shard& shard) = 0;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_HTTP_HANDLER_H_

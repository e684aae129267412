// WebSocketConnection: a gateway channel over a WebSocket.
//
// Callbacks instead of a coroutine, and no buffer of its own while nothing is under way: what an
// idle connection costs is this object, its decoder and one pending wait.
// Thread-safety: none; lives on one shard. Source: RFC 6455.
#ifndef COUNTERSIGN_NET_WEBSOCKET_CONNECTION_H_
#define COUNTERSIGN_NET_WEBSOCKET_CONNECTION_H_

#include <memory>
#include <span>
#include <string>

#include "gateway/channel.h"
#include "net/connection.h"
#include "net/connection_limits.h"
#include "net/http_handler.h"
#include "net/stream.h"
#include "net/timer_wheel.h"
#include "net/websocket_codec.h"

namespace countersign::net {

class ShardImpl;

class WebSocketConnection final : public gateway::Channel,
                                  public Connection,
                                  public std::enable_shared_from_this<WebSocketConnection> {
 public:
  /// How long a closing handshake may take.
  static constexpr std::chrono::milliseconds kCloseTimeout{5'000};
  /// How long a client may leave what waits for it unread before it is closed as slow.
  static constexpr std::chrono::milliseconds kStallTimeout{10'000};

  /// Begins to serve a connection whose 101 answer has been sent; `early` came behind the request.
  static void serve(ShardImpl& shard, Stream stream, Admission admission,
                    WebSocketDoor::Accept accept, std::span<char> early);
  /// Closes a connection whose 101 answer has been sent.
  static void refuse(ShardImpl& shard, Stream stream, Admission admission, CloseCode code);

  WebSocketConnection(ShardImpl& shard, Stream stream, Admission admission,
                      WebSocketDoor::Accept accept);
  ~WebSocketConnection() override;

  // gateway::Channel
  void send(std::string frame) override;
  void close(CloseCode code) override;
  void close_normally() override;
  std::size_t queued_bytes() const override { return output_.size() - output_sent_; }
  void set_timer(std::optional<base::SteadyTime> when) override;
  base::Executor& shard() override;

  // Connection
  void on_drain() override {}
  void on_drain_late() override { close(CloseCode::kShutdown); }
  void on_stop() override;
  void on_gathered() override;

 private:
  enum class Phase : std::uint8_t {
    kOpen,
    kClosing,     ///< our close frame is queued or sent; waiting for the client's
    kDiscarding,  ///< the same after a broken frame: what follows cannot be read
    kEnded,
  };
  /// The handler's timer and our own deadline.
  class HandlerTimer final : public TimerWheel::Timer {
   public:
    explicit HandlerTimer(WebSocketConnection& owner) : owner_(owner) {}

   private:
    void on_expired() override;
    WebSocketConnection& owner_;
  };
  class Deadline final : public TimerWheel::Timer {
   public:
    explicit Deadline(WebSocketConnection& owner) : owner_(owner) {}

   private:
    void on_expired() override;
    WebSocketConnection& owner_;
  };

  void wait_readable();
  void wait_writable();
  void on_readable();
  void process(std::span<char> input);
  void queue(Opcode opcode, std::string_view payload);
  void flush();
  void flush_soon();
  void start_close(std::uint16_t code, std::string_view reason, Phase next);
  void on_deadline();
  /// The connection is gone: ends it now, or as soon as no call of the handler is under way.
  void end();
  void end_later();
  /// Calls into the handler; what it sends leaves in one piece afterwards.
  template <class Call>
  void with_handler(Call call);

  ShardImpl& shard_;
  Stream stream_;
  Admission admission_;
  std::unique_ptr<gateway::ChannelHandler> handler_;
  FrameDecoder decoder_;
  HandlerTimer handler_timer_{*this};
  Deadline deadline_{*this};
  std::string output_;
  std::size_t output_sent_ = 0;
  std::uint32_t max_queued_bytes_;
  Phase phase_ = Phase::kOpen;
  bool corked_ = false;
  bool flush_waits_ = false;
  bool waiting_writable_ = false;
  bool read_wants_write_ = false;
  bool close_received_ = false;
  bool fin_sent_ = false;
  bool ending_ = false;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_WEBSOCKET_CONNECTION_H_

// Channel: one client's connection as the gateway sees it. The network layer implements it over a
// WebSocket; tests implement it with two queues. The gateway knows no socket.
// Thread-safety: a channel and its handler live on one shard; every call is made there.
#ifndef COUNTERSIGN_GATEWAY_CHANNEL_H_
#define COUNTERSIGN_GATEWAY_CHANNEL_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "countersign/codes.h"

#include "base/clock.h"
#include "base/executor.h"

namespace countersign::gateway {

/// What the gateway may do to a connection.
class Channel {
 public:
  virtual ~Channel() = default;

  /// Queues one text frame. Past the channel's byte limit the frame is dropped and the channel
  /// closes itself with 4108 (slow).
  virtual void send(std::string frame) = 0;
  /// Sends what is queued, then a close frame with this code and its name; the handler hears
  /// on_closed() once the connection is gone, at the latest 5 s later. Frames that arrive
  /// meanwhile are dropped. Repeated calls do nothing.
  virtual void close(CloseCode code) = 0;
  /// The same with the WebSocket code 1000 (normal).
  virtual void close_normally() = 0;
  /// Bytes that wait to be sent.
  virtual std::size_t queued_bytes() const = 0;
  /// Asks for on_timer() at `when`, replacing an earlier request; nullopt cancels. The timer is
  /// coarse: it may fire up to 100 ms late, never early.
  virtual void set_timer(std::optional<base::SteadyTime> when) = 0;
  /// The shard the channel lives on.
  virtual base::Executor& shard() = 0;
};

/// What the gateway wants to hear of a connection. Made by the front door when a client asks for
/// the WebSocket; owned by the channel and destroyed after on_closed().
class ChannelHandler {
 public:
  virtual ~ChannelHandler() = default;

  /// The handshake is done; `channel` outlives the handler.
  virtual void on_open(Channel& channel) = 0;
  /// One whole text frame within the size limit, valid UTF-8. Binary, oversized and malformed
  /// frames never get here: the channel closes with 4502 (bad_frame) by itself.
  virtual void on_frame(std::string_view frame) = 0;
  virtual void on_timer() = 0;
  /// The connection is gone, for whatever reason. Nothing is called afterwards.
  virtual void on_closed() = 0;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_CHANNEL_H_

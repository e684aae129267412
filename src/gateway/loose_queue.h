// The loose queue: what a connection may lose. Typing, presence and receipts go out at once while
// the channel has room; once what waits there exceeds half of its limit they wait here, so that the
// other half is left to replies and messages.
//
// A push replaces the one of the same kind and key that waits. Past the byte bound the oldest
// typing goes first, then the oldest presence, then the oldest receipt. Of lost presence the queue
// keeps that there was some: the owner has the presence table tell everything again once there is
// room. Receipts stand in the store.
//
//     queue.put(LooseQueue::Kind::kPresence, key, push, now);
//     while (auto push = queue.next(channel.queued_bytes(), now)) channel.send(std::move(*push));
//     if (queue.take_lost_presence(channel.queued_bytes())) …tell_again()…
// Thread-safety: none; it lives on its connection's shard. An empty one owns no memory.
// Source: docs/reference/messages.md, "Under pressure".
#ifndef COUNTERSIGN_GATEWAY_LOOSE_QUEUE_H_
#define COUNTERSIGN_GATEWAY_LOOSE_QUEUE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace countersign::gateway {

/// One object for all connections; outlives them.
struct LooseLimits {
  std::size_t max_queued_bytes = 256 * 1024;  ///< of the channel; half of it is for what is loose
  std::size_t max_bytes = 32 * 1024;          ///< of what waits here, keys included
  std::chrono::milliseconds typing_life{5'000};  ///< typing that waited longer is of no use
};

class LooseQueue {
 public:
  enum class Kind : std::uint8_t { kTyping, kPresence, kReceipt };

  explicit LooseQueue(const LooseLimits& limits) : limits_(limits) {}

  /// @param key   names what the push is about, within its kind.
  /// @param push  as it goes on the wire.
  void put(Kind kind, std::string_view key, std::string push, base::SteadyTime now);
  /// The next push to be sent now, oldest first; nothing if none waits or the channel, in which
  /// `queued` bytes wait, has no room for it.
  std::optional<std::string> next(std::size_t queued, base::SteadyTime now);
  /// True once after presence was dropped, when the queue has been drained and the channel has
  /// room.
  bool take_lost_presence(std::size_t queued);

  /// Something waits for the channel: call next() when it has sent.
  bool waiting() const { return !items_.empty() || lost_presence_; }
  /// Bytes that wait.
  std::size_t bytes() const { return bytes_; }

 private:
  struct Item {
    Kind kind;
    std::string key;
    std::string push;
    base::SteadyTime since;
    std::size_t size() const { return key.size() + push.size() + sizeof(Item); }
  };
  bool has_room(std::size_t queued) const { return queued < limits_.max_queued_bytes / 2; }
  bool drop_oldest(Kind kind);

  const LooseLimits& limits_;
  std::vector<Item> items_;  ///< oldest first
  std::size_t bytes_ = 0;
  bool lost_presence_ = false;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_LOOSE_QUEUE_H_

// The message publisher: tells all nodes, through the bus, what has just been committed.
//
// It is called by whoever committed it, on that thread, and never waits. What it says is a hint;
// the mailrooms find out by themselves what gets lost.
// Thread-safety: every call may be made from any thread.
#ifndef COUNTERSIGN_GATEWAY_MESSAGE_PUBLISHER_H_
#define COUNTERSIGN_GATEWAY_MESSAGE_PUBLISHER_H_

#include <span>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "bus/bus.h"
#include "protocol/user_event.h"
#include "storage/message_records.h"

namespace countersign::gateway {

class MessagePublisher {
 public:
  /// Both outlive the publisher.
  MessagePublisher(bus::Bus& bus, base::Metrics& metrics);

  /// Every inbox of `deliveries` has got its entry of this message.
  /// @param message_id  the message's own id, 16 raw bytes; empty if it is not at hand: receivers
  ///                    then read the store.
  /// @param epoch       the store's, known before the message was committed.
  void entries(std::string_view application, const storage::Message& message,
               std::string_view message_id, std::string_view epoch,
               std::span<const storage::Delivery> deliveries);
  /// Something may have happened to these inboxes: receivers read the store.
  void hint(std::string_view application, std::span<const Identity> users);
  /// Says the same to each of them.
  void loose(std::string_view application, std::span<const Identity> users,
             const protocol::LooseEvent& event);
  void publish(const protocol::UserEvent& event);

 private:
  bus::Bus& bus_;
  base::Counter& published_;
  base::Counter& failed_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_MESSAGE_PUBLISHER_H_

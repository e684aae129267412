#include "gateway/message_publisher.h"

#include <map>
#include <utility>

#include "gateway/inbox_text.h"
#include "gateway/mailroom.h"

namespace countersign::gateway {

MessagePublisher::MessagePublisher(bus::Bus& bus, base::Metrics& metrics)
    : bus_(bus),
      published_(metrics.counter("countersign_messages_published_total",
                                 "Events about users that were handed to the bus.")),
      failed_(metrics.counter("countersign_messages_unpublished_total",
                              "Events about users that the bus did not take.")) {}

void MessagePublisher::publish(const protocol::UserEvent& event) {
  const auto done =
      bus_.publish(user_subject(event.application, event.user), protocol::encode_user_event(event));
  (done ? published_ : failed_).add();
}

void MessagePublisher::entries(std::string_view application, const storage::Message& message,
                               std::string_view message_id, std::string_view epoch,
                               std::span<const storage::Delivery> deliveries) {
  using storage::EntryKind;
  std::map<EntryKind, std::string> tails;  // written once for all
  const bool own_text = message.kind == storage::MessageKind::kText && !message.device.empty();
  const std::string stub =
      own_text ? protocol::encode_stub_tail(message.conversation, message.seq, message.id)
               : std::string();
  protocol::UserEvent event;
  event.application = application;
  for (const storage::Delivery& delivery : deliveries) {
    auto& tail = tails[delivery.kind];
    if (tail.empty()) tail = message_tail(delivery.kind, message);
    protocol::EntryEvent entry;
    entry.offset = delivery.offset;
    entry.chain = delivery.chain;
    entry.id = message_id;
    entry.epoch = epoch;
    entry.entry = protocol::join_entry(delivery.offset, delivery.chain, tail);
    if (own_text && delivery.kind == EntryKind::kSent) {
      entry.device = message.device;
      entry.stub = protocol::join_entry(delivery.offset, delivery.chain, stub);
    }
    event.user = delivery.user;
    event.what = std::move(entry);
    publish(event);
  }
}

// What cannot be read is a sign that something happened (protocol/user_event.h).
void MessagePublisher::hint(std::string_view application, std::span<const Identity> users) {
  for (const Identity& user : users) {
    const auto done = bus_.publish(user_subject(application, user), std::string());
    (done ? published_ : failed_).add();
  }
}

void MessagePublisher::loose(std::string_view application, std::span<const Identity> users,
                             const protocol::LooseEvent& event) {
  for (const Identity& user : users) publish({std::string(application), user, event});
}

}  // namespace countersign::gateway

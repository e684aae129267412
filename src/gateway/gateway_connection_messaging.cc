// The driver of one connection, messages: carries what the machine asks for to the desks and the
// mailroom, and what they say back to the machine.
#include <utility>
#include <variant>

#include "gateway/gateway_connection.h"
#include "gateway/messaging.h"

namespace countersign::gateway {

Client GatewayConnection::client() const {
  const Membership& who = machine_->membership();
  return {{std::string(who.application()), {who.identity_type(), std::string(who.endpoint())}},
          std::string(who.device()),
          base::InstanceId(std::string(who.instance()))};
}

void GatewayConnection::perform(AttachInbox& action) {
  auto done = returning<Result<storage::Attached>>(&ConnectionMachine::on_attached);
  if (mailroom_ == nullptr) return done(fail(ErrorCode::kNotAvailable, "no messages here"));
  const bool join = !std::exchange(joined_, true);
  Client who = client();
  if (join) mailroom_->join(*this, who.user, channel_->shard());
  context_.messaging->attach(std::move(who), std::move(action.resume), join, std::move(done));
}

void GatewayConnection::perform(ReadInbox& action) {
  context_.messaging->read(client().user, action.after, action.max_entries, action.max_bytes,
                           returning<Result<storage::InboxPage>>(&ConnectionMachine::on_page));
}

void GatewayConnection::perform(StoreAck& action) {
  context_.messaging->acknowledge(
      client(), std::move(action.epoch), action.offset,
      returning<Result<std::int64_t>>(&ConnectionMachine::on_acknowledged));
}

void GatewayConnection::perform(Ask& action) {
  if (!self_) self_ = std::make_shared<GatewayConnection*>(this);
  Reply reply = [&shard = channel_->shard(), self = self_,
                 id = action.id](Result<std::string> frame) {
    shard.post([self, id, frame = std::move(frame)]() mutable {
      GatewayConnection* connection = *self;
      if (connection == nullptr) return;  // closed meanwhile
      connection->settle(
          connection->machine_->on_answered(id, std::move(frame), connection->moment()));
    });
  };
  context_.messaging->ask(client(), machine_->connection(), action.id, std::move(action.request),
                          std::move(reply));
}

void GatewayConnection::perform(TellPresenceAgain&) {
  context_.messaging->presence().tell_again(machine_->connection());
}

void GatewayConnection::appear() {
  if (!joined_) return;
  const Client who = client();
  context_.messaging->presence().connect(
      machine_->connection(), who.user, who.device,
      [&shard = channel_->shard(), self = self_](const std::string& key, const std::string& push) {
        shard.post([self, key, push] {
          GatewayConnection* connection = *self;
          if (connection == nullptr) return;  // closed meanwhile
          connection->settle(connection->machine_->on_loose(LooseQueue::Kind::kPresence, key, push,
                                                            connection->moment()));
        });
      });
  present_ = true;
}

void GatewayConnection::disappear(bool clean) {
  if (!std::exchange(present_, false)) return;
  context_.messaging->presence().disconnect(machine_->connection(), clean);
}

void GatewayConnection::leave_mailroom() {
  if (std::exchange(joined_, false)) mailroom_->leave(*this);
}

void GatewayConnection::count_pushed() {
  if (const std::uint32_t count = machine_->take_pushed(); count > 0) {
    context_.messaging->pushed().add(count);
  }
}

void GatewayConnection::on_user_event(const protocol::UserEvent& event) {
  if (const auto* entry = std::get_if<protocol::EntryEvent>(&event.what)) {
    settle(machine_->on_entry(*entry, moment()));
  } else if (const auto* loose = std::get_if<protocol::LooseEvent>(&event.what)) {
    const bool typing = loose->kind == protocol::LooseEvent::Kind::kTyping;
    settle(machine_->on_loose(typing ? LooseQueue::Kind::kTyping : LooseQueue::Kind::kReceipt,
                              loose->key, loose->push, moment()));
  } else if (std::holds_alternative<protocol::PresenceQuery>(event.what)) {
    context_.messaging->presence().on_query({event.application, event.user});
  }
}

void GatewayConnection::on_news() { settle(machine_->on_news(moment())); }

void GatewayConnection::on_top(std::int64_t top) { settle(machine_->on_top(top, moment())); }

std::int64_t GatewayConnection::pushed() const { return machine_->pushed(); }

}  // namespace countersign::gateway

// The connection machine and its inbox: hands over what concerns messages, and nothing that the
// connection's state forbids.
#include <type_traits>
#include <utility>
#include <variant>

#include "gateway/connection_machine.h"

namespace countersign::gateway {

// To the inbox an expired instance is what a fenced node is: nothing is shown until that is over.
Moment ConnectionMachine::for_inbox(Moment now) const {
  now.fenced = now.fenced || phase_ != Phase::kLive;
  return now;
}

void ConnectionMachine::obey_messaging(protocol::Command& command, Moment now, Actions& out) {
  if (!inbox_) return reply_error(command.id, ErrorCode::kNotAvailable, out);
  const Moment moment = for_inbox(now);
  std::visit(
      [&](auto& verb) {
        using Verb = std::remove_reference_t<decltype(verb)>;
        if constexpr (std::is_same_v<Verb, protocol::Ack>) {
          inbox_->ack(command.id, verb, moment, out);
        } else if constexpr (std::is_same_v<Verb, protocol::Sync>) {
          inbox_->sync(command.id, verb, moment, out);
        } else if constexpr (std::is_constructible_v<MessagingRequest, Verb>) {
          inbox_->ask(command.id, std::move(verb), moment, out);
        }
      },
      command.verb);
}

template <class Event>
Actions ConnectionMachine::tell_inbox(Moment now, Event event) {
  Actions out;
  if (!inbox_) return out;
  expire_if_due(now);
  event(*inbox_, for_inbox(now), out);
  return out;
}

Actions ConnectionMachine::on_attached(Result<storage::Attached> attached, Moment now) {
  if (!waits_for(Step::kAttach)) {
    return tell_inbox(now, [&](InboxMachine& inbox, Moment moment, Actions& out) {
      inbox.on_attached(std::move(attached), moment, out);
    });
  }
  Actions out;
  if (attached) {
    go_live(*std::move(attached), now, out);
  } else {
    connect_failed(attached.code(), now, out);
  }
  return out;
}

Actions ConnectionMachine::on_page(Result<storage::InboxPage> page, Moment now) {
  return tell_inbox(now, [&](InboxMachine& inbox, Moment moment, Actions& out) {
    inbox.on_page(page, membership_.device(), moment, out);
  });
}

Actions ConnectionMachine::on_acknowledged(Result<std::int64_t> cursor, Moment now) {
  return tell_inbox(now, [&](InboxMachine& inbox, Moment moment, Actions& out) {
    inbox.on_acknowledged(cursor, moment, out);
  });
}

Actions ConnectionMachine::on_answered(std::uint32_t id, Result<std::string> frame, Moment now) {
  return tell_inbox(now, [&](InboxMachine& inbox, Moment moment, Actions& out) {
    inbox.on_answered(id, std::move(frame), moment, out);
  });
}

Actions ConnectionMachine::on_entry(const protocol::EntryEvent& entry, Moment now) {
  if (waits_for(Step::kAttach)) pending_->news = true;
  return tell_inbox(now, [&](InboxMachine& inbox, Moment moment, Actions& out) {
    inbox.on_entry(entry, membership_.device(), moment, out);
  });
}

Actions ConnectionMachine::on_news(Moment now) {
  if (waits_for(Step::kAttach)) pending_->news = true;
  return tell_inbox(
      now, [](InboxMachine& inbox, Moment moment, Actions& out) { inbox.on_news(moment, out); });
}

Actions ConnectionMachine::on_top(std::int64_t top, Moment now) {
  return tell_inbox(now, [top](InboxMachine& inbox, Moment moment, Actions& out) {
    inbox.on_top(top, moment, out);
  });
}

Actions ConnectionMachine::on_loose(LooseQueue::Kind kind, std::string_view key, std::string push,
                                    Moment now) {
  return tell_inbox(now, [&](InboxMachine& inbox, Moment moment, Actions& out) {
    inbox.on_loose(kind, key, std::move(push), moment, out);
  });
}

}  // namespace countersign::gateway

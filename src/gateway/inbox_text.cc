#include "gateway/inbox_text.h"

#include "protocol/server_messages.h"

namespace countersign::gateway {

using protocol::MessageView;
using storage::EntryKind;

std::string message_tail(EntryKind kind, const storage::Message& message) {
  if (kind == EntryKind::kGone || message.gone) {
    return protocol::encode_gone_tail(message.conversation, message.seq);
  }
  MessageView view;
  view.kind = message.kind == storage::MessageKind::kGroup ? MessageView::Kind::kGroup
              : kind == EntryKind::kSent                   ? MessageView::Kind::kSent
                                                           : MessageView::Kind::kMessage;
  view.conversation = message.conversation;
  view.seq = message.seq;
  view.msg_id = message.id;
  view.from = &message.sender;
  view.time = message.time;
  view.body = message.body;
  view.group = is_group(message.conversation);
  view.expires = message.expires;
  return protocol::encode_message_tail(view);
}

std::string entry_text(const storage::Entry& entry, std::string_view device) {
  const storage::Message& message = entry.message;
  std::string tail;
  if (entry.kind == EntryKind::kFailed) {
    tail = protocol::encode_failed_tail(message.conversation, message.seq, message.id,
                                        entry.failed_user, protocol::gateway_code(entry.failed));
  } else if (entry.kind == EntryKind::kSent && !message.gone &&
             message.kind == storage::MessageKind::kText && message.device == device) {
    tail = protocol::encode_stub_tail(message.conversation, message.seq, message.id);
  } else {
    tail = message_tail(entry.kind, message);
  }
  return protocol::join_entry(entry.offset, entry.chain, tail);
}

std::string history_text(const storage::Message& message) {
  return protocol::join_message(message_tail(EntryKind::kMessage, message));
}

protocol::ResetReason reset_reason(storage::Attached::Reason reason) {
  switch (reason) {
    case storage::Attached::Reason::kNone:
      return protocol::ResetReason::kNone;
    case storage::Attached::Reason::kEpoch:
      return protocol::ResetReason::kEpoch;
    case storage::Attached::Reason::kFloor:
      return protocol::ResetReason::kFloor;
    case storage::Attached::Reason::kUnknownDevice:
      return protocol::ResetReason::kUnknownDevice;
  }
  return protocol::ResetReason::kEpoch;
}

protocol::InboxState inbox_state(const storage::Attached& attached) {
  protocol::InboxState state;
  state.epoch = attached.epoch;
  state.floor = attached.floor;
  state.top = attached.top;
  state.cursor = attached.cursor;
  state.from = attached.from;
  state.from_chain = attached.from_chain;
  state.reason = reset_reason(attached.reason);
  return state;
}

}  // namespace countersign::gateway

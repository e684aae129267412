#include "protocol/inbox_messages.h"

#include <cassert>

#include "protocol/json_members.h"
#include "protocol/server_messages.h"

namespace countersign::protocol {
namespace {

std::string_view kind_name(MessageView::Kind kind) {
  switch (kind) {
    case MessageView::Kind::kMessage:
      return "message";
    case MessageView::Kind::kSent:
      return "sent";
    case MessageView::Kind::kGroup:
      return "group";
  }
  return "message";
}

// `,"kind":"…","conv":"…","seq":n`.
std::string tail_head(std::string_view kind, std::string_view conversation, std::int64_t seq) {
  std::string out;
  append_text(out, "kind", kind);
  append_text(out, "conv", conversation);
  append_number(out, "seq", seq);
  return out;
}

void append_acceptance(std::string& out, const SendReply& reply) {
  append_number(out, "seq", reply.seq);
  append_number(out, "offset", reply.offset);
  append_time(out, "time", reply.time);
  append_flag(out, "dup", reply.duplicate);
  if (!reply.left_out.empty()) append_identities(out, "left_out", reply.left_out);
}

}  // namespace

std::string_view reason_name(ResetReason reason) {
  switch (reason) {
    case ResetReason::kNone:
      return "";
    case ResetReason::kEpoch:
      return "epoch";
    case ResetReason::kFloor:
      return "floor";
    case ResetReason::kUnknownDevice:
      return "unknown_device";
  }
  return "";
}

std::string_view action_name(ChangeGroup::Action action) {
  switch (action) {
    case ChangeGroup::Action::kCreate:
      return "create";
    case ChangeGroup::Action::kAdd:
      return "add";
    case ChangeGroup::Action::kRemove:
      return "remove";
    case ChangeGroup::Action::kLeave:
      return "leave";
    case ChangeGroup::Action::kRename:
      return "rename";
  }
  return "leave";
}

std::string encode_message_tail(const MessageView& message) {
  assert(message.from != nullptr);
  std::string out = tail_head(kind_name(message.kind), message.conversation, message.seq);
  out.reserve(out.size() + message.body.size() + message.to.size() * 64 + 256);
  append_text(out, "msg_id", message.msg_id);
  append_identity(out, "from", *message.from);
  append_time(out, "time", message.time);
  if (message.expires) append_time(out, "expires", *message.expires);
  if (!message.to.empty()) append_identities(out, "to", message.to);
  if (message.group || message.kind == MessageView::Kind::kGroup) append_flag(out, "group", true);
  if (!message.body.empty()) out.append(",").append(message.body);
  out += '}';
  return out;
}

std::string encode_stub_tail(std::string_view conversation, std::int64_t seq,
                             std::string_view msg_id) {
  std::string out = tail_head("sent", conversation, seq);
  append_text(out, "msg_id", msg_id);
  append_flag(out, "stub", true);
  out += '}';
  return out;
}

std::string encode_gone_tail(std::string_view conversation, std::int64_t seq) {
  return tail_head("gone", conversation, seq).append("}");
}

std::string encode_failed_tail(std::string_view conversation, std::int64_t seq,
                               std::string_view msg_id, const Identity& user, ErrorCode why) {
  const ErrorCode wire = gateway_code(why);
  std::string out = tail_head("failed", conversation, seq);
  append_text(out, "msg_id", msg_id);
  append_identity(out, "user", user);
  out.append(",\"reason\":{\"code\":").append(std::to_string(static_cast<int>(wire)));
  append_text(out, "message", error_text(wire));
  out.append("}}");
  return out;
}

std::string encode_change_body(ChangeGroup::Action action, std::span<const Identity> users,
                               std::string_view name) {
  std::string out = "\"change\":{";
  append_first_text(out, "action", action_name(action));
  if (!users.empty()) append_identities(out, "users", users);
  if (!name.empty()) append_text(out, "name", name);
  out += '}';
  return out;
}

std::string join_entry(std::int64_t offset, std::string_view chain, std::string_view tail) {
  std::string out = "{\"offset\":";
  out.reserve(tail.size() + 64);
  out.append(std::to_string(offset));
  append_hex(out, "chain", chain);
  out.append(tail);
  return out;
}

std::string join_message(std::string_view tail) {
  assert(tail.starts_with(','));
  return std::string("{").append(tail.substr(1));
}

std::string encode_inbox_push(std::string_view epoch, std::span<const std::string_view> entries) {
  std::size_t size = epoch.size() + kInboxPushOverhead;
  for (const std::string_view entry : entries) size += entry.size() + 1;
  std::string out = push_head("inbox");
  out.reserve(size);
  out += '{';
  append_first_text(out, "epoch", epoch);
  out.append(",\"entries\":[");
  bool first = true;
  for (const std::string_view entry : entries) {
    if (!first) out += ',';
    first = false;
    out.append(entry);
  }
  out.append("]}}}");
  return out;
}

std::string encode_reset_push(ResetReason reason, std::string_view epoch, std::int64_t from,
                              std::string_view from_chain, std::int64_t top) {
  assert(reason != ResetReason::kNone);
  std::string out = push_head("reset");
  out += '{';
  append_first_text(out, "reason", reason_name(reason));
  append_text(out, "epoch", epoch);
  append_number(out, "from", from);
  append_hex(out, "from_chain", from_chain);
  append_number(out, "top", top);
  out.append("}}}");
  return out;
}

std::string encode_top_push(std::string_view epoch, std::int64_t top) {
  std::string out = push_head("top");
  out += '{';
  append_first_text(out, "epoch", epoch);
  append_number(out, "top", top);
  out.append("}}}");
  return out;
}

std::string encode_ack_reply(std::uint32_t id, std::int64_t offset) {
  std::string out = reply_head(id, "ack");
  out.append("{\"offset\":").append(std::to_string(offset)).append("}}");
  return out;
}

std::string encode_sync_reply(std::uint32_t id, const InboxState& inbox) {
  std::string out = reply_head(id, "sync");
  out.append("{\"inbox\":");
  append_inbox_object(out, inbox);
  out.append("}}");
  return out;
}

std::string encode_send_reply(std::uint32_t id, const SendReply& reply) {
  std::string out = reply_head(id, "send");
  out += '{';
  append_first_text(out, "msg_id", reply.msg_id);
  append_text(out, "conv", reply.conversation);
  append_acceptance(out, reply);
  out.append("}}");
  return out;
}

std::string encode_group_reply(std::uint32_t id, const SendReply& reply) {
  std::string out = reply_head(id, "group");
  out += '{';
  append_first_text(out, "conv", reply.conversation);
  append_acceptance(out, reply);
  out.append("}}");
  return out;
}

}  // namespace countersign::protocol

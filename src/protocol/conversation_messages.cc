#include "protocol/conversation_messages.h"

#include <cassert>

#include "protocol/json_members.h"

namespace countersign::protocol {
namespace {

// Whole numbers of this room are small; those of the wire are signed.
std::int64_t number(std::size_t value) { return static_cast<std::int64_t>(value); }

void append_objects(std::string& out, std::string_view name, std::span<const std::string> objects) {
  out.append("\"").append(name).append("\":[");
  for (const std::string& object : objects) {
    if (&object != objects.data()) out += ',';
    out.append(object);
  }
  out += ']';
}

// `"user":{…},"delivered":n,"read":n`.
void append_member(std::string& out, const MemberView& member) {
  assert(member.user != nullptr);
  out.append("\"user\":");
  append_identity_object(out, *member.user);
  append_number(out, "delivered", member.delivered);
  append_number(out, "read", member.read);
}

void append_members(std::string& out, std::span<const MemberView> members) {
  out.append("\"members\":[");
  for (const MemberView& member : members) {
    out.append(&member == members.data() ? "{" : ",{");
    append_member(out, member);
    out += '}';
  }
  out += ']';
}

std::string_view state_name(PresenceView::State state) {
  switch (state) {
    case PresenceView::State::kOffline:
      return "offline";
    case PresenceView::State::kAway:
      return "away";
    case PresenceView::State::kOnline:
      return "online";
  }
  return "offline";
}

void append_presence(std::string& out, const PresenceView& presence) {
  assert(presence.user != nullptr);
  out.append("{\"user\":");
  append_identity_object(out, *presence.user);
  append_text(out, "state", state_name(presence.state));
  append_number(out, "devices", number(presence.devices));
  if (presence.last_seen) append_time(out, "last_seen", *presence.last_seen);
  out += '}';
}

std::string empty_reply(std::uint32_t id, std::string_view verb) {
  return reply_head(id, verb).append("{}}");
}

}  // namespace

std::string encode_conversation(const ConversationView& conversation) {
  std::string out = "{";
  out.reserve(512 + conversation.last.size() + conversation.members.size() * 96);
  append_first_text(out, "conv", conversation.id);
  append_flag(out, "group", conversation.group);
  if (!conversation.name.empty()) append_text(out, "name", conversation.name);
  append_number(out, "version", conversation.version);
  append_flag(out, "member", conversation.member);
  append_flag(out, "admin", conversation.admin);
  append_number(out, "member_count", number(conversation.member_count));
  out += ',';
  append_members(out, conversation.members);
  append_number(out, "top", conversation.top);
  append_number(out, "read", conversation.read);
  append_number(out, "unread", number(conversation.unread));
  if (!conversation.last.empty()) {
    append_name(out, "last");
    out.append(conversation.last);
  }
  if (conversation.last_time) append_time(out, "last_time", *conversation.last_time);
  out += '}';
  return out;
}

std::string encode_conversations_reply(std::uint32_t id, std::span<const std::string> conversations,
                                       std::string_view next) {
  std::string out = reply_head(id, "conversations");
  out += '{';
  append_objects(out, "conversations", conversations);
  if (!next.empty()) append_text(out, "next", next);
  out.append("}}");
  return out;
}

std::string encode_conversation_reply(std::uint32_t id, std::string_view conversation) {
  return reply_head(id, "conversation").append(conversation).append("}");
}

std::string encode_history_reply(std::uint32_t id, std::string_view conversation,
                                 std::span<const std::string> messages, bool more) {
  std::string out = reply_head(id, "history");
  out += '{';
  append_first_text(out, "conv", conversation);
  out += ',';
  append_objects(out, "messages", messages);
  append_flag(out, "more", more);
  out.append("}}");
  return out;
}

std::string encode_members_reply(std::uint32_t id, std::span<const MemberView> members, bool more) {
  std::string out = reply_head(id, "members");
  out += '{';
  append_members(out, members);
  append_flag(out, "more", more);
  out.append("}}");
  return out;
}

std::string encode_read_reply(std::uint32_t id, std::int64_t seq) {
  std::string out = reply_head(id, "read");
  out.append("{\"seq\":").append(std::to_string(seq)).append("}}");
  return out;
}

std::string encode_typing_reply(std::uint32_t id) { return empty_reply(id, "typing"); }

std::string encode_typing_push(std::string_view conversation, const Identity& user, bool start) {
  std::string out = push_head("typing");
  out += '{';
  append_first_text(out, "conv", conversation);
  append_identity(out, "user", user);
  append_text(out, "state", start ? "start" : "stop");
  out.append("}}}");
  return out;
}

std::string encode_receipts_push(std::string_view conversation, const MemberView& member) {
  std::string out = push_head("receipts");
  out += '{';
  append_first_text(out, "conv", conversation);
  out += ',';
  append_member(out, member);
  out.append("}}}");
  return out;
}

std::string encode_receipt_counts_push(std::string_view conversation, std::int64_t seq,
                                       std::size_t delivered, std::size_t read, std::size_t of) {
  std::string out = push_head("receipts");
  out += '{';
  append_first_text(out, "conv", conversation);
  append_number(out, "seq", seq);
  append_number(out, "delivered", number(delivered));
  append_number(out, "read", number(read));
  append_number(out, "of", number(of));
  out.append("}}}");
  return out;
}

std::string encode_block_reply(std::uint32_t id, bool blocked) {
  return empty_reply(id, blocked ? "block" : "unblock");
}

std::string encode_blocked_reply(std::uint32_t id, std::span<const Identity> users) {
  std::string out = reply_head(id, "blocked");
  out.append("{\"users\":");
  append_identity_list(out, users);
  out.append("}}");
  return out;
}

std::string encode_watch_reply(std::uint32_t id, std::span<const PresenceView> users) {
  std::string out = reply_head(id, "presence.watch");
  out.append("{\"users\":[");
  for (const PresenceView& presence : users) {
    if (&presence != users.data()) out += ',';
    append_presence(out, presence);
  }
  out.append("]}}");
  return out;
}

std::string encode_unwatch_reply(std::uint32_t id) { return empty_reply(id, "presence.unwatch"); }

std::string encode_set_presence_reply(std::uint32_t id) { return empty_reply(id, "presence.set"); }

std::string encode_presence_push(const PresenceView& presence) {
  std::string out = push_head("presence");
  append_presence(out, presence);
  out.append("}}");
  return out;
}

}  // namespace countersign::protocol

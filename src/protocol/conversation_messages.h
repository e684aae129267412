// Conversation messages: what the gateway says about conversations, their members and receipts,
// about blocked people and about who is there.
// Thread-safety: value types that refer to their texts, and pure functions.
// Source: docs/reference/messages.md, from "Conversations" on.
#ifndef COUNTERSIGN_PROTOCOL_CONVERSATION_MESSAGES_H_
#define COUNTERSIGN_PROTOCOL_CONVERSATION_MESSAGES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "countersign/identity.h"

#include "base/clock.h"

namespace countersign::protocol {

/// How far a member has got.
struct MemberView {
  const Identity* user = nullptr;  ///< never null when it is written
  std::int64_t delivered = 0;
  std::int64_t read = 0;
};

/// A conversation as one of its members sees it.
struct ConversationView {
  std::string_view id;
  bool group = false;
  std::string_view name;  ///< empty: left out, as it is outside groups
  std::int64_t version = 0;
  bool member = true;
  bool admin = false;
  std::size_t member_count = 0;
  std::span<const MemberView> members;
  std::int64_t top = 0;
  std::int64_t read = 0;
  std::size_t unread = 0;
  std::string_view last;  ///< the message, from join_message(); empty: left out
  std::optional<base::SystemTime> last_time = std::nullopt;
};

/// The conversation: a JSON object.
std::string encode_conversation(const ConversationView& conversation);

/// `conversations` are JSON objects; `next` is empty at the end.
std::string encode_conversations_reply(std::uint32_t id, std::span<const std::string> conversations,
                                       std::string_view next);
/// `conversation` is a JSON object.
std::string encode_conversation_reply(std::uint32_t id, std::string_view conversation);
/// `messages` are JSON objects from join_message(), newest first.
std::string encode_history_reply(std::uint32_t id, std::string_view conversation,
                                 std::span<const std::string> messages, bool more);
std::string encode_members_reply(std::uint32_t id, std::span<const MemberView> members, bool more);
/// `seq` is the horizon as it stands now.
std::string encode_read_reply(std::uint32_t id, std::int64_t seq);
std::string encode_typing_reply(std::uint32_t id);

std::string encode_typing_push(std::string_view conversation, const Identity& user, bool start);
/// How far one member has got.
std::string encode_receipts_push(std::string_view conversation, const MemberView& member);
/// How many of a group have got and read the sender's message `seq`: of `of`, without the sender.
std::string encode_receipt_counts_push(std::string_view conversation, std::int64_t seq,
                                       std::size_t delivered, std::size_t read, std::size_t of);

/// The reply to `block`, or to `unblock` if `blocked` is false.
std::string encode_block_reply(std::uint32_t id, bool blocked);
std::string encode_blocked_reply(std::uint32_t id, std::span<const Identity> users);

/// Whether somebody is there.
struct PresenceView {
  enum class State : std::uint8_t { kOffline, kAway, kOnline };
  const Identity* user = nullptr;  ///< never null when it is written
  State state = State::kOffline;
  std::size_t devices = 0;
  std::optional<base::SystemTime> last_seen = std::nullopt;  ///< left out if nobody knows
};
/// The reply to `presence.watch`.
std::string encode_watch_reply(std::uint32_t id, std::span<const PresenceView> users);
/// The reply to `presence.unwatch`.
std::string encode_unwatch_reply(std::uint32_t id);
/// The reply to `presence.set`.
std::string encode_set_presence_reply(std::uint32_t id);
std::string encode_presence_push(const PresenceView& presence);

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_CONVERSATION_MESSAGES_H_

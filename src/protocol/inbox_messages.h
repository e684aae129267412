// Inbox messages: what the gateway says about a user's stream of entries, and the replies to the
// commands that write into it.
//
// An entry is written in two parts. Its head, offset and chain, is each inbox's own; its tail is
// the same for everybody who gets the message, so a message for 1,000 inboxes is written once:
//     const std::string tail = encode_message_tail(…);
//     push(encode_inbox_push(epoch, {join_entry(offset, chain, tail)}));
// `chain` is always the 8 raw bytes; the wire has them in hexadecimal.
// Thread-safety: value types that refer to their texts, and pure functions.
// Source: docs/reference/messages.md.
#ifndef COUNTERSIGN_PROTOCOL_INBOX_MESSAGES_H_
#define COUNTERSIGN_PROTOCOL_INBOX_MESSAGES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "countersign/codes.h"
#include "countersign/identity.h"

#include "base/clock.h"
#include "protocol/messaging_commands.h"

namespace countersign::protocol {

/// Why a stream does not go on where the client stands.
enum class ResetReason : std::uint8_t { kNone, kEpoch, kFloor, kUnknownDevice };
/// The reason as the wire has it; empty for kNone.
std::string_view reason_name(ResetReason reason);

/// Where a device stands, as `connect` and `sync` tell it.
struct InboxState {
  std::string_view epoch;
  std::int64_t floor = 0;
  std::int64_t top = 0;
  std::int64_t cursor = 0;
  std::int64_t from = 0;
  std::string_view from_chain;
  ResetReason reason = ResetReason::kNone;  ///< kNone: `recovered`
};

/// A message as its readers see it, in an inbox or in the history.
struct MessageView {
  enum class Kind : std::uint8_t { kMessage, kSent, kGroup };
  Kind kind = Kind::kMessage;
  std::string_view conversation;
  std::int64_t seq = 0;
  std::string_view msg_id;
  const Identity* from = nullptr;  ///< never null when it is written
  base::SystemTime time;
  std::string_view body;         ///< members without braces, as Send::body; goes in verbatim
  std::span<const Identity> to;  ///< all members, if more than two in a direct conversation
  bool group = false;            ///< of a group; always so for kGroup
  std::optional<base::SystemTime> expires = std::nullopt;
};

/// Everything of an entry after its chain, `,"kind":…}`; for join_entry() and join_message().
std::string encode_message_tail(const MessageView& message);
/// What the device gets that sent the message itself: kind `sent`, `stub:true`.
std::string encode_stub_tail(std::string_view conversation, std::int64_t seq,
                             std::string_view msg_id);
/// The tombstone, kind `gone`.
std::string encode_gone_tail(std::string_view conversation, std::int64_t seq);
/// A message of this user did not reach `user`. `why` as gateway_code() gives it.
std::string encode_failed_tail(std::string_view conversation, std::int64_t seq,
                               std::string_view msg_id, const Identity& user, ErrorCode why);
/// A change as the wire has it: `create`, `add`, …
std::string_view action_name(ChangeGroup::Action action);
/// `"change":{…}`: the body of a message of kind kGroup. `users` and `name` are left out when
/// empty.
std::string encode_change_body(ChangeGroup::Action action, std::span<const Identity> users,
                               std::string_view name);

/// The entry: a JSON object.
std::string join_entry(std::int64_t offset, std::string_view chain, std::string_view tail);
/// The message as it stands in the history and in conversations: the entry without offset and
/// chain.
std::string join_message(std::string_view tail);

/// `entries` are JSON objects, in order of their offsets.
std::string encode_inbox_push(std::string_view epoch, std::span<const std::string_view> entries);
/// How many bytes encode_inbox_push() adds to its entries at most, the commas apart.
inline constexpr std::size_t kInboxPushOverhead = 128;
/// The stream goes on after `from`. Precondition: the reason is not kNone.
std::string encode_reset_push(ResetReason reason, std::string_view epoch, std::int64_t from,
                              std::string_view from_chain, std::int64_t top);
std::string encode_top_push(std::string_view epoch, std::int64_t top);

std::string encode_ack_reply(std::uint32_t id, std::int64_t offset);
std::string encode_sync_reply(std::uint32_t id, const InboxState& inbox);

/// What `send` and `group` are answered with.
struct SendReply {
  std::string_view msg_id;  ///< as the client named it
  std::string_view conversation;
  std::int64_t seq = 0;
  std::int64_t offset = 0;  ///< in the sender's inbox
  base::SystemTime time;
  bool duplicate = false;
  std::span<const Identity> left_out;  ///< members of a group whose inboxes are full
};
std::string encode_send_reply(std::uint32_t id, const SendReply& reply);
std::string encode_group_reply(std::uint32_t id, const SendReply& reply);

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_INBOX_MESSAGES_H_

// Messaging commands: what a client asks of its inbox, its conversations and the people around it.
// The decoder has checked every size, every character and every identity; what does not fit is
// Refused (kBadRequest, kMessageTooLarge, kLimitExceeded), so a machine that gets one of these need
// not look again.
// Thread-safety: value types. Source: docs/reference/messages.md.
#ifndef COUNTERSIGN_PROTOCOL_MESSAGING_COMMANDS_H_
#define COUNTERSIGN_PROTOCOL_MESSAGING_COMMANDS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "countersign/identity.h"

namespace countersign::protocol {

inline constexpr std::size_t kMaxCapabilities = 64;  ///< that `connect` names
inline constexpr std::size_t kMaxRecipients = 10;
inline constexpr std::size_t kMaxTextBytes = 32 * 1024;
inline constexpr std::size_t kMaxBodyBytes = 48 * 1024;
inline constexpr std::size_t kMaxHeaders = 32;
inline constexpr std::size_t kMaxHeaderNameCharacters = 64;
inline constexpr std::size_t kMaxHeaderValueBytes = 1024;
inline constexpr std::size_t kMaxHeadersBytes = 4 * 1024;
inline constexpr std::size_t kMaxAttachments = 10;
inline constexpr std::size_t kMaxUrlBytes = 2048;
inline constexpr std::size_t kMaxAttachmentNameBytes = 256;
inline constexpr std::size_t kMaxAttachmentTypeBytes = 128;
inline constexpr std::size_t kMaxPage = 100;
inline constexpr std::size_t kMaxPageMarkBytes = 256;  ///< of `after` in `conversations`
inline constexpr std::size_t kMaxGroupUsers = 1'000;   ///< of one `group` command
inline constexpr std::size_t kMaxGroupNameCharacters = 128;
inline constexpr std::size_t kMaxGroupNameBytes = 512;  ///< 128 characters have no more
inline constexpr std::size_t kMaxWatched = 500;
inline constexpr std::chrono::seconds kMaxExpiry{2'592'000};
inline constexpr std::size_t kChainBytes = 8;
/// Whole numbers end here: above 2^53 JavaScript cannot tell neighbours apart.
inline constexpr std::int64_t kMaxInteger = (std::int64_t{1} << 53) - 1;

/// The order of lists of users: by type, then by the bytes of the endpoint.
inline bool ordered_before(const Identity& a, const Identity& b) {
  return a.type != b.type ? a.type < b.type : a.endpoint < b.endpoint;
}

/// Where a client says it stands.
struct ClientPosition {
  std::string epoch;
  std::int64_t offset = 0;
  std::string chain;  ///< 8 raw bytes
  friend bool operator==(const ClientPosition&, const ClientPosition&) = default;
};

/// `conv`, or the people: exactly one of them.
struct ConversationName {
  std::string id;
  std::vector<Identity> users;  ///< sorted and unique
  friend bool operator==(const ConversationName&, const ConversationName&) = default;
};

struct Send {
  std::string msg_id;
  ConversationName to;
  /// `"text":"…","headers":{…},"attachments":[…]`: what was given, checked and written anew, in
  /// this order, headers by name, what is empty left out, so that equal messages have equal bodies.
  /// At most kMaxBodyBytes.
  std::string body;
  std::optional<std::chrono::seconds> expires_in;
  friend bool operator==(const Send&, const Send&) = default;
};
struct Ack {
  std::string epoch;
  std::int64_t offset = 0;
  friend bool operator==(const Ack&, const Ack&) = default;
};
struct Sync {
  ClientPosition position;
  friend bool operator==(const Sync&, const Sync&) = default;
};
struct Read {
  ConversationName conversation;
  std::int64_t seq = 0;
  friend bool operator==(const Read&, const Read&) = default;
};
struct Typing {
  ConversationName conversation;
  bool start = true;
  friend bool operator==(const Typing&, const Typing&) = default;
};
struct History {
  ConversationName conversation;
  std::int64_t before = 0;  ///< 0: from the newest on
  std::size_t limit = 50;
  friend bool operator==(const History&, const History&) = default;
};
struct ListConversations {
  std::string after;  ///< `next` of the page before, as the gateway gave it; empty: the first
  std::size_t limit = 50;
  friend bool operator==(const ListConversations&, const ListConversations&) = default;
};
struct FindConversation {
  ConversationName conversation;
  friend bool operator==(const FindConversation&, const FindConversation&) = default;
};
struct ListMembers {
  ConversationName conversation;
  std::optional<Identity> after;
  std::size_t limit = 100;
  friend bool operator==(const ListMembers&, const ListMembers&) = default;
};
struct ChangeGroup {
  enum class Action : std::uint8_t { kCreate, kAdd, kRemove, kLeave, kRename };
  std::string msg_id;
  std::string conversation;  ///< empty at kCreate
  Action action = Action::kCreate;
  std::vector<Identity> users;  ///< sorted and unique; at kCreate, kAdd, kRemove
  std::string name;             ///< at kCreate and kRename; NFC
  friend bool operator==(const ChangeGroup&, const ChangeGroup&) = default;
};
struct Block {
  Identity user;
  bool blocked = true;  ///< false: `unblock`
  friend bool operator==(const Block&, const Block&) = default;
};
struct ListBlocked {
  friend bool operator==(const ListBlocked&, const ListBlocked&) = default;
};
struct WatchPresence {
  std::vector<Identity> users;  ///< sorted and unique
  bool watch = true;            ///< false: `presence.unwatch`
  friend bool operator==(const WatchPresence&, const WatchPresence&) = default;
};
struct SetPresence {
  bool away = false;
  friend bool operator==(const SetPresence&, const SetPresence&) = default;
};

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_MESSAGING_COMMANDS_H_

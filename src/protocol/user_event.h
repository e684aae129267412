// User events: what nodes tell each other over the bus about one user, and what of it each of their
// connections gets to see.
//
// A subject is a hash and may be wrong only by malice, but a payload that is not for this user must
// never be shown: every event carries the full user, and the receiver compares. A decoder that
// cannot read an event (of a newer node, say) treats it as a sign that something happened: read the
// store.
//
// On the bus an event is binary: the version (one byte), the application, the type (one byte) and
// endpoint of the user, the kind (one byte) and the members in the order in which they stand below.
// Texts have their length before them; numbers are unsigned LEB128 of the fewest bytes; instants
// are microseconds since 1970, eight bytes big-endian. An event can be written in one way only.
// Thread-safety: value types and pure functions. Source: ARCHITECTURE.md, "The way of a message".
#ifndef COUNTERSIGN_PROTOCOL_USER_EVENT_H_
#define COUNTERSIGN_PROTOCOL_USER_EVENT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "countersign/identity.h"
#include "countersign/result.h"

#include "base/clock.h"

namespace countersign::protocol {

/// An entry of the user's inbox has been committed.
struct EntryEvent {
  std::int64_t offset = 0;
  std::string chain;  ///< after it, 8 raw bytes
  /// The message's own id, 16 raw bytes (see storage::Position): with it the receiver proves that
  /// the entry follows from what it has. Empty: not known; the receiver reads the store instead.
  std::string id;
  /// The store's, known before the entry was committed: a restore may have taken the entry away.
  /// Another than the receiver's: it reads the store.
  std::string epoch;
  std::string device;  ///< that sent it, if the user did; it gets the stub
  std::string entry;   ///< the entry as it goes on the wire: a JSON object
  std::string stub;    ///< what `device` gets instead; empty: the same
  friend bool operator==(const EntryEvent&, const EntryEvent&) = default;
};
/// A push that may be lost: receipts, typing. The newest of a key replaces those before it.
struct LooseEvent {
  enum class Kind : std::uint8_t { kReceipt, kTyping };
  Kind kind = Kind::kReceipt;
  std::string key;   ///< of what it replaces: conversation and member
  std::string push;  ///< the whole push, as it goes on the wire
  friend bool operator==(const LooseEvent&, const LooseEvent&) = default;
};
/// How many devices of the user a node holds, and how many of those are away.
struct PresenceEvent {
  std::string node;
  std::uint64_t version = 0;  ///< of the node's word about this user: higher is newer
  std::uint32_t devices = 0;
  std::uint32_t away = 0;
  base::SystemTime last_seen;
  friend bool operator==(const PresenceEvent&, const PresenceEvent&) = default;
};
/// Somebody wants to know: nodes that hold the user answer with a PresenceEvent.
struct PresenceQuery {
  friend bool operator==(const PresenceQuery&, const PresenceQuery&) = default;
};

struct UserEvent {
  std::string application;
  Identity user;
  std::variant<EntryEvent, LooseEvent, PresenceEvent, PresenceQuery> what;
  friend bool operator==(const UserEvent&, const UserEvent&) = default;
};

/// The longest event that is read: what the buses of this project carry.
inline constexpr std::size_t kMaxUserEventBytes = 1'000'000;

std::string encode_user_event(const UserEvent& event);
/// kBadRequest if it cannot be read: another version, cut short, longer than it says, a user who
/// cannot be, an entry or a push that is no JSON object by its looks.
Result<UserEvent> decode_user_event(std::string_view payload);

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_USER_EVENT_H_

// What the store keeps of messages. Plain values, no behaviour.
//
// Every user has one inbox: a stream of entries with dense offsets from 1. A conversation has its
// own order, `seq` from 1, the same for all its members. A message is stored once; each member's
// inbox gets an entry that refers to it.
// Thread-safety: value types. Source: docs/reference/messages.md.
#ifndef COUNTERSIGN_STORAGE_MESSAGE_RECORDS_H_
#define COUNTERSIGN_STORAGE_MESSAGE_RECORDS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "countersign/codes.h"
#include "countersign/identity.h"

#include "base/clock.h"
#include "base/ids.h"

namespace countersign::storage {

using base::InstanceId;
using base::SystemTime;

/// A user of an application: whose inbox it is. Compared as bytes.
struct UserKey {
  std::string application;  ///< application key
  Identity identity;
  friend bool operator==(const UserKey&, const UserKey&) = default;
};

/// Before the first entry of an inbox: eight zero bytes.
inline constexpr std::size_t kChainBytes = 8;

/// A place in an inbox. `chain` is the first 8 bytes of SHA-256(chain of the entry before ‖ id of
/// the entry's message (16 bytes) ‖ offset (8 bytes, big-endian)): two streams that differ anywhere
/// before a place differ in its chain.
struct Position {
  std::string epoch;        ///< of the store: another one after a restore or a failover
  std::int64_t offset = 0;  ///< 0: before the first entry
  std::string chain;        ///< kChainBytes raw bytes
  friend bool operator==(const Position&, const Position&) = default;
};

enum class MessageKind : std::uint8_t {
  kText = 1,   ///< what a person or an application sent
  kGroup = 2,  ///< something happened to the group: `body` says what
};

/// What an inbox entry tells its user. The numbers are stored.
enum class EntryKind : std::uint8_t {
  kMessage = 1,  ///< somebody sent it to this user
  kSent = 2,     ///< this user sent it, from one of their devices or through the server API
  kGroup = 3,    ///< a group of this user has changed
  kFailed = 4,   ///< a message of this user did not reach `failed_user`; `failed` says why
  kGone = 5,     ///< a tombstone: expired, erased, or sent by somebody this user blocks
};

/// A message as it is stored.
struct Message {
  std::string conversation;
  std::int64_t seq = 0;
  MessageKind kind = MessageKind::kText;
  std::string id;      ///< the sender's `msg_id`
  Identity sender;     ///< of the same application
  std::string device;  ///< it was sent from; empty: through the server API
  SystemTime time;     ///< of acceptance
  std::optional<SystemTime> expires;
  /// A JSON object without the braces, as it goes on the wire: `"text":"…","headers":{…}`. The
  /// store does not look into it. Empty if `gone`.
  std::string body;
  bool gone = false;  ///< expired or erased: only its place is left
};

/// One entry of an inbox, with its message.
struct Entry {
  std::int64_t offset = 0;
  std::string chain;  ///< after this entry
  EntryKind kind = EntryKind::kMessage;
  Message message;
  ErrorCode failed = ErrorCode::kInternal;  ///< for kFailed: kMessageExpired, …
  Identity failed_user;                     ///< for kFailed
};

/// A stretch of an inbox, read in one step.
struct InboxPage {
  std::string epoch;
  std::int64_t floor = 0;  ///< highest removed offset; 0 if none
  std::int64_t top = 0;
  /// From `after + 1` on, without a hole; empty if after >= top or after < floor.
  std::vector<Entry> entries;
};

/// How much an inbox takes. Retention is by time alone: quotas refuse the sender.
struct MessageLimits {
  std::size_t inbox_entries = 100'000;
  std::size_t inbox_bytes = std::size_t{256} << 20;  ///< of bodies
  std::size_t sender_entries = 20'000;               ///< from one sender into one inbox
  /// The same for a user who never signed in.
  std::size_t new_inbox_entries = 200;
  std::size_t new_sender_entries = 20;
  /// Fan-out to more recipients than this is left to a job.
  std::size_t direct_fan_out = 100;
  std::size_t group_members = 1'000;
};

/// A change of a group, accepted like a message and told to all members, old and new.
struct GroupChange {
  enum class Action : std::uint8_t { kCreate, kAdd, kRemove, kLeave, kRename };
  Action action = Action::kCreate;
  std::vector<Identity> users;  ///< who is added or removed; at kCreate the members but the actor
  std::string name;             ///< at kCreate and kRename
};

/// A message, or a change of a group, to be accepted.
struct Send {
  UserKey sender;
  std::string device;   ///< empty: the server API
  InstanceId instance;  ///< must be live; empty: the server API
  std::string msg_id;   ///< unique for the sender as long as it is remembered
  std::string digest;   ///< HMAC-SHA256 of the request, 32 raw bytes: tells a repeat from misuse
  /// The other members; or `group`. To oneself alone: the sender.
  std::vector<Identity> to;
  /// The id of a group, or of a direct conversation that exists; at GroupChange::kCreate the new
  /// id, which is kBadState if it is in use.
  std::string group;
  std::optional<GroupChange> change;
  std::string message_id;  ///< 16 random bytes: this message's own id, for the chain
  std::string body;        ///< see Message::body
  SystemTime now;
  std::optional<SystemTime> expires;
  MessageLimits limits;
};

/// What an inbox got: enough to push it without reading.
struct Delivery {
  Identity user;
  std::int64_t offset = 0;
  std::string chain;
  EntryKind kind = EntryKind::kMessage;
};

/// Why a message was not accepted, and because of whom. Nothing was written.
struct SendRefusal {
  /// kUnknownTarget: no inbox; kBlocked; kRecipientLimit: an inbox or the sender's share of it is
  /// full; kPermissionDenied: not a member, or not allowed to change the group; kUnknownTarget
  /// without users: no such group; kIdempotencyConflict; kLimitExceeded: too many members;
  /// kRevoked: the instance is not live; kBadState: a change that changes nothing (adding a
  /// member, removing somebody who is none).
  ErrorCode code = ErrorCode::kInternal;
  std::vector<Identity> users;
};

struct Sent {
  std::optional<SendRefusal> refused;  ///< else it is accepted and committed
  std::string conversation;
  std::int64_t seq = 0;
  std::int64_t offset = 0;  ///< of the entry in the sender's own inbox
  SystemTime time;          ///< of the first acceptance
  bool duplicate = false;   ///< accepted before: nothing was written now
  /// What was written, the sender's own entry too. Empty for a duplicate.
  std::vector<Delivery> deliveries;
  bool fan_out_pending = false;    ///< the other members' entries are a job's
  std::vector<Identity> left_out;  ///< members of a group whose inboxes are full
};

/// A client's device comes for its inbox.
struct Attach {
  UserKey user;
  std::string device;
  /// What the device has handled, as it says; none: it has no note.
  std::optional<Position> resume;
  SystemTime now;
  std::size_t max_devices = 100;  ///< of the user; beyond it the one longest away goes
};

/// Where a device stands.
struct Attached {
  enum class Reason : std::uint8_t {
    kNone,           ///< nothing is missing
    kEpoch,          ///< the store is not the one the position is from, or lost what it pointed at
    kFloor,          ///< older than what is kept
    kUnknownDevice,  ///< the store does not know this device
  };
  std::string epoch;
  std::int64_t floor = 0;
  std::int64_t top = 0;
  std::string top_chain;
  std::int64_t cursor = 0;  ///< acknowledged by this device
  std::int64_t from = 0;    ///< entries after this one are to be pushed
  std::string from_chain;
  Reason reason = Reason::kNone;  ///< kNone: `recovered`, there is no hole
};

/// A device has handled everything up to `offset`.
struct Ack {
  UserKey user;
  std::string device;
  std::string epoch;
  std::int64_t offset = 0;
  SystemTime now;
};

/// How far a member has got in a conversation. Monotone.
struct Horizon {
  std::string conversation;
  Identity member;
  std::int64_t delivered = 0;  ///< a device of theirs acknowledged everything up to this seq
  std::int64_t read = 0;       ///< they have seen everything up to this seq
};

/// A horizon that moved, and who wants to hear of it.
struct Receipt {
  Horizon horizon;
  bool group = false;
  /// Of a direct conversation the other members; of a group those whose messages were passed.
  std::vector<Identity> audience;
};

struct Acked {
  std::int64_t cursor = 0;  ///< as it stands now: never lower than before
  std::vector<Receipt> receipts;
};

/// How many members of a group have got and read a sender's last message.
struct GroupCount {
  std::string conversation;
  Identity sender;
  std::int64_t seq = 0;  ///< of that message
  std::size_t delivered = 0;
  std::size_t read = 0;
  std::size_t members = 0;  ///< of the group when it was sent, without the sender
};

/// A conversation as one of its members sees it.
struct Conversation {
  std::string id;
  bool group = false;
  std::string name;          ///< of a group
  std::int64_t version = 0;  ///< of the membership: raised by every change
  bool member = true;        ///< false: the user was, and may read up to then
  bool admin = false;        ///< may change the group
  std::size_t member_count = 0;
  std::vector<Horizon> members;  ///< with their horizons; of a group the first 11 by identity
  std::int64_t top = 0;          ///< highest seq this user may read
  std::int64_t read = 0;         ///< this user's own horizon
  std::size_t unread = 0;        ///< texts of others after it, at most 100
  std::optional<Message> last;   ///< the message at `top`
  SystemTime last_time;          ///< of the last message; lists are ordered by it, newest first
};

/// A message that expired, or was kept no longer, before one of its recipients got it, with the
/// entry that tells its sender.
struct Expired {
  UserKey sender;
  Entry entry;
};

/// What one portion of expiring did.
struct Expiry {
  /// Messages that were found overdue; several nodes may find the same. As many as were asked for:
  /// there may be more.
  std::size_t found = 0;
  std::vector<Expired> notices;
};

/// What one portion of retention did.
struct Removal {
  std::size_t removed = 0;  ///< rows; as many as were asked for: there may be more
  std::vector<Expired> notices;
};

/// The entries that a job wrote, all of one message.
struct FanOut {
  std::string application;
  Message message;
  std::vector<Delivery> deliveries;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_MESSAGE_RECORDS_H_

// The message store: inboxes, conversations and horizons.
//
// What a call answers with success is committed (fsynced). Offsets and seqs come from head rows
// that stay locked until the commit, so that whoever has seen n will never see something at or
// below n appear later.
//
// Calls that answer through a callback are the gateway's hot path: they never block, and many of
// them share one commit. The callback runs once, on a thread of the store, must be quick and must
// not wait for the store. All other calls block and are made from a worker, never from a shard.
//
// Errors of every call are those of store.h: kStoreFailed (the outcome of a write is unknown: ask
// again with the same msg_id), kStoreFull, kOverloaded.
// Thread-safety: every call may be made from any thread. Source: docs/reference/messages.md.
#ifndef COUNTERSIGN_STORAGE_MESSAGE_STORE_H_
#define COUNTERSIGN_STORAGE_MESSAGE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

#include "storage/message_records.h"

namespace countersign::storage {

class MessageStore {
 public:
  virtual ~MessageStore() = default;

  // The hot path.

  /// Accepts a message in one transaction: dedupe row, conversation (made at its first message),
  /// message, and an entry in every member's inbox (or a job, beyond `limits.direct_fan_out`, or
  /// while the conversation has a job). The instance is checked first; then a repeat (same sender,
  /// msg_id, digest) is answered as the first time. In a group, members whose inboxes are full are
  /// left out and named; members who block the sender get a tombstone, in a group and among more
  /// than two people.
  ///
  /// The sender's inbox is made if there is none; of the limits only `inbox_entries` and
  /// `inbox_bytes` hold for it. Their own entry is kSent, or kGroup for a change, and stands behind
  /// what jobs still owed them of the conversation. Their horizons move to the new seq if they
  /// stood at the one before; else something is there that they may not have seen.
  ///
  /// kOverloaded also if too many jobs of the conversation wait.
  virtual void accept(Send send, std::function<void(Result<Sent>)> done) = 0;
  /// Moves the device's cursor to max(cursor, offset), and the user's delivered horizons to the
  /// highest seqs among the entries passed. kUnrecoverablePosition if the epoch is another one or
  /// the offset lies above the top; kAbsent if the device is unknown.
  virtual void acknowledge(Ack ack, std::function<void(Result<Acked>)> done) = 0;

  // Devices and reading.

  /// Makes the inbox (marking its user as signed in) and the device if they are not there.
  /// A device of which nothing has to be written is answered by reading alone.
  /// `resume` is good if its epoch is the store's and the chain stored at its offset is its chain:
  /// then `from` is its offset. Otherwise, and without one, `from` is the device's cursor, raised
  /// to the floor if it lies below; with another epoch in `resume` or in the device's row, or a
  /// chain that differs, or an offset above the top, the reason is kEpoch; with `resume` or the
  /// cursor below the floor kFloor. A new device starts at the lowest cursor of the user's devices,
  /// a first one at the floor: kUnknownDevice.
  virtual Result<Attached> attach(const Attach& attach) = 0;
  /// Entries after `after`: at most `max_entries`, and no more than `max_bytes` of bodies unless
  /// the first alone is larger. An inbox that does not exist is empty.
  virtual Result<InboxPage> read_inbox(const UserKey& user, std::int64_t after,
                                       std::size_t max_entries, std::size_t max_bytes) = 0;
  /// The tops of these inboxes, in the same order; 0 for one that does not exist.
  virtual Result<std::vector<std::int64_t>> tops(std::span<const UserKey> users) = 0;
  /// Of the store, for the whole of it; `Position::epoch`.
  virtual Result<std::string> epoch() = 0;
  /// Makes it another one, which begins with `epoch`: after a restore. Cursors stay.
  virtual Result<void> renew_epoch(std::string_view epoch) = 0;

  // Conversations.

  /// Messages of the conversation that the user may read, seq below `before`, newest first, at most
  /// `limit`. Those of people the user blocks are left out. Gone ones come as such.
  /// kPermissionDenied if the user is no member and never was; kAbsent.
  virtual Result<std::vector<Message>> history(const UserKey& user, std::string_view conversation,
                                               std::int64_t before, std::size_t limit) = 0;
  /// The user's conversations in descending order of (last_time, id), strictly before
  /// (`before_time`, `before_id`). For somebody who has left, last_time is when they did.
  virtual Result<std::vector<Conversation>> list_conversations(const UserKey& user,
                                                               SystemTime before_time,
                                                               std::string_view before_id,
                                                               std::size_t limit) = 0;
  /// kPermissionDenied, kAbsent as above.
  virtual Result<Conversation> find_conversation(const UserKey& user,
                                                 std::string_view conversation) = 0;
  /// All members with their horizons, ordered by identity (identity_before()), after `after`, at
  /// most `limit`. Somebody who has left sees those of then.
  /// kPermissionDenied, kAbsent.
  virtual Result<std::vector<Horizon>> members(const UserKey& user, std::string_view conversation,
                                               const std::optional<Identity>& after,
                                               std::size_t limit) = 0;
  /// Moves the user's read horizon (and the delivered one, if it lies below) to min(seq, top).
  /// Nothing if it stands there already. kPermissionDenied, kAbsent.
  virtual Result<std::optional<Receipt>> mark_read(const UserKey& user,
                                                   std::string_view conversation, std::int64_t seq,
                                                   SystemTime now) = 0;
  /// The count for the sender's last message in a group; nothing if there is none.
  virtual Result<std::optional<GroupCount>> count_receipts(const UserKey& sender,
                                                           std::string_view conversation) = 0;
  /// For each of `others`: whether the user shares a conversation with them.
  virtual Result<std::vector<bool>> share_conversation(const UserKey& user,
                                                       std::span<const Identity> others) = 0;

  // People.

  /// Makes inboxes for users who have not signed in yet but may be written to.
  virtual Result<void> open_inboxes(std::span<const UserKey> users, SystemTime now) = 0;
  /// Messages of `other` no longer reach the user, or do again. True if that is a change.
  /// kLimitExceeded beyond `max_blocks`.
  virtual Result<bool> set_blocked(const UserKey& user, const Identity& other, bool blocked,
                                   std::size_t max_blocks, SystemTime now) = 0;
  /// Ordered by identity.
  virtual Result<std::vector<Identity>> list_blocked(const UserKey& user) = 0;

  // In the background. Each call is one short transaction.

  /// Works off at most `limit` entries of the oldest job whose conversation nobody else works on.
  /// Nothing if there is no job.
  virtual Result<std::optional<FanOut>> fan_out(std::size_t limit) = 0;
  /// Takes the bodies of at most `limit` messages that expire at or before `now`, leaving
  /// tombstones; for every recipient (of a direct conversation) who had not got one, its sender
  /// gets an entry.
  virtual Result<Expiry> expire(SystemTime now, std::size_t limit) = 0;
  /// Removes at most `limit` of what was kept long enough, since before `before`: entries (from the
  /// front of their inbox, whose floor moves), messages nobody has an entry of any more, devices
  /// not seen, and, 30 days later, dedupe rows. A message of a direct conversation whose entry goes
  /// before its user got it expires at `now`, as by expire(): else it would count as delivered as
  /// soon as a later one is.
  virtual Result<Removal> remove_old(SystemTime before, SystemTime now, std::size_t limit) = 0;

  // Privacy.

  /// Hands every message the user may read or has sent to `take`, conversation by conversation, in
  /// order; stops when it answers false. kAbsent if there is no such user.
  virtual Result<void> export_messages(const UserKey& user,
                                       const std::function<bool(const Message&)>& take) = 0;
  /// Takes the bodies of at most `limit` messages the user sent, leaving tombstones everywhere,
  /// and, when none is left, their inbox entries (whose offsets stay used), devices, blocks and
  /// memberships. Call until it returns 0. Dedupe rows stay, so that no queued repeat brings a
  /// message back. From the first call on nobody can write to the user (kUnknownTarget) until they
  /// attach, send, or their inbox is opened.
  virtual Result<std::size_t> erase(const UserKey& user, SystemTime now, std::size_t limit) = 0;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_MESSAGE_STORE_H_

// Inboxes in SQLite: heads, entries and the quotas on them.
//
// A head is read and written in one transaction that holds the write lock from its start, so the
// offsets that follow from it are dense.
// Thread-safety: as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_INBOXES_H_
#define COUNTERSIGN_STORAGE_SQLITE_INBOXES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "countersign/result.h"

#include "storage/message_records.h"
#include "storage/sqlite/connection.h"

namespace countersign::storage {

/// The number of an identity's type in the tables.
std::int64_t type_number(const Identity& identity);
/// The identity in two columns, type and endpoint, from `first` on.
Identity read_identity(const Statement& row, int first);

/// The head of an inbox.
struct Inbox {
  std::int64_t id = 0;
  std::int64_t top = 0;
  std::int64_t floor = 0;
  std::string chain;  ///< after `top`
  std::int64_t bytes = 0;
  bool signed_in = false;
  bool erased = false;  ///< nobody may write to it until its user comes back
};

/// The inbox of somebody who is to get a message of a certain sender.
struct Recipient {
  Inbox inbox;
  Identity identity;
  std::int64_t sender_entries = 0;  ///< entries of that sender there
  bool blocks_sender = false;

  /// True if the limits leave no room for one more entry with a body of `size` bytes.
  bool full(const MessageLimits& limits, std::size_t size) const;
};

/// The head and the sender's share: columns for read_recipient(), for tables `i` (inboxes) and `s`
/// (sender_shares, joined from the left). The two parameters are the sender's type and endpoint.
#define COUNTERSIGN_RECIPIENT_COLUMNS                                          \
  "i.id, i.top, i.floor, i.chain, i.bytes, i.signed_in, i.type, i.endpoint, "  \
  "coalesce(s.entries, 0), i.blocking > 0 AND EXISTS (SELECT 1 FROM blocks b " \
  "WHERE b.inbox = i.id AND b.type = ? AND b.endpoint = ?) "
Recipient read_recipient(const Statement& row);

Result<std::optional<Inbox>> find_inbox(Connection& connection, const UserKey& user);
Result<std::optional<Recipient>> find_recipient(Connection& connection, const UserKey& user,
                                                const Identity& sender, std::int64_t sender_inbox);
/// The inbox, made if there is none (not signed in then), or opened again if it was erased.
Result<Inbox> find_or_make_inbox(Connection& connection, const UserKey& user, SystemTime now);

/// What an entry says, but for its place.
struct NewEntry {
  EntryKind kind = EntryKind::kMessage;
  std::int64_t message = 0;
  std::string_view message_id;
  std::size_t size = 0;
  SystemTime time;
  std::int64_t failed_inbox = 0;  ///< for kFailed
};

/// Appends the entry, moving the head in the table and in `inbox`. Counts it for `sender`, unless
/// that is the inbox's own user.
Result<void> append_entry(Connection& connection, Inbox& inbox, const NewEntry& entry,
                          std::int64_t sender);

/// The epoch of all positions.
Result<std::string> read_epoch(Connection& connection);
/// The chain after `offset`; nothing below the floor and above the top.
Result<std::optional<std::string>> find_chain(Connection& connection, std::int64_t inbox,
                                              std::int64_t offset);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_INBOXES_H_

// Messages in SQLite: reading their rows, and letting go of those that nothing refers to.
// Thread-safety: as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_STORED_MESSAGES_H_
#define COUNTERSIGN_STORAGE_SQLITE_STORED_MESSAGES_H_

#include <cstdint>

#include "countersign/result.h"

#include "storage/message_records.h"
#include "storage/sqlite/connection.h"

namespace countersign::storage {

/// The columns of a message for tables `m` (messages), `c` (conversations) and `u` (its sender's
/// row of inboxes); read_message() takes them from `first` on.
#define COUNTERSIGN_MESSAGE_COLUMNS                                                          \
  "c.id, m.seq, m.kind, m.msg_id, u.type, u.endpoint, m.device, m.time, m.expires, m.body, " \
  "m.gone"
/// The tables, from `messages m` on.
#define COUNTERSIGN_MESSAGE_JOINS                      \
  "JOIN conversations c ON c.number = m.conversation " \
  "JOIN inboxes u ON u.id = m.sender "
inline constexpr int kMessageColumnCount = 11;
Message read_message(const Statement& row, int first = 0);

/// A condition: the user with inbox `p.inbox` may read message `m`, where `p` is their row of
/// conversation_members.
#define COUNTERSIGN_READABLE                                                             \
  "(m.seq BETWEEN p.from_seq AND p.until_seq OR EXISTS (SELECT 1 FROM past_memberships " \
  "e WHERE e.conversation = p.conversation AND e.inbox = p.inbox "                       \
  "AND m.seq BETWEEN e.from_seq AND e.until_seq)) "

/// A table: the stretches `s` of the membership of inbox ?2 in conversation ?1. Between them lies
/// what its user may not read, and may be much.
#define COUNTERSIGN_STRETCHES                                   \
  "(SELECT from_seq, until_seq FROM conversation_members "      \
  "WHERE conversation = ?1 AND inbox = ?2 "                     \
  "UNION ALL SELECT from_seq, until_seq FROM past_memberships " \
  "WHERE conversation = ?1 AND inbox = ?2) s "

/// Adds to what refers to the message, or takes from it; removes the message if nothing is left.
Result<void> change_uses(Connection& connection, std::int64_t message, std::int64_t by);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_STORED_MESSAGES_H_

// Retention in SQLite: what expires, and what was kept long enough.
// Thread-safety: as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_RETENTION_H_
#define COUNTERSIGN_STORAGE_SQLITE_RETENTION_H_

#include <chrono>
#include <cstddef>
#include <vector>

#include "countersign/result.h"

#include "storage/message_records.h"
#include "storage/sqlite/connection.h"

namespace countersign::storage {

/// How much longer than messages the rows are kept that tell a repeat from a new message.
inline constexpr std::chrono::days kRepeatsOutlive(30);

/// True if expire_messages() has something to do.
Result<bool> has_expired(Connection& connection, SystemTime now);
/// MessageStore::expire() inside the caller's transaction.
Result<Expiry> expire_messages(Connection& connection, SystemTime now, std::size_t limit);
/// MessageStore::remove_old() inside the caller's transaction.
Result<Removal> remove_kept_long_enough(Connection& connection, SystemTime before, SystemTime now,
                                        std::size_t limit);
/// Removes at most `limit` entries older than `before` from the front of the inbox; its floor moves
/// with them. Returns how many. Nobody is told.
Result<std::size_t> remove_front(Connection& connection, std::int64_t inbox, SystemTime before,
                                 std::size_t limit);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_RETENTION_H_

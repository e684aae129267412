// Blocking, export and erasure in SQLite.
// Thread-safety: as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_PRIVACY_H_
#define COUNTERSIGN_STORAGE_SQLITE_PRIVACY_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "countersign/result.h"

#include "storage/message_records.h"
#include "storage/sqlite/connection.h"

namespace countersign::storage {

/// MessageStore::set_blocked() inside the caller's transaction.
Result<bool> write_block(Connection& connection, const UserKey& user, const Identity& other,
                         bool blocked, std::size_t max_blocks, SystemTime now);
/// MessageStore::list_blocked() inside the caller's transaction.
Result<std::vector<Identity>> read_blocks(Connection& connection, const UserKey& user);

/// How far an export has come.
struct ExportPlace {
  std::int64_t conversation = 0;
  std::int64_t seq = 0;
  bool finished = false;
};
/// The next messages of an export, and moves the place; may be none though more follow. kAbsent if
/// there is no such user.
Result<std::vector<Message>> read_for_export(Connection& connection, const UserKey& user,
                                             ExportPlace& place);

/// MessageStore::erase() inside the caller's transaction.
Result<std::size_t> erase_user(Connection& connection, const UserKey& user, std::size_t limit);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_PRIVACY_H_

// The embedded store: one SQLite file in WAL mode, one writing thread with group commit, a few
// reading connections. Other processes may use the same file at the same time.
//
// Acknowledged means committed: every commit is synced (synchronous=FULL) before anybody is told.
// group_writer.h says what happens when the disk is full (kStoreFull, deletions go on) and when it
// fails (the process ends).
// Thread-safety: as Store; every call may be made from any thread.
#ifndef COUNTERSIGN_STORAGE_SQLITE_SQLITE_STORE_H_
#define COUNTERSIGN_STORAGE_SQLITE_SQLITE_STORE_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "countersign/result.h"

#include "base/clock.h"
#include "storage/sqlite/message_mutants.h"
#include "storage/store.h"

namespace countersign::storage {

struct SqliteOptions {
  std::string path;         ///< of the database file; `-wal`, `-shm` and `-reserve` stand beside it
  std::size_t readers = 4;  ///< connections that read, each with its own cache of up to 2 MB
  /// What reads longer fails with kOverloaded: it would hold the end of the log in place.
  std::chrono::milliseconds max_read_time{2'000};
  bool migrate = true;  ///< apply what is missing; else an older schema is kSchemaMismatch
  /// Notes when a migration was applied. Null: the machine's clock.
  const base::Clock* clock = nullptr;
  /// Called on the writing thread when reading, writing or syncing failed underneath the store,
  /// before anybody is answered. Default: a log line, then the process ends with status 70.
  std::function<void(std::string_view what)> on_fatal;
  /// Size of the file that is given up when the disk is full. 0: none.
  std::int64_t reserve_bytes = 4 << 20;
  /// The write-ahead log stays below this, unless another process reads without an end.
  std::int64_t max_wal_bytes = 128 << 20;
  /// Called on the writing thread after each commit, with the bytes of the log in use.
  std::function<void(std::int64_t bytes)> on_log_bytes;
  /// A SQLite VFS by name. Empty: the default one. For tests.
  std::string vfs;
  /// False shows what the tests of durability must catch. Never outside of them.
  bool full_sync_for_test = true;
  /// Likewise for what the tests of messages must catch.
  MessageMutants mutants_for_test = {};
};

/// Opens the store, making the file (mode 0600) and its tables if need be.
/// @return kUnwritableFile if the file or its folder cannot be written; kUnreadableFile if the
/// file is damaged or no SQLite database; kSchemaMismatch if it is newer than this program, holds
/// another program's tables, or is older and `migrate` is off; kStoreFailed, kStoreFull.
Result<std::unique_ptr<Store>> open_sqlite_store(const SqliteOptions& options);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_SQLITE_STORE_H_

#include "storage/sqlite/database.h"

#include <algorithm>
#include <cstdlib>

#include "base/log.h"
#include "storage/sqlite/migrations.h"

namespace countersign::storage {
namespace {

/// How long a read waits for a connection. Reads take microseconds; this is for a stuck disk.
constexpr std::chrono::seconds kMaxWaitForConnection(5);
/// The writer touches the pages of everybody who is busy, again and again. Grows as it is used.
constexpr std::int64_t kWriterCacheBytes = 16 << 20;
/// A batch of messages has some hundred statements' small allocations in use at once.
constexpr int kWriterSmallPieces = 400;
/// EX_IOERR of sysexits.h.
constexpr int kExitIoError = 70;

void end_process(std::string_view what) {
  base::log_error("store_io_error", {{"what", what}, {"action", "the process ends"}});
  std::_Exit(kExitIoError);
}

}  // namespace

Result<std::unique_ptr<Database>> Database::open(const SqliteOptions& options) {
  if (options.migrate) {
    Result<std::vector<MigrationStep>> migrated = migrate_sqlite(options);
    if (!migrated) return migrated.failure();
  } else {
    Result<std::vector<MigrationStep>> steps = list_sqlite_migrations(options);
    if (!steps) return steps.failure();
    for (const MigrationStep& step : *steps) {
      if (step.state == MigrationStep::State::kPending) {
        return fail(ErrorCode::kSchemaMismatch, step.name + " has not been applied to the store");
      }
    }
  }

  ConnectionSettings settings;
  settings.path = options.path;
  settings.vfs = options.vfs;
  settings.full_sync = options.full_sync_for_test;
  settings.max_wal_bytes = options.max_wal_bytes;
  settings.cache_bytes = kWriterCacheBytes;
  settings.small_pieces = kWriterSmallPieces;
  Result<std::unique_ptr<Connection>> writing = Connection::open(settings);
  if (!writing) return writing.failure();

  std::unique_ptr<Database> database(new Database(options.max_read_time));
  settings.cache_bytes = ConnectionSettings().cache_bytes;
  settings.small_pieces = ConnectionSettings().small_pieces;
  Result<std::unique_ptr<Connection>> copying = Connection::open(settings);
  if (!copying) return copying.failure();
  settings.query_only = true;
  for (std::size_t i = 0; i < std::max<std::size_t>(options.readers, 1); ++i) {
    Result<std::unique_ptr<Connection>> reading = Connection::open(settings);
    if (!reading) return reading.failure();
    database->idle_.push_back(*std::move(reading));
  }

  SpaceReserve reserve(options.path, options.vfs, options.reserve_bytes);
  if (!reserve.take()) base::log_warning("store_full", {{"action", "no room for the reserve"}});

  GroupWriter::Settings writer_settings;
  writer_settings.on_fatal = options.on_fatal ? options.on_fatal : end_process;
  writer_settings.max_wal_bytes = options.max_wal_bytes;
  writer_settings.on_log_bytes = options.on_log_bytes;
  database->writer_ = std::make_unique<GroupWriter>(*std::move(writing), *std::move(copying),
                                                    std::move(reserve), std::move(writer_settings));
  return database;
}

Result<void> Database::empty_log() {
  return read([](Connection& connection) -> Result<void> {
    const int rc = sqlite3_wal_checkpoint_v2(connection.handle(), nullptr,
                                             SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    if ((rc & 0xff) == SQLITE_BUSY) {
      return fail(ErrorCode::kOverloaded, "somebody reads the log, which cannot be emptied");
    }
    if (rc != SQLITE_OK) return connection.failure(rc, "emptying the log");
    return {};
  });
}

std::unique_ptr<Connection> Database::take() {
  std::unique_lock lock(mutex_);
  if (!returned_.wait_for(lock, kMaxWaitForConnection, [this] { return !idle_.empty(); })) {
    return nullptr;
  }
  std::unique_ptr<Connection> connection = std::move(idle_.back());
  idle_.pop_back();
  connection->set_deadline(std::chrono::steady_clock::now() + max_read_time_);
  return connection;
}

void Database::give_back(std::unique_ptr<Connection> connection) {
  connection->set_deadline({});
  if (!connection->autocommit()) static_cast<void>(connection->run("ROLLBACK"));
  {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(connection));
  }
  returned_.notify_one();
}

}  // namespace countersign::storage

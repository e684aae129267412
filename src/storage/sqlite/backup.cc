#include "storage/sqlite/backup.h"

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "storage/sqlite/connection.h"
#include "storage/sqlite/migrations.h"
#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

/// Pages copied at once; between them progress is told and the copy is synced now and then.
constexpr int kPagesAtOnce = 256;
constexpr int kSyncEverySteps = 8;
constexpr int kMaxBusySteps = 5000;

constexpr std::string_view kTakenName = "backup_time_us";

struct BackupCloser {
  void operator()(sqlite3_backup* backup) const { sqlite3_backup_finish(backup); }
};

Result<std::unique_ptr<Connection>> connect(const std::string& path, const std::string& vfs = {}) {
  ConnectionSettings settings;
  settings.path = path;
  settings.vfs = vfs;
  settings.use_wal = false;
  return Connection::open(settings);
}

/// Leaves one file, without a log. kDataDirLocked if somebody else has it open.
Result<void> leave_wal(Connection& connection) {
  Result<Statement> statement = connection.prepare("PRAGMA journal_mode = DELETE");
  if (!statement) return statement.failure();
  Result<bool> row = statement->step();
  const int rc = sqlite3_errcode(connection.handle());
  if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED ||
      (row.ok() && *row && statement->bytes(0) != "delete")) {
    return fail(ErrorCode::kDataDirLocked,
                std::string(sqlite3_db_filename(connection.handle(), "main")) +
                    ": another program has it open");
  }
  if (!row) return row.failure();
  return {};
}

/// kUnreadableFile if the database is damaged.
Result<void> check_integrity(Connection& connection) {
  Result<std::optional<std::string>> verdict =
      find_row(connection, "PRAGMA integrity_check(1)", first_text);
  if (!verdict) return verdict.failure();
  if (*verdict != "ok") {
    return fail(ErrorCode::kUnreadableFile, "the copy is damaged: " + verdict->value_or("empty"));
  }
  return {};
}

Result<bool> has_meta(Connection& connection) {
  Result<std::optional<std::int64_t>> found =
      find_row(connection, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta'",
               first_integer);
  if (!found) return found.failure();
  return found->has_value();
}

/// The last step that was applied; kUnreadableFile if none was: the file is empty.
Result<std::string> read_schema(const std::string& path, const std::string& vfs) {
  SqliteOptions options;
  options.path = path;
  options.vfs = vfs;
  Result<std::vector<MigrationStep>> steps = list_sqlite_migrations(options);
  if (!steps) return steps.failure();
  std::string last;
  for (const MigrationStep& step : *steps) {
    if (step.state == MigrationStep::State::kApplied) last = step.name;
  }
  if (last.empty()) return fail(ErrorCode::kUnreadableFile, path + ": holds no store");
  return last;
}

Result<BackupFacts> read_facts(Connection& connection, std::string schema) {
  BackupFacts facts;
  facts.schema = std::move(schema);
  Result<std::optional<std::int64_t>> bytes =
      find_row(connection, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
               first_integer);
  if (!bytes) return bytes.failure();
  facts.bytes = bytes->value_or(0);
  Result<bool> meta = has_meta(connection);
  if (!meta) return meta.failure();
  if (!*meta) return facts;
  constexpr const char* kFind = "SELECT value FROM meta WHERE name = ?";
  Result<std::optional<std::string>> key =
      find_row(connection, kFind, first_text, std::string_view("master_key_id"));
  if (!key) return key.failure();
  facts.master_key_id = key->value_or("");
  // It is written as text.
  Result<std::optional<std::int64_t>> taken =
      find_row(connection, kFind, first_integer, kTakenName);
  if (!taken) return taken.failure();
  if (*taken) facts.taken = base::SystemTime(base::SystemTime::duration(**taken));
  return facts;
}

/// Copies every page of one moment of `from`. The reading transaction around it keeps that moment:
/// without it each write of somebody else would begin the copy anew.
Result<void> copy_pages(Connection& from, Connection& to, const UnfinishedFile& file,
                        const Progress& progress) {
  if (Result<void> begun = from.execute("BEGIN; SELECT count(*) FROM sqlite_schema"); !begun) {
    return begun;
  }
  // Nobody sees the file before it is whole, so nothing in it has to be undone.
  if (Result<void> set = to.execute("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF");
      !set) {
    return set;
  }
  const std::unique_ptr<sqlite3_backup, BackupCloser> backup(
      sqlite3_backup_init(to.handle(), "main", from.handle(), "main"));
  if (!backup) return to.failure(sqlite3_errcode(to.handle()), "the copy cannot begin");
  int busy = 0;
  for (int steps = 1;; ++steps) {
    const int rc = sqlite3_backup_step(backup.get(), kPagesAtOnce);
    if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED) {
      if (++busy > kMaxBusySteps) return to.failure(rc, "copying a page");
      sqlite3_sleep(1);
      continue;
    }
    if (rc != SQLITE_OK && rc != SQLITE_DONE) return to.failure(rc, "copying a page");
    const std::int64_t total = sqlite3_backup_pagecount(backup.get());
    if (progress) progress(total - sqlite3_backup_remaining(backup.get()), total);
    if (rc == SQLITE_DONE) return {};
    if (steps % kSyncEverySteps == 0) {
      if (Result<void> synced = file.sync(); !synced) return synced;
    }
  }
}

/// Makes the copy a file of its own: without a log, with its own epoch and the time of its making.
Result<BackupFacts> finish_copy(const std::string& path, const BackupTarget& target,
                                std::string schema) {
  Result<std::unique_ptr<Connection>> connection = connect(path);
  if (!connection) return connection.failure();
  Connection& copy = **connection;
  if (Result<void> left = leave_wal(copy); !left) return left.failure();
  Result<bool> meta = has_meta(copy);
  if (!meta) return meta.failure();
  if (*meta) {
    Result<std::int64_t> renewed =
        copy.run("UPDATE meta SET value = ? WHERE name = 'message_epoch'", target.epoch);
    if (!renewed) return renewed.failure();
    Result<std::int64_t> noted = copy.run(
        "INSERT INTO meta (name, value) VALUES (?, ?) "
        "ON CONFLICT DO UPDATE SET value = excluded.value",
        kTakenName, std::to_string(target.now.time_since_epoch().count()));
    if (!noted) return noted.failure();
  }
  if (Result<void> checked = check_integrity(copy); !checked) return checked.failure();
  return read_facts(copy, std::move(schema));
}

/// In front of a failure to read: which file it was, and that it is the file's fault.
tl::unexpected<Error> blame(const std::string& file, const std::string& staged,
                            const Error& error) {
  std::string detail = error.detail;
  if (detail.starts_with(staged)) detail.replace(0, staged.size(), file);
  if (!detail.starts_with(file)) detail = file + ": " + detail;
  const bool damaged = error.code == ErrorCode::kStoreFailed;
  return fail(damaged ? ErrorCode::kUnreadableFile : error.code, std::move(detail));
}

Result<BackupFacts> judge_copy(const std::string& path) {
  Result<std::string> schema = read_schema(path, {});
  if (!schema) return schema.failure();
  Result<std::unique_ptr<Connection>> connection = connect(path);
  if (!connection) return connection.failure();
  if (Result<void> left = leave_wal(**connection); !left) return left.failure();
  if (Result<void> checked = check_integrity(**connection); !checked) return checked.failure();
  Result<BackupFacts> facts = read_facts(**connection, *std::move(schema));
  if (!facts) return facts.failure();
  Result<bool> meta = has_meta(**connection);
  if (!meta) return meta.failure();
  if (*meta) {
    Result<std::int64_t> forgotten =
        (*connection)->run("DELETE FROM meta WHERE name = ?", kTakenName);
    if (!forgotten) return forgotten.failure();
  }
  return facts;
}

/// Brings the present store into one file and proves that nobody has it open. False: it is too
/// damaged for that.
Result<bool> settle(const std::string& path) {
  const auto unreadable = [](const Error& error) {
    return error.code == ErrorCode::kUnreadableFile;
  };
  Result<std::unique_ptr<Connection>> connection = connect(path);
  if (!connection) {
    if (unreadable(connection.error())) return false;
    return connection.failure();
  }
  Result<void> left = leave_wal(**connection);
  if (left) return true;
  const int rc = sqlite3_errcode((*connection)->handle()) & 0xff;
  if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB) return false;
  return left.failure();
}

/// A restore that was killed between its two last steps left the store a second name.
void remove_second_names(const std::string& path) {
  const std::filesystem::path store(path);
  const auto folder = store.has_parent_path() ? store.parent_path() : std::filesystem::path(".");
  const std::string prefix = store.filename().string() + ".before-restore-";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (!entry.path().filename().string().starts_with(prefix)) continue;
    if (same_file(entry.path().string(), path)) ::unlink(entry.path().c_str());
  }
}

}  // namespace

Result<BackupFacts> back_up_sqlite(const SqliteOptions& source, const BackupTarget& target) {
  if (!path_exists(source.path)) {
    return fail(ErrorCode::kUnreadableFile, because_of(source.path, ENOENT));
  }
  if (same_file(source.path, target.path)) {
    return fail(ErrorCode::kUsage, target.path + " is the store itself");
  }
  if (!target.replace && path_exists(target.path)) {
    return fail(ErrorCode::kAlreadyExists, target.path + " (--force replaces it)");
  }
  Result<std::string> schema = read_schema(source.path, source.vfs);
  if (!schema) return schema.failure();
  Result<UnfinishedFile> file = UnfinishedFile::begin(target.path + ".partial");
  if (!file) return file.failure();
  {
    Result<std::unique_ptr<Connection>> from = connect(source.path, source.vfs);
    if (!from) return from.failure();
    Result<std::unique_ptr<Connection>> to = connect(file->path());
    if (!to) return to.failure();
    if (Result<void> copied = copy_pages(**from, **to, *file, target.progress); !copied) {
      return copied.failure();
    }
  }
  Result<BackupFacts> facts = finish_copy(file->path(), target, *std::move(schema));
  if (!facts) return facts.failure();
  if (Result<void> published = file->publish(target.path); !published) return published.failure();
  return facts;
}

Result<StagedBackup> StagedBackup::stage(const std::string& file, const std::string& staged,
                                         const Progress& progress) {
  Result<UnfinishedFile> copy = UnfinishedFile::begin(staged);
  if (!copy) return copy.failure();
  if (Result<void> copied = copy_bytes(file, *copy, progress); !copied) return copied.failure();
  if (path_exists(file + "-wal")) {
    Result<UnfinishedFile> log = UnfinishedFile::begin(staged + "-wal");
    if (!log) return log.failure();
    if (Result<void> copied = copy_bytes(file + "-wal", *log, nullptr); !copied) {
      return copied.failure();
    }
    if (Result<void> named = log->publish(staged + "-wal"); !named) return named.failure();
  }
  Result<BackupFacts> facts = judge_copy(staged);
  if (!facts) return blame(file, staged, facts.error());
  return StagedBackup(*std::move(copy), *std::move(facts));
}

Result<bool> StagedBackup::put_in_place(const std::string& path, const std::string& kept) {
  {
    Result<std::unique_ptr<Connection>> connection = connect(copy_.path());
    if (!connection) return connection.failure();
    if (Result<void> left = leave_wal(**connection); !left) return left.failure();
  }
  const bool there = path_exists(path);
  if (there) {
    Result<bool> settled = settle(path);
    if (!settled) return settled.failure();
    remove_second_names(path);
  }
  // Left beside a damaged store, or by somebody who removed it: no part of the new one.
  for (const char* suffix : {"-wal", "-shm", "-journal"}) {
    if (!path_exists(path + suffix)) continue;
    if (::rename((path + suffix).c_str(), (kept + suffix).c_str()) != 0) {
      return fail(ErrorCode::kUnwritableFile, because_of(path + suffix, errno));
    }
  }
  // A second name first, so that there is a store at every moment.
  if (there) {
    if (::link(path.c_str(), kept.c_str()) != 0) {
      return fail(ErrorCode::kUnwritableFile, because_of(kept, errno));
    }
    if (Result<void> synced = sync_folder_of(path); !synced) return synced.failure();
  }
  if (Result<void> published = copy_.publish(path); !published) return published.failure();
  return there;
}

}  // namespace countersign::storage

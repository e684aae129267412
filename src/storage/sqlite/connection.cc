#include "storage/sqlite/connection.h"

#include <cerrno>
#include <chrono>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

namespace countersign::storage {
namespace {

/// SQLite's own default.
constexpr int kSmallPieceBytes = 1200;
/// Steps of SQLite's machine between two looks at the clock; a fraction of a millisecond.
constexpr int kStepsBetweenLooks = 10'000;

/// Makes an empty file that only its owner may read. mknod rather than open: closing a descriptor
/// of a database file would drop the locks that this process holds on it.
Result<void> create_private_file(const std::string& path) {
  if (::mknod(path.c_str(), S_IFREG | 0600, 0) == 0) return {};
  if (errno == EEXIST) return {};
  return fail(ErrorCode::kUnwritableFile, path + ": " + std::strerror(errno));
}

/// Translates SQLite's answer; `action` says what was tried.
Error sqlite_error(sqlite3* handle, int rc, std::string_view action) {
  ErrorCode code = ErrorCode::kStoreFailed;
  if ((rc & 0xff) == SQLITE_FULL) code = ErrorCode::kStoreFull;
  if (rc == SQLITE_INTERRUPT) code = ErrorCode::kOverloaded;
  if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
      rc == SQLITE_CONSTRAINT_ROWID) {
    code = ErrorCode::kAlreadyExists;
  }
  if (rc == SQLITE_CONSTRAINT_FOREIGNKEY) code = ErrorCode::kAbsent;
  std::string detail(action);
  detail += ": ";
  detail += handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(rc);
  detail += " (SQLite " + std::to_string(rc) + ")";
  return Error{code, std::move(detail)};
}

/// What opening a file can answer, beyond the codes of every call.
Error open_error(sqlite3* handle, int rc, const std::string& path) {
  Error error = sqlite_error(handle, rc, path);
  switch (rc & 0xff) {
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      error.code = ErrorCode::kUnwritableFile;
      break;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      error.code = ErrorCode::kUnreadableFile;
      break;
    default:
      break;
  }
  return error;
}

}  // namespace

tl::unexpected<Error> Connection::failure(int rc, std::string_view action) {
  if ((rc & 0xff) == SQLITE_IOERR) io_failed_ = true;
  return tl::make_unexpected(sqlite_error(handle_, rc, action));
}

Statement::~Statement() {
  if (handle_ == nullptr) return;
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

void Statement::note_bind(int rc) {
  if (rc != SQLITE_OK) failed_bind_ = rc;
}

void Statement::bind(std::string_view text) {
  note_bind(sqlite3_bind_text64(handle_, next_parameter_++, text.data() ? text.data() : "",
                                text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void Statement::bind(Blob blob) {
  note_bind(sqlite3_bind_blob64(handle_, next_parameter_++,
                                blob.bytes.data() ? blob.bytes.data() : "", blob.bytes.size(),
                                SQLITE_STATIC));
}

void Statement::bind(std::nullptr_t) { note_bind(sqlite3_bind_null(handle_, next_parameter_++)); }

void Statement::bind_integer(std::int64_t number) {
  note_bind(sqlite3_bind_int64(handle_, next_parameter_++, number));
}

Result<bool> Statement::step() {
  if (failed_bind_ != SQLITE_OK) return connection_->failure(failed_bind_, sqlite3_sql(handle_));
  const int rc = sqlite3_step(handle_);
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return connection_->failure(rc, sqlite3_sql(handle_));
}

std::string Statement::bytes(int column) const {
  const void* data = sqlite3_column_blob(handle_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_, column));
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

std::optional<std::string> Statement::optional_bytes(int column) const {
  if (is_null(column)) return std::nullopt;
  return bytes(column);
}

Result<std::unique_ptr<Connection>> Connection::open(const ConnectionSettings& settings) {
  // Counting memory takes a lock around every allocation. Later calls change nothing.
  static const int uncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(uncounted);
  if (settings.create) {
    Result<void> made = create_private_file(settings.path);
    if (!made) return made.failure();
  } else if (::access(settings.path.c_str(), F_OK) != 0) {
    return fail(ErrorCode::kUnreadableFile, settings.path + ": " + std::strerror(errno));
  }

  sqlite3* handle = nullptr;
  const int opened =
      sqlite3_open_v2(settings.path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                      settings.vfs.empty() ? nullptr : settings.vfs.c_str());
  std::unique_ptr<Connection> connection(new Connection(handle));
  if (opened != SQLITE_OK) {
    return tl::make_unexpected(open_error(handle, opened, settings.path));
  }
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_LOOKASIDE, nullptr, kSmallPieceBytes,
                    settings.small_pieces);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  if (sqlite3_db_readonly(handle, "main") == 1) {
    return fail(ErrorCode::kUnwritableFile, settings.path + ": cannot be opened for writing");
  }

  // Savepoints keep the pages they may restore in memory: in a file each would be written twice.
  // Checkpoints are the writer's business (wal_autocheckpoint = 0): SQLite's own swallow errors.
  const std::string setup =
      std::string("PRAGMA synchronous = ") + (settings.full_sync ? "FULL" : "NORMAL") +
      "; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF;"
      "PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -" +
      std::to_string(settings.cache_bytes >> 10) +
      "; PRAGMA journal_size_limit = " + std::to_string(settings.max_wal_bytes) +
      "; PRAGMA query_only = " + (settings.query_only ? "ON" : "OFF");
  char* message = nullptr;
  const int rc = sqlite3_exec(handle, setup.c_str(), nullptr, nullptr, &message);
  sqlite3_free(message);
  if (rc != SQLITE_OK) return tl::make_unexpected(open_error(handle, rc, settings.path));
  // Reads the header: here a file that is no database shows itself.
  if (const int read = sqlite3_exec(handle, "PRAGMA schema_version", nullptr, nullptr, nullptr);
      read != SQLITE_OK) {
    return tl::make_unexpected(open_error(handle, read, settings.path));
  }
  if (settings.use_wal) {
    if (Result<void> enabled = connection->enable_wal(); !enabled) return enabled.failure();
  }
  return connection;
}

Result<void> Connection::enable_wal() {
  // Two programs that do this at once can be told "busy" without SQLite's own waiting.
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(kBusyTimeoutMs);
  for (;;) {
    const int rc = sqlite3_exec(handle_, "PRAGMA journal_mode = WAL", nullptr, nullptr, nullptr);
    if (rc == SQLITE_OK) return {};
    if ((rc & 0xff) != SQLITE_BUSY || std::chrono::steady_clock::now() > deadline) {
      return tl::make_unexpected(open_error(handle_, rc, sqlite3_db_filename(handle_, "main")));
    }
    sqlite3_sleep(2);
  }
}

Connection::~Connection() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

void Connection::set_deadline(std::optional<std::chrono::steady_clock::time_point> deadline) {
  deadline_ = deadline;
  const auto is_over = [](void* self) { return static_cast<Connection*>(self)->is_late() ? 1 : 0; };
  sqlite3_progress_handler(handle_, deadline ? kStepsBetweenLooks : 0, is_over, this);
}

bool Connection::is_late() const {
  return deadline_ && std::chrono::steady_clock::now() > *deadline_;
}

Result<sqlite3_stmt*> Connection::find_or_prepare(const char* sql) {
  if (is_late()) return fail(ErrorCode::kOverloaded, "it has taken too long");
  const auto known = statements_.find(sql);
  if (known != statements_.end()) return known->second;
  sqlite3_stmt* statement = nullptr;
  const int rc =
      sqlite3_prepare_v3(handle_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (rc != SQLITE_OK) return failure(rc, sql);
  statements_.emplace(sql, statement);
  return statement;
}

Result<void> Connection::execute(const std::string& sql) {
  const int rc = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (rc != SQLITE_OK) return failure(rc, "execute");
  return {};
}

}  // namespace countersign::storage

// Connection and Statement: SQLite's C interface with owners, Result and typed columns.
//
// A statement is prepared once per connection and kept. Every connection syncs the write-ahead log
// at each commit (synchronous=FULL), checks foreign keys and overwrites what it deletes.
// Thread-safety: a Connection and its Statements belong to one thread at a time.
// Source: https://www.sqlite.org/c3ref/intro.html, https://www.sqlite.org/wal.html
#ifndef COUNTERSIGN_STORAGE_SQLITE_CONNECTION_H_
#define COUNTERSIGN_STORAGE_SQLITE_CONNECTION_H_

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <sqlite3.h>

#include "countersign/result.h"

#include "base/clock.h"

namespace countersign::storage {

/// Bytes to be bound as a BLOB; text is bound as TEXT.
struct Blob {
  std::string_view bytes;
};

class Connection;

/// A prepared statement in use; given back to its connection's cache when it goes.
class Statement {
 public:
  Statement(Connection& connection, sqlite3_stmt* handle)
      : connection_(&connection), handle_(handle) {}
  Statement(Statement&& other) noexcept
      : connection_(other.connection_),
        handle_(std::exchange(other.handle_, nullptr)),
        next_parameter_(other.next_parameter_),
        failed_bind_(other.failed_bind_) {}
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  /// Binds the next parameter. The bytes are not copied: they must stay until the statement goes.
  void bind(std::string_view text);
  void bind(Blob blob);
  void bind(std::nullptr_t);
  void bind(base::SystemTime time) { bind(time.time_since_epoch().count()); }
  template <std::integral Integer>
  void bind(Integer number) {
    bind_integer(static_cast<std::int64_t>(number));
  }
  template <class T>
  void bind(const std::optional<T>& value) {
    value ? bind(*value) : bind(nullptr);
  }

  /// Runs to the next row. True: there is one. kStoreFull, kStoreFailed; kAlreadyExists for a
  /// UNIQUE or PRIMARY KEY constraint, kAbsent for a FOREIGN KEY.
  Result<bool> step();

  std::int64_t integer(int column) const { return sqlite3_column_int64(handle_, column); }
  std::uint32_t number(int column) const { return static_cast<std::uint32_t>(integer(column)); }
  bool flag(int column) const { return integer(column) != 0; }
  base::SystemTime time(int column) const {
    return base::SystemTime(base::SystemTime::duration(integer(column)));
  }
  bool is_null(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }
  /// The bytes of a TEXT or BLOB column.
  std::string bytes(int column) const;
  std::optional<std::string> optional_bytes(int column) const;

 private:
  void bind_integer(std::int64_t number);
  void note_bind(int rc);

  Connection* connection_;
  sqlite3_stmt* handle_;
  int next_parameter_ = 1;
  int failed_bind_ = SQLITE_OK;
};

/// How a connection is opened.
struct ConnectionSettings {
  std::string path;
  std::string vfs;                         ///< empty: the default one
  bool create = false;                     ///< make the file (mode 0600) if there is none
  bool use_wal = true;                     ///< false: leave the journal mode as it is
  bool query_only = false;                 ///< refuse to write through this connection
  bool full_sync = true;                   ///< see SqliteOptions::full_sync_for_test
  std::int64_t cache_bytes = 2 << 20;      ///< pages kept in memory
  int small_pieces = 100;                  ///< small allocations kept ready (1,200 bytes each)
  std::int64_t max_wal_bytes = 128 << 20;  ///< the log is cut back to this when it is reused
};

class Connection {
 public:
  /// How long a call waits for a lock that another process holds.
  static constexpr int kBusyTimeoutMs = 5000;

  /// Opens the file and sets it up. kUnwritableFile if it cannot be made or written,
  /// kUnreadableFile if it is absent (and not to be made), damaged or no SQLite database.
  static Result<std::unique_ptr<Connection>> open(const ConnectionSettings& settings);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// The statement with its parameters bound in order. `sql` must be a literal: the cache is keyed
  /// by its address. Texts and blobs among the arguments must outlive the statement.
  template <class... Arguments>
  Result<Statement> prepare(const char* sql, const Arguments&... arguments) {
    Result<sqlite3_stmt*> handle = find_or_prepare(sql);
    if (!handle) return handle.failure();
    Statement statement(*this, *handle);
    (statement.bind(arguments), ...);
    return statement;
  }
  /// Runs a statement that answers no rows; returns how many rows it changed.
  template <class... Arguments>
  Result<std::int64_t> run(const char* sql, const Arguments&... arguments) {
    Result<Statement> statement = prepare(sql, arguments...);
    if (!statement) return statement.failure();
    Result<bool> stepped = statement->step();
    if (!stepped) return stepped.failure();
    return sqlite3_changes64(handle_);
  }
  /// Runs SQL text of any number of statements, uncached.
  Result<void> execute(const std::string& sql);

  /// Turns the write-ahead log on; it stays on for the file.
  Result<void> enable_wal();

  /// From then on statements, those under way too, fail with kOverloaded. Nothing: they take as
  /// long as they take.
  void set_deadline(std::optional<std::chrono::steady_clock::time_point> deadline);

  /// False while a transaction is open; SQLite may close one by itself when it fails.
  bool autocommit() const { return sqlite3_get_autocommit(handle_) != 0; }
  /// True once a call failed because reading, writing or syncing failed underneath SQLite.
  bool io_failed() const { return io_failed_; }
  /// The failure for what SQLite answered; `action` says what was tried. Notes I/O errors.
  tl::unexpected<Error> failure(int rc, std::string_view action);
  sqlite3* handle() { return handle_; }

 private:
  explicit Connection(sqlite3* handle) : handle_(handle) {}
  Result<sqlite3_stmt*> find_or_prepare(const char* sql);
  bool is_late() const;

  sqlite3* handle_;
  bool io_failed_ = false;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
  std::unordered_map<const void*, sqlite3_stmt*> statements_;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_CONNECTION_H_

// Connection: one session with PostgreSQL through libpq, with owners, Result and deadlines.
//
// run() sends all its statements, each prepared at its first use, in one pipeline and flushes once;
// what writes is wrapped in BEGIN and COMMIT within the same flush, so that no lock waits for a
// round trip. A write has succeeded only if the answer to COMMIT was the tag COMMIT (after a failed
// statement it is ROLLBACK, and no error) and no warning came with it (a wait for a standby that
// was cut short is one). A session that stops answering is given up at the deadline of the call; it
// is broken for good then, and the outcome of what it wrote is unknown. Thread-safety: a Connection
// belongs to one thread at a time. Source:
// https://www.postgresql.org/docs/15/libpq-pipeline-mode.html
#ifndef COUNTERSIGN_STORAGE_POSTGRES_CONNECTION_H_
#define COUNTERSIGN_STORAGE_POSTGRES_CONNECTION_H_

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <libpq-fe.h>

#include "countersign/result.h"

#include "storage/postgres/parameters.h"
#include "storage/postgres/rows.h"

namespace countersign::storage::postgres {

/// How a session is opened. Timeouts of 0 are none.
struct ConnectionSettings {
  std::string url;  ///< may hold a password: never shown, see describe_url()
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::milliseconds statement_timeout{10'000};
  /// How much longer than statement_timeout an answer is waited for.
  std::chrono::milliseconds answer_margin{5'000};
  std::chrono::milliseconds lock_timeout{2'000};
  std::chrono::milliseconds idle_in_transaction_timeout{1'000};
  /// See PostgresOptions for both.
  bool allow_unsafe_server_for_test = false;
  bool ignore_commit_tag_for_test = false;
};

/// `HOST:PORT/DATABASE` of the URL, for logs and errors: without user, password and options.
std::string describe_url(const std::string& url);

class Connection {
 public:
  enum class Mode {
    kRead,      ///< each statement for itself
    kSnapshot,  ///< a transaction that only reads and in which all statements see one state
    kWrite,     ///< BEGIN, the statements, COMMIT
  };

  /// Connects and sets the session up. kBadSetting if the URL cannot be understood or the server is
  /// not fit to keep a promise: another encoding than UTF-8, `fsync` or `full_page_writes` off,
  /// older than version 14, a standby; kStoreFailed if it cannot be reached or refuses.
  static Result<std::unique_ptr<Connection>> open(const ConnectionSettings& settings);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Runs the queries; returns what each answered. kAlreadyExists for a unique constraint, kAbsent
  /// for a foreign key, kStoreFull, kOverloaded if a lock did not come free in time, kBadRequest
  /// for text that is not UTF-8 or holds U+0000, kLimitExceeded for a key too long to index:
  /// nothing was written. kStoreFailed: the outcome of a write is unknown.
  Result<std::vector<Rows>> run(std::span<const Query> queries, Mode mode);

  /// Runs SQL text of any number of statements; returns the tag of the last. Inside a transaction
  /// that it began it goes on in the next call. For migrations.
  Result<std::string> execute(const std::string& sql);

  /// True if the last run() failed because others were in its way (deadlock, serialization): it
  /// wrote nothing and may be repeated.
  bool conflicted() const { return conflicted_; }
  /// True once the session is lost.
  bool broken() const { return broken_; }
  /// Of an idle session: false if the server has ended it meanwhile. Costs one system call.
  bool still_there();

 private:
  struct Sent {
    enum class Kind { kPrepare, kQuery, kFrame, kCommit } kind;
    const char* sql;
  };

  Connection(PGconn* handle, std::chrono::milliseconds answer_timeout, bool ignore_commit_tag);
  static void receive_notice(void* self, const PGresult* notice);

  Result<void> set_up(const ConnectionSettings& settings);
  bool send(const Query& query, Sent::Kind kind, std::vector<Sent>& sent);
  bool collect(const Sent& sent, std::vector<Rows>& rows);
  bool take_sync();
  bool roll_back();
  bool wait_until_readable_or_ready();
  bool next_result(PGresult*& result);
  void note_failure(const PGresult* result);
  void start_deadline();
  /// The session is of no use any more.
  bool lose(std::string_view action);

  PGconn* handle_;
  std::chrono::milliseconds answer_timeout_;
  const bool ignore_commit_tag_;
  std::chrono::steady_clock::time_point deadline_;
  bool broken_ = false;
  bool conflicted_ = false;
  std::optional<std::string> warning_;  ///< of the server, during the run
  std::optional<Error> failure_;        ///< the first of the run
  int next_name_ = 1;
  std::unordered_map<const void*, std::string> statements_;  ///< names, by the address of the SQL
};

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_CONNECTION_H_

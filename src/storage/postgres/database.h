// Database: what the parts of the PostgreSQL store share. A pool of sessions, with calls that block
// until they are done.
//
// A session is opened when one is needed and none is idle, up to the bound; a lost one is dropped
// with all idle ones, which very likely are lost too. While the server cannot be reached, tries are
// paused, longer and longer up to a second; calls meanwhile fail at once.
// Thread-safety: every call may be made from any thread.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_DATABASE_H_
#define COUNTERSIGN_STORAGE_POSTGRES_DATABASE_H_

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <vector>

#include "storage/postgres/connection.h"
#include "storage/postgres/postgres_store.h"

namespace countersign::storage::postgres {

class Database {
 public:
  static Result<std::unique_ptr<Database>> open(const PostgresOptions& options);

  /// Runs one statement that only reads. It sees every write acknowledged before.
  template <class... Values>
  Result<Rows> read(const char* sql, const Values&... values) {
    return only(run({Query(sql, values...)}, Connection::Mode::kRead));
  }
  /// Runs statements that only read and see one state, in one flush; what each answered, in order.
  Result<std::vector<Rows>> read_all(const std::vector<Query>& queries) {
    return run(queries, Connection::Mode::kSnapshot);
  }
  /// Runs one statement in a transaction of its own; repeats it if others were in its way.
  template <class... Values>
  Result<Rows> write(const char* sql, const Values&... values) {
    return only(run({Query(sql, values...)}, Connection::Mode::kWrite));
  }
  /// Runs the statements in one transaction and one flush; what each answered, in order.
  Result<std::vector<Rows>> write_all(const std::vector<Query>& queries) {
    return run(queries, Connection::Mode::kWrite);
  }

  /// Sessions that are open. For tests and metrics.
  std::size_t sessions() const;

 private:
  using Time = std::chrono::steady_clock::time_point;

  explicit Database(const PostgresOptions& options);
  static Result<Rows> only(Result<std::vector<Rows>> answers);
  Result<std::vector<Rows>> run(const std::vector<Query>& queries, Connection::Mode mode);
  Result<std::unique_ptr<Connection>> take();
  Result<std::unique_ptr<Connection>> connect();
  void give_back(std::unique_ptr<Connection> connection);
  void pause_before_repeat(int attempt);

  const ConnectionSettings settings_;
  const std::size_t max_connections_;
  const std::chrono::milliseconds max_wait_;
  mutable std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Connection>> idle_;  ///< the last one used is taken first
  std::size_t in_use_ = 0;
  Time next_try_{};                  ///< no session is opened before
  std::chrono::milliseconds pause_;  ///< after the next try that fails
  std::optional<Error> unreachable_;
  std::minstd_rand random_;  ///< for pauses alone
};

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_DATABASE_H_

// Database: what the parts of the SQLite store share. A pool of reading connections and the
// writer, with calls that block until they are done.
// Thread-safety: every call may be made from any thread.
#ifndef COUNTERSIGN_STORAGE_SQLITE_DATABASE_H_
#define COUNTERSIGN_STORAGE_SQLITE_DATABASE_H_

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "storage/sqlite/connection.h"
#include "storage/sqlite/group_writer.h"
#include "storage/sqlite/sqlite_store.h"

namespace countersign::storage {

class Database {
 public:
  static Result<std::unique_ptr<Database>> open(const SqliteOptions& options);

  /// Runs `work(Connection&)`, which answers a Result and only reads, on a free connection. It sees
  /// every write acknowledged before. It holds the log's end in place: what takes longer than
  /// SqliteOptions::max_read_time fails with kOverloaded.
  template <class Work>
  auto read(Work&& work) -> std::invoke_result_t<Work&, Connection&> {
    const Lease lease(*this);
    if (lease.connection() == nullptr) {
      return fail(ErrorCode::kStoreFailed, "no connection came free");
    }
    return work(*lease.connection());
  }

  /// Runs `work(Connection&)`, which answers a Result, on the writer's thread, and returns its
  /// outcome after the commit. A failure undoes what it wrote. See GroupWriter::Work.
  template <class Work>
  auto write(WriteKind kind, Work&& work) -> std::invoke_result_t<Work&, Connection&> {
    std::optional<std::invoke_result_t<Work&, Connection&>> outcome;
    Result<void> committed = writer_->write(kind, [&](Connection& connection) -> Result<void> {
      outcome.emplace(work(connection));
      if (!*outcome) return outcome->failure();
      return {};
    });
    if (!committed) return committed.failure();
    return *std::move(outcome);
  }

  /// Copies the write-ahead log into the database and cuts it to nothing, so that it holds nothing
  /// that has been overwritten there. kOverloaded if somebody reads without an end; kStoreFailed.
  Result<void> empty_log();

  GroupWriter& writer() { return *writer_; }

 private:
  /// A connection taken from the pool for as long as this lives.
  class Lease {
   public:
    explicit Lease(Database& database) : database_(database), connection_(database.take()) {}
    ~Lease() {
      if (connection_) database_.give_back(std::move(connection_));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Connection* connection() const { return connection_.get(); }

   private:
    Database& database_;
    std::unique_ptr<Connection> connection_;
  };

  explicit Database(std::chrono::milliseconds max_read_time) : max_read_time_(max_read_time) {}
  std::unique_ptr<Connection> take();
  void give_back(std::unique_ptr<Connection> connection);

  const std::chrono::milliseconds max_read_time_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Connection>> idle_;  ///< the last one used is taken first
  std::unique_ptr<GroupWriter> writer_;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_DATABASE_H_

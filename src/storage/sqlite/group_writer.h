// GroupWriter: the one thread that writes, and the group commit.
//
// Callers hand in a closure. The thread takes everything that waits, runs the closures in one
// transaction, commits (one fsync for all of them) and only then reports. A closure that fails is
// undone alone; if the commit fails, all of them fail. Most closures that fail have written nothing
// so far. One that has makes the batch run once more with a savepoint around each, which would cost
// a copy of every page that it touches.
//
// Disk full: the batch is tried again one by one. What still does not fit is refused with
// kStoreFull; writes of kind kRelief may use up the space reserve, others wait until it is back.
// I/O error: what is on the disk is unknown and a second fsync proves nothing, so `on_fatal` is
// called before anybody is answered; by default it ends the process.
// Thread-safety: submit() may be called from any thread.
#ifndef COUNTERSIGN_STORAGE_SQLITE_GROUP_WRITER_H_
#define COUNTERSIGN_STORAGE_SQLITE_GROUP_WRITER_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "countersign/result.h"

#include "storage/sqlite/checkpointer.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/space_reserve.h"

namespace countersign::storage {

enum class WriteKind {
  kGrow,    ///< keeps something new: refused while the disk is full
  kRelief,  ///< deletes, ends or revokes: may use the space reserve
};

class GroupWriter {
 public:
  /// Runs on the writer's thread, at least once when it succeeds, and more than once if the batch
  /// has to be repeated: it must set its outcome anew each time. A failure undoes what it wrote.
  using Work = std::function<Result<void>(Connection&)>;
  /// Called once, on the writer's thread: the closure's own failure, or success after the commit,
  /// or kStoreFailed or kStoreFull. Must be quick and must not wait for the writer.
  using Completion = std::function<void(Result<void>)>;

  struct Settings {
    std::function<void(std::string_view what)> on_fatal;
    std::size_t max_queue = 4096;  ///< closures that may wait; further ones fail with kOverloaded
    std::size_t max_queue_bytes = std::size_t{32} << 20;  ///< the same for what they hold
    std::size_t max_batch = 256;                          ///< closures in one transaction
    /// While many write, a transaction begins no sooner than this after the one before: a commit
    /// costs as much as several messages do. Who writes alone is not kept waiting.
    std::chrono::microseconds gather{3000};
    /// The log's size to stay below; it is copied into the database from a quarter of it on.
    std::int64_t max_wal_bytes = 128 << 20;
    std::function<void(std::int64_t bytes)> on_log_bytes;  ///< see SqliteOptions
  };

  /// @param copying  a second connection to the same file, for the checkpointer
  GroupWriter(std::unique_ptr<Connection> connection, std::unique_ptr<Connection> copying,
              SpaceReserve reserve, Settings settings);
  /// Runs what waits, then stops.
  ~GroupWriter();
  GroupWriter(const GroupWriter&) = delete;
  GroupWriter& operator=(const GroupWriter&) = delete;

  /// @param bytes  what the closure holds beyond a few small things; counts against
  /// `max_queue_bytes` until it has run.
  void submit(WriteKind kind, Work work, Completion done, std::size_t bytes = 0);
  /// submit() and wait.
  Result<void> write(WriteKind kind, Work work);

  /// True after an I/O error, if on_fatal returned. Nothing can be written any more.
  bool dead() const { return dead_.load(); }
  /// Transactions committed so far. For tests and metrics.
  std::uint64_t commits() const { return commits_.load(); }

 private:
  struct Task {
    WriteKind kind;
    Work work;
    Completion done;
    std::size_t bytes;
    Result<void> outcome;
  };
  using Batch = std::vector<Task*>;

  void run();
  void process(std::vector<Task>& tasks);
  void note_fullness(const std::vector<Task>& tasks);
  /// What became of a transaction. Unless it was committed, every outcome is a failure.
  enum class Attempt {
    kCommitted,
    kRolledBack,
    kNotBegun,
    kToBeUndone  ///< rolled back, because one failed after it had written
  };
  /// What a closure that fails leaves to be undone.
  enum class Undo { kNothing, kEach };
  Attempt attempt(const Batch& batch, Undo undo);
  void run(Task& task);
  void run_in_savepoint(Task& task);
  Attempt give_up(Attempt how, const Batch& batch, const Error& error);
  void repeat_with_reserve(Task& task);
  void checkpoint_when_due();
  void checkpoint(int wait_ms);
  void stop_for_io_error(std::string_view what);

  std::unique_ptr<Connection> connection_;
  SpaceReserve reserve_;
  Settings settings_;
  int wal_pages_ = 0;      ///< in the log after the last commit
  int pages_allowed_ = 0;  ///< in the log before the next checkpoint
  int pages_quarter_ = 0;  ///< a quarter of max_wal_bytes
  bool full_ = false;      ///< the last write that keeps something was refused for want of room
  std::atomic<bool> dead_ = false;
  std::atomic<std::uint64_t> commits_ = 0;
  Checkpointer checkpointer_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> queue_;
  std::size_t queued_bytes_ = 0;
  bool idle_ = false;  ///< the thread waits for something to do
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_GROUP_WRITER_H_

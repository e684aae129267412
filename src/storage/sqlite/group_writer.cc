#include "storage/sqlite/group_writer.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <iterator>
#include <optional>

#include <pthread.h>

#include "base/burst.h"
#include "base/log.h"

namespace countersign::storage {
namespace {

/// How long a checkpoint waits for readers when the log has become large, and at the last chance to
/// keep it below its limit: as long as a read transaction may take.
constexpr int kReaderWaitMs = 100;
constexpr int kLongReaderWaitMs = 2000;
constexpr int kReaderTurnMs = 10;
/// With so many closures in the last transaction, the next one waits for company.
constexpr std::size_t kBusyBatch = 3;
constexpr int kPageBytes = 4096;
/// A page in the log, with its header.
constexpr std::int64_t kFrameBytes = kPageBytes + 24;
constexpr int kCopiesInAQuarter = 8;

int note_wal_pages(void* pages, sqlite3*, const char*, int count) {
  *static_cast<int*>(pages) = count;
  return SQLITE_OK;
}

}  // namespace

GroupWriter::GroupWriter(std::unique_ptr<Connection> connection,
                         std::unique_ptr<Connection> copying, SpaceReserve reserve,
                         Settings settings)
    : connection_(std::move(connection)),
      reserve_(std::move(reserve)),
      settings_(std::move(settings)),
      pages_allowed_(static_cast<int>(settings_.max_wal_bytes / kPageBytes / 4)),
      pages_quarter_(pages_allowed_),
      checkpointer_(std::move(copying), [this] { stop_for_io_error("checkpoint"); }) {
  sqlite3_wal_hook(connection_->handle(), note_wal_pages, &wal_pages_);
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "store-writer");
}

GroupWriter::~GroupWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void GroupWriter::submit(WriteKind kind, Work work, Completion done, std::size_t bytes) {
  ErrorCode refusal = ErrorCode::kStoreFailed;
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_ && queue_.size() < settings_.max_queue &&
        queued_bytes_ + bytes <= settings_.max_queue_bytes) {
      queue_.push_back(Task{kind, std::move(work), std::move(done), bytes, {}});
      queued_bytes_ += bytes;
      if (idle_) wake_.notify_one();
      return;
    }
    if (!stopping_) refusal = ErrorCode::kOverloaded;
  }
  done(fail(refusal, "the store takes no more writes"));
}

Result<void> GroupWriter::write(WriteKind kind, Work work) {
  std::mutex mutex;
  std::condition_variable finished;
  std::optional<Result<void>> outcome;
  submit(kind, std::move(work), [&](Result<void> result) {
    // Notified under the lock: the waiting thread owns all three and leaves as soon as it can.
    const std::lock_guard lock(mutex);
    outcome.emplace(std::move(result));
    finished.notify_one();
  });
  std::unique_lock lock(mutex);
  finished.wait(lock, [&] { return outcome.has_value(); });
  return *std::move(outcome);
}

void GroupWriter::run() {
  std::vector<Task> tasks;
  std::chrono::steady_clock::time_point begun;
  std::size_t last_batch = 0;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      idle_ = true;
      wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      idle_ = false;
      if (queue_.empty()) return;
      if (last_batch >= kBusyBatch) {
        wake_.wait_until(lock, begun + settings_.gather, [this] { return stopping_; });
      }
      begun = std::chrono::steady_clock::now();
      const std::size_t count = std::min(queue_.size(), settings_.max_batch);
      const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
      tasks.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
      queue_.erase(queue_.begin(), end);
      for (const Task& task : tasks) queued_bytes_ -= task.bytes;
    }
    process(tasks);
    {
      const base::Burst burst;
      for (Task& task : tasks) task.done(std::move(task.outcome));
    }
    last_batch = tasks.size();
    tasks.clear();  // what they hold may be waited for
    if (!dead_) checkpoint_when_due();
  }
}

void GroupWriter::process(std::vector<Task>& tasks) {
  Batch batch;
  const bool full = !dead_ && !reserve_.take();
  for (Task& task : tasks) {
    if (dead_) {
      task.outcome = fail(ErrorCode::kStoreFailed, "the store stopped after an I/O error");
    } else if (full && task.kind == WriteKind::kGrow) {
      task.outcome = fail(ErrorCode::kStoreFull, "the disk is full and the reserve is in use");
    } else {
      batch.push_back(&task);
    }
  }
  if (batch.empty()) return note_fullness(tasks);
  Attempt made = attempt(batch, Undo::kNothing);
  if (made == Attempt::kToBeUndone && !dead_) made = attempt(batch, Undo::kEach);
  if (made == Attempt::kRolledBack && batch.size() > 1) {
    // One of them broke it for all: each alone, so that only that one fails.
    for (Task* task : batch) {
      if (!dead_) attempt({task}, Undo::kEach);
    }
  }
  for (Task* task : batch) {
    const bool refused = !task->outcome.ok() && task->outcome.code() == ErrorCode::kStoreFull;
    if (refused && task->kind == WriteKind::kRelief && !dead_) repeat_with_reserve(*task);
  }
  note_fullness(tasks);
}

/// Says once that the disk is full, and once that it no longer is.
void GroupWriter::note_fullness(const std::vector<Task>& tasks) {
  for (const Task& task : tasks) {
    if (task.kind != WriteKind::kGrow) continue;
    const bool refused = !task.outcome.ok() && task.outcome.code() == ErrorCode::kStoreFull;
    if (refused == full_ || (!refused && !task.outcome.ok())) continue;
    full_ = refused;
    if (full_) {
      base::log_warning("store_full", {{"action", "new things are refused, deletions go on"}});
    } else {
      base::log_info("store_has_room", {{"action", "new things are kept again"}});
    }
  }
}

GroupWriter::Attempt GroupWriter::attempt(const Batch& batch, Undo undo) {
  if (Result<std::int64_t> begun = connection_->run("BEGIN IMMEDIATE"); !begun) {
    return give_up(Attempt::kNotBegun, batch, begun.error());
  }
  for (Task* task : batch) {
    if (undo == Undo::kEach) {
      run_in_savepoint(*task);
    } else {
      const std::int64_t changes = sqlite3_total_changes64(connection_->handle());
      run(*task);
      const bool changed = sqlite3_total_changes64(connection_->handle()) != changes;
      if (!task->outcome.ok() && changed && !connection_->autocommit()) {
        return give_up(Attempt::kToBeUndone, batch, task->outcome.error());
      }
    }
    // Some failures make SQLite roll the whole transaction back, neighbours included.
    if (connection_->autocommit() || connection_->io_failed()) {
      Error error{ErrorCode::kStoreFailed, "the transaction was rolled back"};
      if (!task->outcome.ok()) error = task->outcome.error();
      return give_up(Attempt::kRolledBack, batch, error);
    }
  }
  if (Result<std::int64_t> committed = connection_->run("COMMIT"); !committed) {
    return give_up(Attempt::kRolledBack, batch, committed.error());
  }
  if (!connection_->autocommit()) {
    return give_up(Attempt::kRolledBack, batch,
                   Error{ErrorCode::kStoreFailed, "the commit left a transaction open"});
  }
  commits_.fetch_add(1);
  if (settings_.on_log_bytes) settings_.on_log_bytes(wal_pages_ * kFrameBytes);
  return Attempt::kCommitted;
}

void GroupWriter::run(Task& task) {
  try {
    task.outcome = task.work(*connection_);
  } catch (const std::exception& exception) {
    task.outcome = fail(ErrorCode::kStoreFailed, exception.what());
  }
}

void GroupWriter::run_in_savepoint(Task& task) {
  if (Result<std::int64_t> begun = connection_->run("SAVEPOINT record"); !begun) {
    task.outcome = begun.failure();
  } else {
    run(task);
  }
  if (connection_->autocommit() || connection_->io_failed()) return;
  if (!task.outcome.ok()) {
    Result<std::int64_t> undone = connection_->run("ROLLBACK TO record");
    if (!undone) task.outcome = undone.failure();
  }
  Result<std::int64_t> released = connection_->run("RELEASE record");
  if (!released) task.outcome = released.failure();
}

GroupWriter::Attempt GroupWriter::give_up(Attempt how, const Batch& batch, const Error& error) {
  if (!connection_->autocommit()) {
    Result<std::int64_t> undone = connection_->run("ROLLBACK");
    if (!undone && !connection_->autocommit()) stop_for_io_error(undone.error().detail);
  }
  for (Task* task : batch) task->outcome = tl::make_unexpected(error);
  if (connection_->io_failed()) stop_for_io_error(error.detail);
  return how;
}

void GroupWriter::repeat_with_reserve(Task& task) {
  if (reserve_.held()) {
    base::log_warning("store_full", {{"action", "the space reserve is given up"}});
    reserve_.release();
  }
  checkpoint(0);
  if (!dead_) attempt({&task}, Undo::kEach);
}

void GroupWriter::checkpoint_when_due() {
  if (wal_pages_ < pages_quarter_) pages_allowed_ = pages_quarter_;  // it began anew
  if (wal_pages_ < pages_allowed_) return;
  // Copying never waits for readers, but while one looks at the end of the log, or somebody writes,
  // the log cannot begin anew and grows. So from a quarter of the limit on it is copied again and
  // again behind the writer's back. From half the limit on the writer copies what is left and waits
  // a little for the readers, and once, before the limit, as long as any reader of ours may take.
  // Who reads longer is not waited for again.
  const bool last_chance = wal_pages_ >= 3 * pages_quarter_ && wal_pages_ < 4 * pages_quarter_;
  if (wal_pages_ < 2 * pages_quarter_ || (checkpointer_.copying() && !last_chance)) {
    checkpointer_.start();
    pages_allowed_ = wal_pages_ + pages_quarter_ / kCopiesInAQuarter;
    return;
  }
  checkpoint(last_chance ? kLongReaderWaitMs : kReaderWaitMs);
  pages_allowed_ = wal_pages_ + pages_quarter_;
  if (wal_pages_ >= 4 * pages_quarter_) {
    base::log_warning("store_log_large", {{"pages", wal_pages_}});
  }
}

/// Copies the log into the database, so that the next commit can begin it anew. A full disk here
/// loses nothing: the log stays as it is. Waits so long for readers.
void GroupWriter::checkpoint(int wait_ms) {
  checkpointer_.wait();  // two at once keep each other out
  sqlite3* const handle = connection_->handle();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  const int mode = wait_ms > 0 ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
  // Many short waits: SQLite waits for a reader's slot, and would not notice that meanwhile others
  // sit there, one after the other, who are in nobody's way.
  if (wait_ms > 0) sqlite3_busy_timeout(handle, kReaderTurnMs);
  int rc = SQLITE_OK;
  do {
    rc = sqlite3_wal_checkpoint_v2(handle, nullptr, mode, nullptr, nullptr);
  } while ((rc & 0xff) == SQLITE_BUSY && std::chrono::steady_clock::now() < deadline);
  sqlite3_busy_timeout(handle, Connection::kBusyTimeoutMs);
  if ((rc & 0xff) == SQLITE_IOERR) stop_for_io_error("checkpoint");
}

void GroupWriter::stop_for_io_error(std::string_view what) {
  if (dead_.exchange(true)) return;
  settings_.on_fatal(what);
}

}  // namespace countersign::storage

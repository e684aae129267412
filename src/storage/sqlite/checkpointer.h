// Checkpointer: copies the write-ahead log into the database while the writer goes on, on a thread
// and a connection of its own. What it has copied, the writer need not copy when it lets the log
// begin anew, which nobody can write during.
// Thread-safety: all of it may be called from any thread.
#ifndef COUNTERSIGN_STORAGE_SQLITE_CHECKPOINTER_H_
#define COUNTERSIGN_STORAGE_SQLITE_CHECKPOINTER_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "storage/sqlite/connection.h"

namespace countersign::storage {

class Checkpointer {
 public:
  /// @param on_io_error  called on the checkpointer's thread when reading, writing or syncing
  /// failed
  Checkpointer(std::unique_ptr<Connection> connection, std::function<void()> on_io_error);
  /// Ends the copy that is being made first.
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  /// Begins to copy what the log holds now, unless it is still at it.
  void start();
  bool copying() const;
  /// Waits until it is at rest.
  void wait();

 private:
  void run();

  std::unique_ptr<Connection> connection_;
  const std::function<void()> on_io_error_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool copying_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_CHECKPOINTER_H_

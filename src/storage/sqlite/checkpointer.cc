#include "storage/sqlite/checkpointer.h"

#include <utility>

#include <pthread.h>

namespace countersign::storage {

Checkpointer::Checkpointer(std::unique_ptr<Connection> connection,
                           std::function<void()> on_io_error)
    : connection_(std::move(connection)), on_io_error_(std::move(on_io_error)) {
  thread_ = std::thread([this] { run(); });
  pthread_setname_np(thread_.native_handle(), "checkpointer");
}

Checkpointer::~Checkpointer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Checkpointer::start() {
  {
    const std::lock_guard lock(mutex_);
    if (copying_) return;
    copying_ = true;
  }
  changed_.notify_all();
}

bool Checkpointer::copying() const {
  const std::lock_guard lock(mutex_);
  return copying_;
}

void Checkpointer::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !copying_; });
}

void Checkpointer::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return copying_ || stopping_; });
      if (!copying_) return;
    }
    // A full disk, or somebody else who copies: the log stays as it is, and nothing is lost.
    const int rc = sqlite3_wal_checkpoint_v2(connection_->handle(), nullptr,
                                             SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    if ((rc & 0xff) == SQLITE_IOERR) on_io_error_();
    {
      const std::lock_guard lock(mutex_);
      copying_ = false;
    }
    changed_.notify_all();
  }
}

}  // namespace countersign::storage

// WorkerPool: threads for work that would block a shard: storage calls, files, look-ups.
// Thread-safety: try_submit may be called from any thread; stop() from one, once.
#ifndef COUNTERSIGN_BASE_WORKER_POOL_H_
#define COUNTERSIGN_BASE_WORKER_POOL_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace countersign::base {

class WorkerPool {
 public:
  using Task = std::function<void()>;

  /// Starts `threads` threads called `name`; at most `max_queue` tasks wait.
  WorkerPool(std::string name, std::size_t threads, std::size_t max_queue);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// False if the queue is full or the pool stops; then the task will not run. Tasks must not
  /// throw.
  [[nodiscard]] bool try_submit(Task task);
  /// Refuses new tasks, runs the waiting ones, joins. Idempotent.
  void stop();
  /// Tasks that wait for a thread.
  std::size_t queued() const;
  std::size_t threads() const { return threads_.size(); }

 private:
  void run();

  const std::size_t max_queue_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_WORKER_POOL_H_

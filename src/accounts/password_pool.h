// PasswordPool: the threads that hash, and the bounded queue before them.
//
// A place is reserved before any other work is done for a request, so that a full pool refuses for
// next to nothing. A quarter of the queue is kept for known devices. Threads go round the prefixes
// (the wide ones, then the narrow ones within each), and a newcomer from a quiet prefix pushes out
// the newest waiting request of the busiest one instead of being refused.
// Thread-safety: every call may be made from any thread, except stop(): from one.
#ifndef COUNTERSIGN_ACCOUNTS_PASSWORD_POOL_H_
#define COUNTERSIGN_ACCOUNTS_PASSWORD_POOL_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "countersign/result.h"

#include "accounts/client_prefix.h"

namespace countersign::accounts {

struct PasswordPoolOptions {
  std::size_t threads = 1;
  /// Requests that may wait for each thread.
  std::size_t queue_per_thread = 4;
};

class PasswordPool {
 public:
  /// A reserved place; gives it back when it goes. Must not outlive the pool.
  class Slot {
   public:
    Slot(Slot&& other) noexcept;
    Slot& operator=(Slot&& other) noexcept;
    ~Slot();

    /// For a slot that was reserved as a known device's and turned out not to be one: moves it to
    /// the common part. kBusy (and the place is given back) if that is full.
    Result<void> become_common();

   private:
    friend class PasswordPool;
    Slot(PasswordPool* pool, ClientPrefix prefix, bool known_device)
        : pool_(pool), prefix_(std::move(prefix)), known_device_(known_device) {}

    PasswordPool* pool_;
    ClientPrefix prefix_;
    bool known_device_;
  };

  explicit PasswordPool(PasswordPoolOptions options);
  ~PasswordPool();
  PasswordPool(const PasswordPool&) = delete;
  PasswordPool& operator=(const PasswordPool&) = delete;

  /// min(cores, what `memory_budget` holds of `memory_per_hash`), at least 1.
  static std::size_t threads_for(std::size_t cores, std::size_t memory_budget,
                                 std::size_t memory_per_hash);

  /// Reserves a place. Cheap: no I/O, one lock.
  /// @param known_device  the request shows a token of ours (KnownDevices::claims).
  /// @return kBusy if the queue is full; answer 503 with Retry-After 1.
  Result<Slot> reserve(const ClientPrefix& prefix, bool known_device);

  /// Queues the work of a reserved place. Exactly once, `done` is called: on a pool thread with
  /// success after `work` ran, or on any thread with kBusy if the work was pushed out of the queue
  /// or the pool has stopped, and then `work` does not run. Neither may throw; `done` should only
  /// post.
  void submit(Slot slot, std::function<void()> work, std::function<void(Result<void>)> done);

  /// Refuses new work, runs what waits, joins. Idempotent.
  void stop();

  std::size_t threads() const { return threads_.size(); }
  /// Places taken: reserved, waiting and running.
  std::size_t taken() const;

 private:
  struct Task {
    Slot slot;
    std::function<void()> work;
    std::function<void(Result<void>)> done;
  };
  struct Lane {
    std::string narrow;
    std::deque<Task> tasks;
  };
  struct Group {
    std::string wide;
    std::list<Lane> lanes;
  };

  void run();
  Task take_next();  // next in turn; mutex_ held, something waits
  std::optional<Task> push_out(const ClientPrefix& newcomer, bool known_device);  // mutex_ held
  bool has_room(bool known_device) const;                                         // mutex_ held
  void count(const Slot& slot, bool add);                                         // mutex_ held
  void give_back(Slot& slot);

  const std::size_t limit_;         // places in all
  const std::size_t common_limit_;  // others than known devices are let in below this many
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::list<Group> groups_;                  // in turn; none is empty
  std::map<std::string, std::size_t> load_;  // places taken by wide prefix
  std::size_t taken_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_PASSWORD_POOL_H_

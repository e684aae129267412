// The message worker: what becomes of messages after their acceptance, done by one thread in the
// background. It works off fan-out jobs, lets messages expire, and removes what was kept long
// enough. Many nodes may do so beside each other: every call of the store is one transaction of its
// own, and no job is worked on twice.
//
// Jobs are looked for when wake() says that there is one, and every second besides, because another
// node's hint does not come here. A store that fails is asked again after a pause that grows to
// 10 s; the failure is logged once until it has ended.
//
// Removing goes by the clock of the store and stops with an alarm if that has jumped
// (base/jump_guard.h). Expiry goes by the clock that never runs backwards, and waits while that is
// not to be believed: a node whose clock is wrong takes nobody's messages early.
// Thread-safety: wake() from any thread; start() and stop() from one. The sink is called on the
// worker's thread.
// Source: docs/reference/messages.md.
#ifndef COUNTERSIGN_GATEWAY_MESSAGE_WORKER_H_
#define COUNTERSIGN_GATEWAY_MESSAGE_WORKER_H_

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/jump_guard.h"
#include "base/metrics.h"
#include "storage/message_store.h"

namespace countersign::gateway {

/// Gets what was written, to publish it. What is not published is found in the store by those whom
/// it concerns, only later.
class MessageSink {
 public:
  virtual ~MessageSink() = default;
  /// Entries of a job, committed.
  virtual void on_fan_out(const storage::FanOut& entries) = 0;
  /// A sender has got an entry because a message expired, or was kept no longer, before somebody
  /// got it.
  virtual void on_expired(const storage::Expired& expired) = 0;
};

struct MessageWorkerOptions {
  std::chrono::milliseconds look_interval{1'000};  ///< for jobs nobody told us of
  std::chrono::milliseconds expire_interval{5'000};
  std::chrono::milliseconds removal_interval{180'000};
  std::chrono::hours retention{24 * 30};  ///< how long messages are kept
  std::size_t fan_out_at_once = 200;      ///< entries in one transaction
  // A message may have ten recipients whom its sender is told of, all in one transaction.
  std::size_t expire_at_once = 200;            ///< messages
  std::size_t remove_at_once = 200;            ///< rows
  std::chrono::milliseconds first_pause{100};  ///< after a failure; doubled up to `longest_pause`
  std::chrono::milliseconds longest_pause{10'000};
  /// The clock of the store, for removing; null: the worker's. Outlives the worker.
  const base::Clock* store_clock = nullptr;
  /// False while this node's time is not the store's; null: it always is.
  std::function<bool()> may_expire;
};

class MessageWorker {
 public:
  /// References must outlive the worker.
  /// @param clock  its wall time must never run backwards.
  MessageWorker(MessageWorkerOptions options, storage::MessageStore& store, MessageSink& sink,
                const base::Clock& clock, base::Metrics& metrics);
  ~MessageWorker();
  MessageWorker(const MessageWorker&) = delete;
  MessageWorker& operator=(const MessageWorker&) = delete;

  void start();
  /// Waits for the transaction under way. Idempotent.
  void stop();
  /// There is a job (Sent::fan_out_pending).
  void wake();

  /// Does what is due, a portion of each; blocks on the store. The thread of start() calls it;
  /// tests may instead. @return when it is to be called next.
  base::SteadyTime step();

 private:
  enum Chore : std::size_t { kFanOut, kExpire, kRemove, kChores };
  struct Schedule {
    base::SteadyTime next;
    std::chrono::milliseconds pause{0};  ///< of the last failure; 0: it went well
  };

  // Each does one portion. True: there is more to do now.
  Result<bool> fan_out();
  Result<bool> expire();
  Result<bool> remove_old();
  void tell(const std::vector<storage::Expired>& notices);
  void run(Chore chore);
  std::chrono::milliseconds interval(Chore chore) const;
  bool may_remove(base::SystemTime now);
  void follow();

  const base::Clock& store_clock() const {
    return options_.store_clock != nullptr ? *options_.store_clock : clock_;
  }

  const MessageWorkerOptions options_;
  storage::MessageStore& store_;
  MessageSink& sink_;
  const base::Clock& clock_;
  base::JumpGuard jump_guard_;
  base::Counter& fanned_out_;
  base::Counter& expired_;
  base::Counter& removed_;
  base::Counter& failures_;
  base::Gauge& fan_out_age_;
  std::array<Schedule, kChores> schedule_;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool woken_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_MESSAGE_WORKER_H_

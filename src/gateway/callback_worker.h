// The callback worker: posts what waits in the outbox to the team's own backend, signed as the
// application that it concerns. One thread leases rows, gives them to the poster, and writes down
// what became of them; a user's next row is leased when the one before it is settled. Other nodes
// do the same beside it: a lease keeps a row to one of them.
//
// At least once: a node that dies after the backend's answer leaves the row, and another one posts
// it again when the lease has run out. The backend knows it by its `id`.
// Thread-safety: start() and stop() from one thread. The poster's callbacks come on any thread.
// Source: docs/guides/callbacks.md; docs/reference/ticket-format.md, "Signed requests".
#ifndef COUNTERSIGN_GATEWAY_CALLBACK_WORKER_H_
#define COUNTERSIGN_GATEWAY_CALLBACK_WORKER_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "countersign/key_ring.h"
#include "countersign/result.h"

#include "base/clock.h"
#include "base/jump_guard.h"
#include "base/metrics.h"
#include "base/random.h"
#include "gateway/callback_desk.h"
#include "storage/callback_store.h"
#include "storage/message_store.h"

namespace countersign::gateway {

/// A signed request to the backend. Its URL is the poster's.
struct CallbackPost {
  std::string content_type;
  std::string authorization;
  std::string x_timestamp;
  std::string body;
};

/// Posts, and calls back exactly once from any thread; must not block.
using CallbackPoster =
    std::function<void(CallbackPost post, std::function<void(CallbackAnswer)> done)>;

struct CallbackWorkerOptions {
  std::string target;  ///< the URL's path with its query: what the signature covers
  CallbackRules rules;
  std::size_t at_once = 16;        ///< posts under way
  std::chrono::seconds lease{60};  ///< longer than any post takes
  std::chrono::milliseconds look_interval{250};
  std::chrono::milliseconds failure_pause{2'000};  ///< of the store
  std::chrono::milliseconds removal_interval{60'000};
  std::chrono::hours keep_dead{24 * 30};
  /// The clock of the store, for giving up and removing; null: the worker's. Outlives the worker.
  const base::Clock* store_clock = nullptr;
};

class CallbackWorker {
 public:
  /// References outlive the worker.
  /// @param ring  the present key ring.
  CallbackWorker(CallbackWorkerOptions options, storage::CallbackStore& callbacks,
                 storage::MessageStore& messages,
                 std::function<std::shared_ptr<const KeyRing>()> ring, CallbackPoster poster,
                 const base::Clock& clock, base::Random& random, base::Metrics& metrics);
  ~CallbackWorker();
  CallbackWorker(const CallbackWorker&) = delete;
  CallbackWorker& operator=(const CallbackWorker&) = delete;

  void start();
  /// Posts nothing more and waits for the transaction under way. Idempotent.
  void stop();
  /// After stop() and after the poster has answered everything: writes down what became of it, so
  /// that nobody waits for a lease to run out. Without it nothing is lost.
  void finish();

 private:
  using Settled = std::pair<storage::Callback, CallbackAnswer>;

  void follow();
  /// Leases and posts; true if there may be more.
  Result<bool> post_due();
  void post(const storage::Callback& callback);
  Result<CallbackMessage> find_message(const storage::Callback& callback);
  /// Writes down what became of the posts that were answered.
  Result<void> settle();
  Result<void> remove_old();
  void on_answer(const storage::Callback& callback, CallbackAnswer answer);

  const CallbackWorkerOptions options_;
  storage::CallbackStore& callbacks_;
  storage::MessageStore& messages_;
  const std::function<std::shared_ptr<const KeyRing>()> ring_;
  const CallbackPoster poster_;
  const base::Clock& clock_;
  const base::Clock& store_clock_;
  base::Random& random_;
  base::JumpGuard jump_guard_;
  base::Counter& taken_;
  base::Counter& retried_;
  base::Counter& dead_;
  base::Gauge& waiting_gauge_;
  base::Gauge& dead_gauge_;
  base::Gauge& given_up_gauge_;
  base::Gauge& age_gauge_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Settled> answered_;
  std::size_t under_way_ = 0;  // posts that are not settled
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_CALLBACK_WORKER_H_

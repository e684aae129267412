// The revocation poller: hears, from the store alone, what has been revoked: by this process, by
// another node, by a command on the same machine. A bus may hasten it; nothing depends on one.
//
// Ids are dense, so a missing id means that rows were lost to this reader: pruned while the node
// was cut off, or gone with a restored store. Then the poller reports a gap, and listeners treat
// everything they hold as doubtful. A node that has not polled with success for `fence_after` is
// fenced: it may not accept anybody, because it would not hear that they have been signed out.
// Thread-safety: tick() and begin() from one thread; fenced() from any.
// Source: docs/reference/protocol.md, "Revocation".
#ifndef COUNTERSIGN_GATEWAY_REVOCATION_POLLER_H_
#define COUNTERSIGN_GATEWAY_REVOCATION_POLLER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "countersign/result.h"

#include "base/clock.h"
#include "storage/store.h"

namespace countersign::gateway {

/// Hears of revocations, on the poller's thread.
class RevocationListener {
 public:
  virtual ~RevocationListener() = default;
  virtual void on_revocations(std::span<const storage::Revocation> revocations) = 0;
  /// Some were missed; nobody knows which.
  virtual void on_gap() = 0;
};

struct PollerOptions {
  std::chrono::milliseconds interval{500};
  std::chrono::milliseconds fence_after{1'500};
  std::size_t page = 500;
};

class RevocationPoller {
 public:
  /// References must outlive the poller.
  RevocationPoller(PollerOptions options, storage::RevocationStore& store,
                   const base::Clock& clock);

  /// Before begin(). The listener outlives the poller.
  void add_listener(RevocationListener& listener) { listeners_.push_back(&listener); }

  /// Notes where the log ends. Call before anybody is accepted: later rows will be heard.
  /// kStoreFailed.
  Result<void> begin();
  /// Polls once: hands every new row to the listeners, in order. Blocks on the store.
  Result<void> tick();

  /// No successful poll began within `fence_after` before `now`.
  bool fenced(base::SteadyTime now) const;
  const PollerOptions& options() const { return options_; }
  /// The newest row heard. For tests and metrics.
  std::int64_t position() const { return last_.load(std::memory_order_relaxed); }

 private:
  Result<void> poll();

  const PollerOptions options_;
  storage::RevocationStore& store_;
  const base::Clock& clock_;
  std::vector<RevocationListener*> listeners_;
  std::atomic<std::int64_t> last_{0};
  std::atomic<base::SteadyTime::rep> succeeded_{base::SteadyTime::min().time_since_epoch().count()};
  bool failed_before_ = false;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_REVOCATION_POLLER_H_

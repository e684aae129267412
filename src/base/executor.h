// Executor: somewhere to run a task later. A shard of the network layer is one; so are worker
// pools. Thread-safety: post() may be called from any thread.
#ifndef COUNTERSIGN_BASE_EXECUTOR_H_
#define COUNTERSIGN_BASE_EXECUTOR_H_

#include <functional>

namespace countersign::base {

class Executor {
 public:
  virtual ~Executor() = default;
  /// Runs `task` later, never inside this call. Tasks of one shard run one after the other, in
  /// order of posting. Tasks must not throw. After the executor has stopped the task is dropped.
  virtual void post(std::function<void()> task) = 0;
  /// Runs what was posted during a Burst (base/burst.h) that has ended. Executors that ignore
  /// bursts have nothing to do here.
  virtual void wake() {}
};

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_EXECUTOR_H_

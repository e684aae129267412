// Burst: one wake-up for everything that a thread posts in one go. Waking a sleeping thread costs
// more than most tasks that are posted; who hands out the results of a whole batch opens a Burst,
// and executors that know of it (Executor::wake) gather until it ends.
// Thread-safety: a Burst belongs to the thread that made it, and lives on its stack.
#ifndef COUNTERSIGN_BASE_BURST_H_
#define COUNTERSIGN_BASE_BURST_H_

#include <vector>

#include "base/executor.h"

namespace countersign::base {

class Burst {
 public:
  Burst();
  /// Wakes the executors that were asked for. A burst within another leaves that to the outer one.
  ~Burst();
  Burst(const Burst&) = delete;
  Burst& operator=(const Burst&) = delete;

  /// For executors: true if this thread is in a burst, whose end wakes `executor`.
  static bool defer_wake(Executor& executor);

 private:
  Burst* const outer_;
  std::vector<Executor*> executors_;  ///< few: there is one for each core
};

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_BURST_H_

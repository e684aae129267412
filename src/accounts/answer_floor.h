// AnswerFloor: no door answers before a fixed time, so that the time taken tells nothing.
//
// The floor is 250 ms plus up to 85 ms at random, or the mean of the last 50 work times if that is
// more, at most 1 s. Work times are measured before the wait, of attempts that were verified:
// averaging whole answers would be a ratchet that one burst raises for ever. Each door has its own
// floor. Thread-safety: every call may be made from any thread.
#ifndef COUNTERSIGN_ACCOUNTS_ANSWER_FLOOR_H_
#define COUNTERSIGN_ACCOUNTS_ANSWER_FLOOR_H_

#include <chrono>
#include <cstddef>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/random.h"

namespace countersign::accounts {

struct AnswerFloorOptions {
  std::chrono::microseconds minimum = std::chrono::milliseconds(250);
  std::chrono::microseconds jitter = std::chrono::milliseconds(85);  ///< 0 to this much is added
  std::chrono::microseconds cap = std::chrono::seconds(1);           ///< of the mean
  std::size_t samples = 50;
};

class AnswerFloor {
 public:
  /// `random` outlives the floor.
  AnswerFloor(AnswerFloorOptions options, base::Random& random);

  /// Notes the work time of an attempt whose password was verified.
  void note_work(std::chrono::nanoseconds work);
  /// When the answer to a request that came at `start` may leave. Ask once, after the work.
  base::SteadyTime deadline(base::SteadyTime start);

 private:
  const AnswerFloorOptions options_;
  base::Random& random_;
  std::mutex mutex_;
  std::vector<std::chrono::microseconds> work_;  // a ring
  std::size_t next_ = 0;
  std::chrono::microseconds sum_{0};
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_ANSWER_FLOOR_H_

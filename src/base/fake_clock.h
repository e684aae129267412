// FakeClock: a clock that tests move by hand.
#ifndef COUNTERSIGN_BASE_FAKE_CLOCK_H_
#define COUNTERSIGN_BASE_FAKE_CLOCK_H_

#include <mutex>

#include "base/clock.h"

namespace countersign::base {

/// Starts at 2026-01-01T00:00:00Z unless told otherwise. Thread-safe.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(SystemTime start = SystemTime(std::chrono::seconds(1767225600)))
      : now_(start) {}

  SystemTime now() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  SteadyTime steady() const override {
    const std::lock_guard lock(mutex_);
    return steady_;
  }
  /// Lets time pass: both clocks move.
  void advance(std::chrono::microseconds by) {
    const std::lock_guard lock(mutex_);
    now_ += by;
    steady_ += by;
  }
  /// Somebody sets the machine's clock: only the wall clock moves, either way.
  void jump(std::chrono::microseconds by) {
    const std::lock_guard lock(mutex_);
    now_ += by;
  }

 private:
  mutable std::mutex mutex_;
  SystemTime now_;
  SteadyTime steady_{std::chrono::hours(1)};
};

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_FAKE_CLOCK_H_

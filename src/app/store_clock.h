// StoreClock: the clock of the store, and how far this machine's own is from it.
//
// Nodes that share a database must agree on the time: what one lets expire another must not accept,
// and one whose clock is wrong must not find everybody's messages old enough to be removed. A node
// more than a second off is not ready; what is removed goes by the store's clock.
// Thread-safety: check() from one thread at a time; the rest from any.
#ifndef COUNTERSIGN_APP_STORE_CLOCK_H_
#define COUNTERSIGN_APP_STORE_CLOCK_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "countersign/result.h"

#include "base/clock.h"
#include "storage/store.h"

namespace countersign::app {

class StoreClock final : public base::Clock {
 public:
  static constexpr std::chrono::milliseconds kMaxOffset{1'000};

  /// @param machine  outlives this. An embedded store has the same clock, so nothing is measured
  /// there.
  explicit StoreClock(const base::Clock& machine) : machine_(machine) {}

  /// The store's time, as of the last check and the pace of the machine's clock since.
  base::SystemTime now() const override { return machine_.now() - offset(); }
  base::SteadyTime steady() const override { return machine_.steady(); }

  /// Measures and remembers; says so in the log when the clocks part or meet. kStoreFailed and the
  /// like: what was known stays.
  Result<void> check(storage::Store& store);
  bool agrees() const { return offset() <= kMaxOffset && offset() >= -kMaxOffset; }
  /// How far the machine's clock is ahead of the store's (behind it: negative), as far as can be
  /// told: 0 if the store's answer lies between asking and getting it.
  std::chrono::milliseconds offset() const { return std::chrono::milliseconds(offset_ms_.load()); }

 private:
  Result<std::chrono::milliseconds> measure(storage::Store& store) const;

  const base::Clock& machine_;
  std::atomic<std::int64_t> offset_ms_{0};
};

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_STORE_CLOCK_H_

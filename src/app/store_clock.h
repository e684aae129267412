// StoreClock: how far this machine's clock is from the clock of the store.
//
// Nodes that share a database must agree on the time: what one lets expire another must not accept.
// A node more than a second off is not ready.
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

class StoreClock {
 public:
  static constexpr std::chrono::milliseconds kMaxOffset{1'000};

  /// How far `clock` is ahead of the store's (behind it: negative), as far as can be told: 0 if the
  /// store's answer lies between asking and getting it.
  static Result<std::chrono::milliseconds> measure(storage::Store& store, const base::Clock& clock);
  static bool within_limit(std::chrono::milliseconds offset) {
    return offset <= kMaxOffset && offset >= -kMaxOffset;
  }

  /// Measures and remembers; says so in the log when the clocks part or meet. kStoreFailed and the
  /// like: what was known stays.
  Result<void> check(storage::Store& store, const base::Clock& clock);
  bool agrees() const { return within_limit(offset()); }
  std::chrono::milliseconds offset() const { return std::chrono::milliseconds(offset_ms_.load()); }

 private:
  std::atomic<std::int64_t> offset_ms_{0};
};

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_STORE_CLOCK_H_

// Clock: where time comes from. Logic never calls now(); it is handed a Clock or an instant.
// Thread-safety: every Clock may be used from any thread.
#ifndef COUNTERSIGN_BASE_CLOCK_H_
#define COUNTERSIGN_BASE_CLOCK_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

namespace countersign::base {

/// Wall-clock instants, UTC, in microseconds since 1970: what is stored and compared.
using SystemTime = std::chrono::sys_time<std::chrono::microseconds>;
/// Instants of the monotone clock: deadlines and pauses. Never stored.
using SteadyTime = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual SystemTime now() const = 0;
  virtual SteadyTime steady() const = 0;
};

/// The machine's own clocks.
class SystemClock final : public Clock {
 public:
  SystemTime now() const override;
  SteadyTime steady() const override;
};

/// A clock whose wall time never runs backwards, also across restarts, and never stands still: when
/// the underlying clock is behind the highest time seen or told, this one goes on from there at the
/// pace of the steady clock. Expiry uses it, so that setting the machine's clock back revives no
/// ticket and no session, and stops none from ending.
class MonotonicWallClock final : public Clock {
 public:
  explicit MonotonicWallClock(const Clock& underlying) : underlying_(underlying) {}

  SystemTime now() const override;
  SteadyTime steady() const override { return underlying_.steady(); }

  /// Raises the mark, for instance to the one an earlier process stored.
  void raise_to(SystemTime mark);
  /// The underlying clock's own wall time, which may be behind now().
  SystemTime raw_now() const { return underlying_.now(); }

 private:
  const Clock& underlying_;
  /// now() is at least steady() + lead: microseconds since 1970 less those of the steady clock.
  mutable std::atomic<std::int64_t> lead_{std::numeric_limits<std::int64_t>::min() / 2};
};

/// The first whole second after `time`: the earliest stamp of a ticket that must lie after it.
constexpr std::chrono::sys_seconds second_after(SystemTime time) {
  return std::chrono::floor<std::chrono::seconds>(time) + std::chrono::seconds(1);
}

/// `2026-01-02T03:04:05.678Z`: RFC 3339, UTC, milliseconds (cut, not rounded).
std::string format_rfc3339(SystemTime time);

/// Whole milliseconds since 1970.
std::int64_t to_epoch_ms(SystemTime time);

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_CLOCK_H_

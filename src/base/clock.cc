#include "base/clock.h"

#include <algorithm>
#include <cstdint>

namespace countersign::base {

SystemTime SystemClock::now() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

SteadyTime SystemClock::steady() const { return std::chrono::steady_clock::now(); }

SystemTime MonotonicWallClock::now() const {
  raise_to(underlying_.now());
  return SystemTime(std::chrono::microseconds(mark_.load(std::memory_order_relaxed)));
}

void MonotonicWallClock::raise_to(SystemTime mark) const {
  const auto value = mark.time_since_epoch().count();
  auto seen = mark_.load(std::memory_order_relaxed);
  while (seen < value && !mark_.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

std::string format_rfc3339(SystemTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::milliseconds>(time - day));
  std::string text = "0000-00-00T00:00:00.000Z";
  // By hand: it stands in every log line and every ticket's answer, and snprintf costs ten times
  // it.
  const auto put = [&text](std::size_t at, std::size_t digits, auto value) {
    auto rest = static_cast<std::uint64_t>(value);
    for (; digits > 0; rest /= 10) text[at + --digits] = static_cast<char>('0' + rest % 10);
  };
  put(0, 4, std::clamp(static_cast<int>(date.year()), 0, 9999));
  put(5, 2, static_cast<unsigned>(date.month()));
  put(8, 2, static_cast<unsigned>(date.day()));
  put(11, 2, clock.hours().count());
  put(14, 2, clock.minutes().count());
  put(17, 2, clock.seconds().count());
  put(20, 3, clock.subseconds().count());
  return text;
}

std::int64_t to_epoch_ms(SystemTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

}  // namespace countersign::base

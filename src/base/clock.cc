#include "base/clock.h"

#include <algorithm>
#include <array>
#include <cstdio>

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
  std::array<char, 40> text{};
  const int size = std::snprintf(
      text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
      static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
      static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
      static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
      static_cast<int>(clock.subseconds().count()));
  return std::string(text.data(), static_cast<std::size_t>(std::max(size, 0)));
}

std::int64_t to_epoch_ms(SystemTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

}  // namespace countersign::base

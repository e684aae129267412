#include "base/clock.h"

#include <algorithm>
#include <cstdint>

namespace countersign::base {

SystemTime SystemClock::now() const {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

SteadyTime SystemClock::steady() const { return std::chrono::steady_clock::now(); }

namespace {

std::int64_t micros(SteadyTime time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

/// Raises `lead` to `wanted`; answers the higher of the two.
std::int64_t raise(std::atomic<std::int64_t>& lead, std::int64_t wanted) {
  auto seen = lead.load(std::memory_order_relaxed);
  while (seen < wanted && !lead.compare_exchange_weak(seen, wanted, std::memory_order_relaxed)) {
  }
  return std::max(seen, wanted);
}

}  // namespace

SystemTime MonotonicWallClock::now() const {
  const auto steady_us = micros(underlying_.steady());
  const auto lead = raise(lead_, underlying_.now().time_since_epoch().count() - steady_us);
  return SystemTime(std::chrono::microseconds(steady_us + lead));
}

void MonotonicWallClock::raise_to(SystemTime mark) {
  raise(lead_, mark.time_since_epoch().count() - micros(underlying_.steady()));
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

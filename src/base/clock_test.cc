#include "base/clock.h"

#include <gtest/gtest.h>

#include "base/fake_clock.h"

namespace countersign::base {
namespace {

using namespace std::chrono_literals;

TEST(MonotonicWallClock, GoesOnAtTheSteadyPaceWhenTheMachinesClockIsSetBack) {
  FakeClock machine;
  const MonotonicWallClock clock(machine);
  const auto before = clock.now();
  machine.jump(-1h);
  EXPECT_EQ(clock.now(), before);
  machine.advance(10min);
  EXPECT_EQ(clock.now(), before + 10min) << "what waits for an hour to pass must not wait for ever";
  machine.jump(2h);
  EXPECT_EQ(clock.now(), machine.now());
}

TEST(MonotonicWallClock, StartsAtTheMarkAnEarlierProcessStored) {
  FakeClock machine;
  MonotonicWallClock clock(machine);
  clock.raise_to(machine.now() + 10min);
  EXPECT_EQ(clock.now(), machine.now() + 10min);
  EXPECT_EQ(clock.raw_now(), machine.now());
}

TEST(FormatRfc3339, CutsToMilliseconds) {
  EXPECT_EQ(format_rfc3339(SystemTime(1767225600123999us)), "2026-01-01T00:00:00.123Z");
  EXPECT_EQ(format_rfc3339(SystemTime(-1us)), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace countersign::base

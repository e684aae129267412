#include "base/jump_guard.h"

#include <gtest/gtest.h>

#include "base/fake_clock.h"

namespace countersign::base {
namespace {

using namespace std::chrono_literals;

class JumpGuardTest : public testing::Test {
 protected:
  JumpGuard::Verdict run() { return guard_.check(clock_.now(), clock_.steady()); }
  JumpGuard::Verdict run_after(std::chrono::microseconds pause) {
    clock_.advance(pause);
    return run();
  }

  FakeClock clock_;
  JumpGuard guard_{clock_.now(), clock_.steady()};
};

TEST_F(JumpGuardTest, AllowsRunsWhileBothClocksAgree) {
  for (const auto pause : {0h, 1h, 24h, 24h * 365}) EXPECT_TRUE(run_after(pause).may_run);
}

TEST_F(JumpGuardTest, AllowsUpToAnHourBetweenTwoRuns) {
  clock_.jump(1h);
  EXPECT_TRUE(run().may_run);
  clock_.jump(1h);
  EXPECT_TRUE(run_after(3min).may_run);
  clock_.jump(1h + 1us);
  EXPECT_FALSE(run().may_run);
}

TEST_F(JumpGuardTest, SaysOnceHowFarTheClockJumped) {
  clock_.jump(24h);
  const auto first = run_after(3min);
  EXPECT_FALSE(first.may_run);
  EXPECT_EQ(first.jumped, 24h);
  const auto second = run_after(3min);
  EXPECT_FALSE(second.may_run);
  EXPECT_EQ(second.jumped, std::nullopt);
}

TEST_F(JumpGuardTest, ResumesAtOnceWhenTheJumpIsTakenBack) {
  clock_.jump(24h);
  EXPECT_FALSE(run().may_run);
  clock_.jump(-24h);
  EXPECT_TRUE(run_after(3min).may_run);
  clock_.jump(24h);
  EXPECT_TRUE(run().jumped.has_value());
}

TEST_F(JumpGuardTest, AcceptsANewTimeThatKeptPaceForAnHour) {
  clock_.jump(24h);
  EXPECT_FALSE(run().may_run);
  for (int i = 0; i < 19; ++i) EXPECT_FALSE(run_after(3min).may_run) << i;
  EXPECT_TRUE(run_after(3min).may_run);
  EXPECT_TRUE(run_after(3min).may_run);
}

TEST_F(JumpGuardTest, WaitsAnewAfterAnotherJumpAndSaysSo) {
  clock_.jump(24h);
  EXPECT_EQ(run().jumped, 24h);
  clock_.jump(2h);
  EXPECT_EQ(run_after(59min).jumped, 2h);
  EXPECT_FALSE(run_after(59min).may_run);
  EXPECT_TRUE(run_after(1min).may_run);
}

TEST_F(JumpGuardTest, WaitsAnewWhenTheNewTimeIsMovedAgain) {
  clock_.jump(24h);
  EXPECT_FALSE(run().may_run);
  clock_.jump(-6min);
  const auto moved = run_after(59min);
  EXPECT_FALSE(moved.may_run);
  EXPECT_EQ(moved.jumped, std::nullopt);
  EXPECT_FALSE(run_after(59min).may_run);
  EXPECT_TRUE(run_after(1min).may_run);
}

TEST_F(JumpGuardTest, NeverStopsForAClockThatIsSetBack) {
  clock_.jump(-24h);
  EXPECT_TRUE(run().may_run);
  EXPECT_TRUE(run_after(3min).may_run);
}

TEST_F(JumpGuardTest, DoesNotBelieveAClockThatStandsStillAfterAJump) {
  clock_.jump(24h);
  EXPECT_FALSE(run().may_run);
  for (int i = 0; i < 22; ++i) {
    clock_.jump(-1h);
    EXPECT_FALSE(run_after(1h).may_run) << i;
  }
  clock_.jump(-1h);  // now the true time is an hour behind, no more
  EXPECT_TRUE(run_after(1h).may_run);
}

TEST_F(JumpGuardTest, StandsJumpsOfAnyLength) {
  clock_.jump(24h * 365 * 9000);
  EXPECT_FALSE(run().may_run);
  clock_.jump(-24h * 365 * 9000);
  EXPECT_TRUE(run().may_run);
}

}  // namespace
}  // namespace countersign::base

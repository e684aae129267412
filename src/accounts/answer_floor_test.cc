#include "accounts/answer_floor.h"

#include <set>

#include <gtest/gtest.h>

#include "base/random.h"

namespace countersign::accounts {
namespace {

using namespace std::chrono_literals;

constexpr base::SteadyTime kStart{1h};

class AnswerFloorTest : public ::testing::Test {
 protected:
  static AnswerFloorOptions without_jitter() {
    AnswerFloorOptions options;
    options.jitter = 0us;
    return options;
  }

  base::SeededRandom random{7};
  AnswerFloor floor{without_jitter(), random};
};

TEST_F(AnswerFloorTest, IsAQuarterSecondWithoutWork) {
  EXPECT_EQ(floor.deadline(kStart), kStart + 250ms);
}

TEST_F(AnswerFloorTest, AddsUpTo85MillisecondsAtRandom) {
  AnswerFloor jittered({}, random);
  std::set<base::SteadyTime> seen;
  for (int i = 0; i < 200; ++i) {
    const auto deadline = jittered.deadline(kStart);
    EXPECT_GE(deadline, kStart + 250ms);
    EXPECT_LE(deadline, kStart + 335ms);
    seen.insert(deadline);
  }
  EXPECT_GT(seen.size(), 150u);
}

TEST_F(AnswerFloorTest, RisesToTheMeanOfTheWork) {
  floor.note_work(400ms);
  floor.note_work(500ms);
  EXPECT_EQ(floor.deadline(kStart), kStart + 450ms);
}

TEST_F(AnswerFloorTest, CapsTheMeanAtOneSecond) {
  for (int i = 0; i < 50; ++i) floor.note_work(3s);
  EXPECT_EQ(floor.deadline(kStart), kStart + 1s);
}

TEST_F(AnswerFloorTest, ForgetsABurstAfterFiftyAttempts) {
  for (int i = 0; i < 50; ++i) floor.note_work(3s);
  for (int i = 0; i < 50; ++i) floor.note_work(20ms);
  EXPECT_EQ(floor.deadline(kStart), kStart + 250ms);
}

TEST_F(AnswerFloorTest, AnsweringLateIsNoReasonToAnswerLater) {
  // A ratchet would feed on its own answers: only work is noted, so asking changes nothing.
  floor.note_work(20ms);
  for (int i = 0; i < 100; ++i) static_cast<void>(floor.deadline(kStart));
  EXPECT_EQ(floor.deadline(kStart), kStart + 250ms);
}

}  // namespace
}  // namespace countersign::accounts

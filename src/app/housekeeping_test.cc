#include "app/housekeeping.h"

#include <atomic>
#include <future>

#include <gtest/gtest.h>

namespace countersign::app {
namespace {

using namespace std::chrono_literals;

TEST(Housekeeping, RunsEachJobAgainAndAgainAlsoAfterAFailure) {
  std::promise<void> third;
  std::atomic<int> runs = 0;
  Housekeeping housekeeping;
  housekeeping.add("job", 1ms, [&]() -> Result<void> {
    if (++runs == 3) third.set_value();
    return fail(ErrorCode::kStoreFailed);
  });
  housekeeping.start();
  third.get_future().wait();
  housekeeping.stop();
  EXPECT_GE(runs, 3);
}

TEST(Housekeeping, StopDoesNotWaitForTheNextTurn) {
  Housekeeping housekeeping;
  housekeeping.add("rare", 24h, []() -> Result<void> { return {}; });
  housekeeping.start();
  housekeeping.stop();
  housekeeping.stop();
}

}  // namespace
}  // namespace countersign::app

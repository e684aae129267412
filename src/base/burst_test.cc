#include "base/burst.h"

#include <optional>
#include <thread>

#include <gtest/gtest.h>

namespace countersign::base {
namespace {

/// Counts how often it is woken.
class Sleeper final : public Executor {
 public:
  void post(std::function<void()>) override {
    if (!Burst::defer_wake(*this)) wake();
  }
  void wake() override { ++wakes_; }
  int wakes() const { return wakes_; }

 private:
  int wakes_ = 0;
};

TEST(Burst, WakesEachExecutorOnceAtItsEnd) {
  Sleeper busy;
  Sleeper idle;
  {
    const Burst burst;
    for (int n = 0; n < 100; ++n) busy.post({});
    EXPECT_EQ(busy.wakes(), 0);
  }
  EXPECT_EQ(busy.wakes(), 1);
  EXPECT_EQ(idle.wakes(), 0);
}

TEST(Burst, WithoutOneEveryPostWakes) {
  Sleeper sleeper;
  sleeper.post({});
  sleeper.post({});
  EXPECT_EQ(sleeper.wakes(), 2);
}

TEST(Burst, WithinAnotherEndsWithTheOuterOne) {
  Sleeper sleeper;
  std::optional<Burst> outer(std::in_place);
  {
    const Burst inner;
    sleeper.post({});
  }
  EXPECT_EQ(sleeper.wakes(), 0);
  outer.reset();
  EXPECT_EQ(sleeper.wakes(), 1);
}

TEST(Burst, ConcernsItsOwnThreadOnly) {
  Sleeper sleeper;
  const Burst burst;
  std::thread([&] { sleeper.post({}); }).join();
  EXPECT_EQ(sleeper.wakes(), 1);
}

}  // namespace
}  // namespace countersign::base

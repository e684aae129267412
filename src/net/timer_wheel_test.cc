#include "net/timer_wheel.h"

#include <functional>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace countersign::net {
namespace {

using namespace std::chrono_literals;

class Probe final : public TimerWheel::Timer {
 public:
  explicit Probe(std::function<void()> action) : action_(std::move(action)) {}

 private:
  void on_expired() override { action_(); }
  std::function<void()> action_;
};

TEST(TimerWheel, FiresUpToOneTickLateAndNeverEarly) {
  const base::SteadyTime start{1h};
  TimerWheel wheel(start);
  auto now = start;
  std::mt19937 random(3);
  struct Case {
    base::SteadyTime due;
    int fired = 0;
    std::unique_ptr<Probe> probe;
  };
  std::vector<Case> cases(2000);
  for (auto& one : cases) {
    one.due = start + std::chrono::milliseconds(random() % 100'000);
    one.probe = std::make_unique<Probe>([&one, &now] {
      ++one.fired;
      EXPECT_GE(now, one.due);
      EXPECT_LE(now, one.due + 2 * TimerWheel::kTick);
    });
    wheel.arm(*one.probe, one.due);
  }
  while (now < start + 101s) {
    now += std::chrono::milliseconds(random() % 40 + 1);
    wheel.advance(now);
  }
  for (const auto& one : cases) EXPECT_EQ(one.fired, 1);
}

TEST(TimerWheel, CatchesUpAfterALongPause) {
  const base::SteadyTime start{1h};
  TimerWheel wheel(start);
  int fired = 0;
  Probe soon([&] { ++fired; });
  Probe later([&] { ++fired; });
  Probe much_later([&] { ++fired; });
  wheel.arm_in(soon, 1s);
  wheel.arm_in(later, 100s);
  wheel.arm_in(much_later, 10'000s);
  wheel.advance(start + 1000s);
  EXPECT_EQ(fired, 2);
  EXPECT_TRUE(much_later.armed());
}

TEST(TimerWheel, ForgetsDisarmedAndDestroyedTimers) {
  const base::SteadyTime start{1h};
  TimerWheel wheel(start);
  int fired = 0;
  Probe kept([&] { ++fired; });
  Probe disarmed([&] { ++fired; });
  auto destroyed = std::make_unique<Probe>([&] { ++fired; });
  for (Probe* probe : {&kept, &disarmed, destroyed.get()}) wheel.arm_in(*probe, 1s);
  wheel.disarm(disarmed);
  destroyed.reset();
  wheel.advance(start + 2s);
  EXPECT_EQ(fired, 1);
}

TEST(TimerWheel, LetsATimerTouchOthersAndItselfWhenItFires) {
  const base::SteadyTime start{1h};
  TimerWheel wheel(start);
  int fired = 0;
  auto victim = std::make_unique<Probe>([&] { ADD_FAILURE() << "destroyed by the other"; });
  std::unique_ptr<Probe> again;
  again = std::make_unique<Probe>([&] {
    victim.reset();
    if (++fired < 3) wheel.arm_in(*again, 0ms);
  });
  wheel.arm_in(*again, 1s);
  wheel.arm_in(*victim, 1s);
  for (auto now = start; now < start + 2s; now += TimerWheel::kTick) wheel.advance(now);
  EXPECT_EQ(fired, 3);
}

TEST(TimerWheel, LeavesTimersThatOutliveIt) {
  Probe probe([] {});
  {
    TimerWheel wheel(base::SteadyTime{1h});
    wheel.arm_in(probe, 1s);
  }
  EXPECT_FALSE(probe.armed());
}

}  // namespace
}  // namespace countersign::net

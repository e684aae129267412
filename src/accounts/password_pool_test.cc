#include "accounts/password_pool.h"

#include <future>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace countersign::accounts {
namespace {

ClientPrefix from(const std::string& host) {
  return {host + "/32", host.substr(0, host.rfind('.')) + ".0/24"};
}

/// A pool whose threads stand still until release() is called.
class PasswordPoolTest : public ::testing::Test {
 protected:
  void block(std::size_t threads = 1, std::size_t queue_per_thread = 4) {
    pool = std::make_unique<PasswordPool>(PasswordPoolOptions{threads, queue_per_thread});
    for (std::size_t i = 0; i < threads; ++i) {
      std::promise<void> running;
      pool->submit(
          *pool->reserve(from("203.0.113.1"), true),
          [this, &running] {
            running.set_value();
            gate.wait();
          },
          [](Result<void>) {});
      running.get_future().wait();
    }
  }

  /// Queues work that notes `name`; false if there was no room.
  bool queue(const std::string& host, const std::string& name, bool known_device = false) {
    auto slot = pool->reserve(from(host), known_device);
    if (!slot) {
      EXPECT_EQ(slot.code(), ErrorCode::kBusy);
      return false;
    }
    pool->submit(
        *std::move(slot), [this, name] { done.push_back(name); },
        [this, name](Result<void> result) {
          if (!result) refused.push_back(name);
        });
    return true;
  }

  void release() {
    if (!released) open.set_value();
    released = true;
    pool->stop();
  }
  ~PasswordPoolTest() override { release(); }

  bool released = false;

  std::promise<void> open;
  std::shared_future<void> gate = open.get_future().share();
  std::vector<std::string> done;     // written by the one thread, read after stop()
  std::vector<std::string> refused;  // written by this thread
  std::unique_ptr<PasswordPool> pool;
};

TEST(PasswordPool, HasNoMoreThreadsThanCoresOrMemory) {
  EXPECT_EQ(PasswordPool::threads_for(8, 1000, 100), 8u);
  EXPECT_EQ(PasswordPool::threads_for(8, 450, 100), 4u);
  EXPECT_EQ(PasswordPool::threads_for(8, 50, 100), 1u);
}

TEST_F(PasswordPoolTest, QueuesFourForEachThreadAndKeepsAQuarterForKnownDevices) {
  block(1, 4);
  for (int i = 0; i < 3; ++i) {
    // Different networks, so that nobody is pushed out.
    EXPECT_TRUE(queue("10.0." + std::to_string(i) + ".1", "stranger"));
  }
  EXPECT_FALSE(queue("10.0.9.1", "stranger"));
  EXPECT_TRUE(queue("10.0.9.1", "owner", true));
  EXPECT_FALSE(queue("10.0.8.1", "owner", true));
  EXPECT_EQ(pool->taken(), 5u);
  release();
  EXPECT_EQ(done.size(), 4u);
  EXPECT_EQ(pool->taken(), 0u);
}

TEST_F(PasswordPoolTest, AReservationTakesAPlaceAndGivesItBack) {
  block(1, 4);
  {
    auto a = pool->reserve(from("10.0.1.1"), false);
    auto b = pool->reserve(from("10.0.2.1"), false);
    auto c = pool->reserve(from("10.0.3.1"), false);
    ASSERT_TRUE(a && b && c);
    EXPECT_FALSE(pool->reserve(from("10.0.4.1"), false).ok());
    PasswordPool::Slot moved = *std::move(a);
    EXPECT_FALSE(pool->reserve(from("10.0.4.1"), false).ok());
  }
  EXPECT_TRUE(pool->reserve(from("10.0.4.1"), false).ok());
  release();
}

TEST_F(PasswordPoolTest, APlaceKeptForKnownDevicesIsNotForThoseWhoOnlyClaimToBeOne) {
  block(1, 4);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(queue("10.0." + std::to_string(i) + ".1", "stranger"));
  auto slot = pool->reserve(from("10.0.9.1"), true);
  ASSERT_TRUE(slot.ok());
  EXPECT_EQ(pool->taken(), 5u);
  const auto common = slot->become_common();
  ASSERT_FALSE(common.ok());
  EXPECT_EQ(common.code(), ErrorCode::kBusy);
  EXPECT_EQ(pool->taken(), 4u) << "the place was given back";
  release();
}

TEST_F(PasswordPoolTest, GoesRoundTheNetworksAndThenTheHostsInThem) {
  block(1, 12);
  queue("10.0.1.1", "a1");
  queue("10.0.1.1", "a2");
  queue("10.0.1.2", "b1");
  queue("10.0.1.1", "a3");
  queue("10.0.2.1", "c1");
  queue("10.0.2.1", "c2");
  queue("10.0.3.1", "d1");
  release();
  EXPECT_EQ(done, (std::vector<std::string>{"a1", "c1", "d1", "b1", "c2", "a2", "a3"}));
}

TEST_F(PasswordPoolTest, ANewcomerPushesOutTheNewestOfTheBusiestNetwork) {
  block(1, 4);
  EXPECT_TRUE(queue("10.0.1.1", "flood 1"));
  EXPECT_TRUE(queue("10.0.1.2", "flood 2"));
  EXPECT_TRUE(queue("10.0.1.2", "flood 3"));
  EXPECT_FALSE(queue("10.0.1.7", "flood 4")) << "the flood cannot push itself out";
  EXPECT_TRUE(queue("10.0.2.1", "person"));
  EXPECT_EQ(refused, std::vector<std::string>{"flood 3"});
  release();
  EXPECT_EQ(done, (std::vector<std::string>{"flood 1", "person", "flood 2"}));
}

TEST_F(PasswordPoolTest, AStrangerNeverPushesOutAKnownDevice) {
  block(1, 4);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(queue("10.0.1.1", "owner", true));
  EXPECT_FALSE(queue("10.0.2.1", "stranger"));
  EXPECT_TRUE(queue("10.0.2.1", "other owner", true));
  EXPECT_EQ(refused, std::vector<std::string>{"owner"});
  release();
}

TEST_F(PasswordPoolTest, RunsWhatWaitsWhenItStopsAndRefusesTheRest) {
  block(1, 4);
  queue("10.0.1.1", "waits");
  auto slot = pool->reserve(from("10.0.2.1"), false);
  ASSERT_TRUE(slot.ok());
  release();
  EXPECT_EQ(done, std::vector<std::string>{"waits"});
  bool ran = false;
  pool->submit(
      *std::move(slot), [&] { ran = true; },
      [&](Result<void> result) {
        ASSERT_FALSE(result.ok());
        EXPECT_EQ(result.code(), ErrorCode::kBusy);
      });
  EXPECT_FALSE(ran);
  EXPECT_FALSE(queue("10.0.3.1", "late"));
}

TEST(PasswordPool, RunsWorkFromManyThreadsExactlyOnce) {
  PasswordPool pool({4, 64});
  std::atomic<int> ran{0};
  std::atomic<int> answered{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      for (int n = 0; n < 200; ++n) {
        auto slot = pool.reserve(from("10.0." + std::to_string(i) + ".1"), n % 3 == 0);
        if (!slot) continue;
        pool.submit(
            *std::move(slot), [&] { ++ran; },
            [&](Result<void> result) { answered += result.ok() ? 1 : 0; });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  pool.stop();
  EXPECT_EQ(ran, answered);
  EXPECT_GT(ran, 0);
  EXPECT_EQ(pool.taken(), 0u);
}

}  // namespace
}  // namespace countersign::accounts

#include "countersign/replay_cache.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace countersign {
namespace {

constexpr Instant kNow{std::chrono::seconds{1767232800}};
constexpr Instant kLater = kNow + std::chrono::seconds{10};

ReplayId id(unsigned number) {
  ReplayId result{};
  result[0] = std::byte{static_cast<unsigned char>(number)};
  result[1] = std::byte{static_cast<unsigned char>(number >> 8)};
  return result;
}

TEST(BoundedReplayCache, LetsTheSamePresenterRepeatAndNobodyElse) {
  BoundedReplayCache cache;
  EXPECT_EQ(cache.note(id(1), "phone", kNow, kLater), ReplayVerdict::kFirst);
  EXPECT_EQ(cache.note(id(1), "phone", kNow, kLater), ReplayVerdict::kRepeat);
  EXPECT_EQ(cache.note(id(1), "laptop", kNow, kLater), ReplayVerdict::kReplayed);
  EXPECT_EQ(cache.note(id(1), "", kNow, kLater), ReplayVerdict::kReplayed);
  EXPECT_EQ(cache.note(id(2), "laptop", kNow, kLater), ReplayVerdict::kFirst);
}

TEST(BoundedReplayCache, WithoutPresenterEveryRepeatIsReplayed) {
  BoundedReplayCache cache;
  EXPECT_EQ(cache.note(id(1), "", kNow, kLater), ReplayVerdict::kFirst);
  EXPECT_EQ(cache.note(id(1), "", kNow, kLater), ReplayVerdict::kReplayed);
  EXPECT_EQ(cache.note(id(1), "phone", kNow, kLater), ReplayVerdict::kReplayed);
}

TEST(BoundedReplayCache, ForgetsAnEntryWhenItExpiresAndNotBefore) {
  BoundedReplayCache cache;
  EXPECT_EQ(cache.note(id(1), "", kNow, kLater), ReplayVerdict::kFirst);
  EXPECT_EQ(cache.note(id(1), "", kLater - std::chrono::nanoseconds{1}, kLater),
            ReplayVerdict::kReplayed);
  EXPECT_EQ(cache.note(id(1), "", kLater, kLater), ReplayVerdict::kFirst);
}

TEST(BoundedReplayCache, RefusesWhenFullInsteadOfForgetting) {
  BoundedReplayCache cache(2);
  EXPECT_EQ(cache.note(id(1), "", kNow, kLater), ReplayVerdict::kFirst);
  EXPECT_EQ(cache.note(id(2), "", kNow, kLater), ReplayVerdict::kFirst);
  EXPECT_EQ(cache.note(id(3), "", kNow, kLater), ReplayVerdict::kFull);
  EXPECT_EQ(cache.note(id(1), "", kNow, kLater), ReplayVerdict::kReplayed);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.note(id(3), "", kLater, kLater + std::chrono::seconds{1}), ReplayVerdict::kFirst);
  EXPECT_EQ(cache.size(), 1U);
}

TEST(BoundedReplayCache, OfManyConcurrentFirstPresentationsOneWins) {
  BoundedReplayCache cache;
  std::atomic<int> first = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (unsigned ticket = 0; ticket < 500; ++ticket) {
        if (cache.note(id(ticket), "", kNow, kLater) == ReplayVerdict::kFirst) ++first;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(first, 500);
}

}  // namespace
}  // namespace countersign

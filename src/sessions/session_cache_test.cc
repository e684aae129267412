#include "sessions/session_cache.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/fake_clock.h"

namespace countersign::sessions {
namespace {

using namespace std::chrono_literals;

std::string hash_of(const std::string& name) { return base::to_string(base::sha256(name)); }

SessionCache::View view(const std::string& name) {
  storage::SessionView made;
  made.session.id_hash = hash_of(name);
  made.session.handle = base::SessionHandle("handle of " + name);
  return std::make_shared<const storage::SessionView>(std::move(made));
}

class SessionCacheTest : public ::testing::Test {
 protected:
  void insert(const std::string& name) { cache.insert(cache.begin_read(), view(name)); }
  bool has(const std::string& name) const { return cache.find(hash_of(name)) != nullptr; }

  base::FakeClock clock;
  SessionCache cache{clock, 1000ms, 16 * 4};
};

TEST_F(SessionCacheTest, AnEntryIsGoodForASecond) {
  insert("a");
  EXPECT_TRUE(has("a"));
  EXPECT_FALSE(has("b"));
  clock.advance(999ms);
  EXPECT_TRUE(has("a"));
  clock.advance(1ms);
  EXPECT_FALSE(has("a"));
}

TEST_F(SessionCacheTest, TheSecondCountsFromBeforeTheRead) {
  const auto mark = cache.begin_read();
  clock.advance(600ms);
  cache.insert(mark, view("slow"));
  clock.advance(400ms);
  EXPECT_FALSE(has("slow"));
  const auto late = cache.begin_read();
  clock.advance(1s);
  cache.insert(late, view("late"));
  EXPECT_EQ(cache.find(hash_of("late")), nullptr);
}

TEST_F(SessionCacheTest, SettingTheWallClockBackDoesNotProlongIt) {
  insert("a");
  clock.jump(-24h);
  clock.advance(1s);
  EXPECT_FALSE(has("a"));
}

TEST_F(SessionCacheTest, RemovesByIdAndByHandle) {
  insert("a");
  insert("b");
  insert("c");
  cache.remove(hash_of("a"));
  cache.remove(base::SessionHandle("handle of b"));
  cache.remove(base::SessionHandle("handle of nobody"));
  EXPECT_FALSE(has("a"));
  EXPECT_FALSE(has("b"));
  EXPECT_TRUE(has("c"));
}

TEST_F(SessionCacheTest, RemovesByHandleAfterTheEntryWasReplaced) {
  insert("a");
  clock.advance(1s);
  insert("a");
  clock.advance(500ms);
  insert("a");
  cache.remove(base::SessionHandle("handle of a"));
  EXPECT_FALSE(has("a"));
}

TEST_F(SessionCacheTest, WhatWasReadBeforeAnInvalidationIsNotKept) {
  const auto mark = cache.begin_read();
  cache.remove(base::SessionHandle("handle of a"));
  cache.insert(mark, view("a"));
  EXPECT_FALSE(has("a"));
}

TEST_F(SessionCacheTest, RemovesByHandleAfterALateReadOfTheIdBeforeARenewal) {
  const auto of_one_session = [](const std::string& id) {
    storage::SessionView made;
    made.session.id_hash = hash_of(id);
    made.session.handle = base::SessionHandle("handle");
    return std::make_shared<const storage::SessionView>(std::move(made));
  };
  const auto mark = cache.begin_read();
  cache.remove(hash_of("old"));  // the renewal, here
  cache.insert(cache.begin_read(), of_one_session("new"));
  cache.insert(mark, of_one_session("old"));
  EXPECT_FALSE(has("old"));
  cache.remove(base::SessionHandle("handle"));
  EXPECT_FALSE(has("new"));

  // A renewal by another process is not heard of: both ids are cached for a moment.
  cache.insert(cache.begin_read(), of_one_session("new"));
  cache.insert(cache.begin_read(), of_one_session("old"));
  cache.remove(base::SessionHandle("handle"));
  EXPECT_FALSE(has("new"));
  EXPECT_FALSE(has("old"));
}

TEST_F(SessionCacheTest, ClearingForgetsAll) {
  for (int i = 0; i < 40; ++i) insert(std::to_string(i));
  cache.clear();
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(SessionCacheTest, StaysWithinItsCapacityAndDropsTheOldest) {
  for (int i = 0; i < 1000; ++i) {
    insert(std::to_string(i));
    clock.advance(100us);
  }
  EXPECT_LE(cache.size(), 64u);
  EXPECT_TRUE(has("999"));
  EXPECT_FALSE(has("0"));
}

TEST_F(SessionCacheTest, DropsWhatHasExpiredAsItGoes) {
  SessionCache wide(clock, 1000ms, 1 << 20);
  for (int i = 0; i < 2000; ++i) {
    wide.insert(wide.begin_read(), view(std::to_string(i)));
    clock.advance(10ms);
  }
  EXPECT_LE(wide.size(), 400u);
}

TEST_F(SessionCacheTest, ARemovedSessionNeverComesBackFromAReadThatBeganEarlier) {
  // One thread ends a session while others look it up: after remove() returns, no lookup that
  // began its read before may leave an entry behind.
  for (int round = 0; round < 200; ++round) {
    const std::string name = "r" + std::to_string(round);
    std::atomic<bool> live{true};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) {
      readers.emplace_back([&] {
        const auto mark = cache.begin_read();
        if (live.load()) cache.insert(mark, view(name));
      });
    }
    live = false;
    cache.remove(base::SessionHandle("handle of " + name));
    for (std::thread& reader : readers) reader.join();
    EXPECT_FALSE(has(name)) << round;
  }
}

}  // namespace
}  // namespace countersign::sessions

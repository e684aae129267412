// The lanes: what goes together, in which order, and what is refused. Without a database.
#include "storage/postgres/message_lanes.h"

#include <atomic>
#include <future>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace countersign::storage::postgres {
namespace {

using Lanes = MessageLanes<int, int>;

/// Commits that wait until they are let go, and what they were.
class Gate {
 public:
  std::vector<Result<int>> commit(std::span<const int* const> requests) {
    std::unique_lock lock(mutex_);
    for (const int* request : requests) committed_[*request] = std::this_thread::get_id();
    batches_.push_back(requests.size());
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    std::vector<Result<int>> answers;
    for (const int* request : requests) answers.emplace_back(*request);
    return answers;
  }
  void wait_for_batches(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= count; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  std::thread::id thread_of(int request) {
    const std::lock_guard lock(mutex_);
    return committed_.at(request);
  }
  std::vector<std::size_t> batches() {
    const std::lock_guard lock(mutex_);
    return batches_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int arrived_ = 0;
  std::map<int, std::thread::id> committed_;
  std::vector<std::size_t> batches_;
};

Lanes::Commit commit_at(Gate& gate) {
  return [&gate](std::span<const int* const> requests) { return gate.commit(requests); };
}

void ignore(const Result<int>&) {}

TEST(MessageLanes, WhatGathersDuringACommitIsTheNextBatchInItsOrder) {
  Gate gate;
  std::vector<int> answered;
  {
    Lanes lanes(1, commit_at(gate), LaneLimits{.max_batch = 3});
    const auto note = [&](Result<int> answer) { answered.push_back(*answer); };
    lanes.submit(0, {1}, 1, note);
    gate.wait_for_batches(1);
    for (int i = 1; i <= 4; ++i) lanes.submit(i, {1}, 1, note);
    gate.open();
  }
  EXPECT_EQ(gate.batches(), (std::vector<std::size_t>{1, 3, 1}));
  EXPECT_EQ(answered, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(MessageLanes, AHotUserStaysInOneLaneAndTheOthersGoOn) {
  Gate gate;
  {
    Lanes lanes(2, commit_at(gate));
    lanes.submit(0, {1, 7}, 1, ignore);  // 7 is the hot one
    gate.wait_for_batches(1);
    for (int i = 1; i < 50; ++i) {
      lanes.submit(i, {static_cast<std::size_t>(100 + i), 7}, 1, ignore);
    }
    lanes.submit(1'000, {2, 3}, 1, ignore);
    gate.wait_for_batches(2);
    EXPECT_NE(gate.thread_of(1'000), gate.thread_of(0));
    gate.open();
  }
  for (int i = 1; i < 50; ++i) EXPECT_EQ(gate.thread_of(i), gate.thread_of(0));
}

TEST(MessageLanes, ASendersRequestsKeepTheirLaneWhereverTheirRecipientsAre) {
  Gate gate;
  {
    Lanes lanes(2, commit_at(gate));
    lanes.submit(1, {1}, 1, ignore);
    gate.wait_for_batches(1);
    lanes.submit(2, {2}, 1, ignore);
    gate.wait_for_batches(2);
    lanes.submit(3, {1, 2}, 1, ignore);
    lanes.submit(4, {2, 1}, 1, ignore);
    gate.open();
  }
  EXPECT_NE(gate.thread_of(1), gate.thread_of(2));
  EXPECT_EQ(gate.thread_of(3), gate.thread_of(1));
  EXPECT_EQ(gate.thread_of(4), gate.thread_of(2));
}

TEST(MessageLanes, AFullLaneRefusesAtOnceByNumberAndByBytes) {
  Gate gate;
  Lanes lanes(1, commit_at(gate), LaneLimits{.max_queue = 2, .max_queue_bytes = 100});
  lanes.submit(0, {1}, 1, ignore);
  gate.wait_for_batches(1);
  std::optional<ErrorCode> refused;
  const auto note = [&](const Result<int>& answer) {
    if (!answer) refused = answer.code();
  };
  lanes.submit(1, {1}, 60, ignore);
  lanes.submit(2, {1}, 60, note);
  EXPECT_EQ(refused, ErrorCode::kOverloaded);
  refused.reset();
  lanes.submit(3, {1}, 10, ignore);
  lanes.submit(4, {1}, 1, note);
  EXPECT_EQ(refused, ErrorCode::kOverloaded);
  gate.open();
}

}  // namespace
}  // namespace countersign::storage::postgres

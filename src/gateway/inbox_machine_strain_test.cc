// The inbox machine when it may not push or cannot: a fenced node, a slow reader, too many
// commands, and a connection that closes.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/inbox_machine.h"
#include "gateway/inbox_machine_fixture.h"

namespace countersign::gateway {
namespace {

using std::chrono::milliseconds;

TEST_F(InboxTest, PushesNothingWhileTheNodeIsFencedAndReadsAfterwards) {
  now_.fenced = true;
  entry(1);
  EXPECT_TRUE(out_.empty());
  now_.fenced = false;
  pass(config_.recheck);
  expect_read_after(0);
}

TEST_F(InboxTest, DropsAPageThatComesWhenTheNodeIsFenced) {
  attach(0, 1);
  now_.fenced = true;
  read(page(1, 1, 1));
  EXPECT_TRUE(frames().empty());
  EXPECT_EQ(inbox_->last(), 0);
  now_.fenced = false;
  pass(config_.recheck);
  expect_read_after(0);
}

TEST_F(InboxTest, AnswersCommandsWith113WhileTheNodeIsFenced) {
  now_.fenced = true;
  ask(protocol::Send{});
  expect_error(command_, ErrorCode::kOverloaded);
}

TEST_F(InboxTest, DoesNotShowHistoryThatComesWhenTheNodeIsFenced) {
  ask(protocol::History{});
  now_.fenced = true;
  out_.clear();
  inbox_->on_answered(command_, std::string("secret"), now_, out_);
  expect_error(command_, ErrorCode::kOverloaded);
}

TEST_F(InboxTest, StopsReadingForASlowReaderAndGoesOnWhenThereIsRoom) {
  now_.queued_bytes = config_.max_queued_bytes / 2 + 1;
  entry(1);
  EXPECT_TRUE(out_.empty());
  pass(config_.recheck);
  EXPECT_TRUE(out_.empty());
  now_.queued_bytes = 0;
  pass(config_.recheck);
  expect_read_after(0);
}

TEST_F(InboxTest, IsTooSlowAfterTenSecondsBeyondTheLimit) {
  now_.queued_bytes = config_.max_queued_bytes + 1;
  entry(1);
  EXPECT_FALSE(inbox_->too_slow(now_));
  pass(config_.slow_after - milliseconds(1));
  EXPECT_FALSE(inbox_->too_slow(now_));
  pass(milliseconds(1));
  EXPECT_TRUE(inbox_->too_slow(now_));
}

TEST_F(InboxTest, IsNotTooSlowIfItReadsBetweenTimes) {
  now_.queued_bytes = config_.max_queued_bytes + 1;
  entry(1);
  pass(config_.slow_after - milliseconds(1));
  now_.queued_bytes = 10;
  pass(milliseconds(1));
  now_.queued_bytes = config_.max_queued_bytes + 1;
  pass(milliseconds(1));
  EXPECT_FALSE(inbox_->too_slow(now_));
}

TEST_F(InboxTest, HoldsReceiptsForASlowReaderAndTellsTheLastState) {
  now_.queued_bytes = config_.max_queued_bytes;
  inbox_->on_loose(LooseQueue::Kind::kReceipt, "k", "first", now_, out_);
  inbox_->on_loose(LooseQueue::Kind::kReceipt, "k", "second", now_, out_);
  EXPECT_TRUE(frames().empty());
  now_.queued_bytes = 0;
  pass(config_.recheck);
  EXPECT_EQ(frames(), std::vector<std::string>{"second"});
}

TEST_F(InboxTest, AnswersTheSixtyFifthWaitingCommandWith111) {
  for (std::size_t i = 0; i < config_.max_in_flight; ++i) {
    ask(protocol::Send{});
    EXPECT_NE(find<Ask>(), nullptr);
  }
  ask(protocol::Send{});
  expect_error(command_, ErrorCode::kTooManyRequests);
}

TEST_F(InboxTest, AnswersTheThirdLongQuestionAtOnceWith111) {
  ask(protocol::History{});
  ask(protocol::History{});
  ask(protocol::History{});
  expect_error(command_, ErrorCode::kTooManyRequests);
}

TEST_F(InboxTest, AnswersACommandNobodyAnswersOnce) {
  ask(protocol::Send{});
  pass(config_.operation_timeout);
  expect_error(command_, ErrorCode::kInternal);
  out_.clear();
  inbox_->on_answered(command_, std::string("late"), now_, out_);
  EXPECT_TRUE(out_.empty());
}

TEST_F(InboxTest, AnswersEverybodyWhoWaitsWhenTheConnectionCloses) {
  entry(1);
  ask(protocol::Send{});
  ack(1);
  out_.clear();
  inbox_->fail_all(ErrorCode::kUnauthorized, out_);
  EXPECT_EQ(frames().size(), 2U);
  expect_error(1, ErrorCode::kUnauthorized);
  expect_error(2, ErrorCode::kUnauthorized);
}

}  // namespace
}  // namespace countersign::gateway

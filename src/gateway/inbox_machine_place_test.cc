// Where the client stands: what it acknowledges, where it begins anew, and what happens when the
// stream is not the one it knew.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/inbox_machine.h"
#include "gateway/inbox_machine_fixture.h"
#include "protocol/inbox_messages.h"

namespace countersign::gateway {
namespace {

TEST_F(InboxTest, AsksWhereItStandsWhenTheStoreIsAnotherOne) {
  attach(5, 6);
  storage::InboxPage other = page(6, 6, 6);
  other.epoch = "e2";
  read(other);
  const auto* attach = find<AttachInbox>();
  ASSERT_NE(attach, nullptr);
  EXPECT_EQ(attach->resume, (protocol::ClientPosition{"e1", 5, chain(5)}));
}

TEST_F(InboxTest, AsksWhereItStandsWhenThePageDoesNotBeginAtTheNextEntry) {
  attach(5, 9);
  read(page(8, 9, 9));
  EXPECT_FALSE(pushed("offset"));
  EXPECT_NE(find<AttachInbox>(), nullptr);
}

TEST_F(InboxTest, AsksWhereItStandsWhenTheStoreHasLessThanWasPushed) {
  attach(5, 5);
  inbox_->on_top(3, now_, out_);
  expect_read_after(5);
  read(page(6, 5, 3));
  EXPECT_NE(find<AttachInbox>(), nullptr);
}

TEST_F(InboxTest, TellsTheClientWhereTheStreamGoesOn) {
  attach(5, 9);
  read(page(8, 9, 9));
  storage::Attached place;
  place.epoch = "e1";
  place.floor = place.from = place.cursor = 7;
  place.from_chain = chain(7);
  place.top = 9;
  place.reason = storage::Attached::Reason::kFloor;
  attached(place);
  EXPECT_EQ(frames().front(),
            protocol::encode_reset_push(protocol::ResetReason::kFloor, "e1", 7, chain(7), 9));
  expect_read_after(7);
}

TEST_F(InboxTest, DoesNotSpinWhenTheStoreContradictsItself) {
  attach(5, 9);
  read(page(8, 9, 9));
  storage::Attached place;
  place.epoch = "e1";
  place.from = 5;
  place.top = 9;
  attached(place);
  expect_no_read();
  pass(config_.retry);
  expect_read_after(5);
  read(page(8, 9, 9));
  EXPECT_TRUE(out_.empty());
}

TEST_F(InboxTest, RefusesAnAckOfWhatWasNotPushedWith107) {
  entry(1);
  ack(2);
  expect_error(command_, ErrorCode::kBadRequest);
}

TEST_F(InboxTest, RefusesAnAckOfAnotherEpochWith112) {
  entry(1);
  ack(1, "e0");
  expect_error(command_, ErrorCode::kUnrecoverablePosition);
}

TEST_F(InboxTest, AnswersAnAckWhenItIsStored) {
  entry(1);
  ack(1);
  ASSERT_NE(find<StoreAck>(), nullptr);
  EXPECT_TRUE(frames().empty());
  stored(1);
  EXPECT_EQ(frames(), std::vector<std::string>{protocol::encode_ack_reply(command_, 1)});
}

TEST_F(InboxTest, MakesOneAckOfThoseThatComeMeanwhile) {
  for (std::int64_t offset = 1; offset <= 5; ++offset) entry(offset);
  ack(1);
  ack(2);
  EXPECT_TRUE(out_.empty());
  ack(5);
  EXPECT_TRUE(out_.empty());
  stored(1);
  EXPECT_EQ(frames(), std::vector<std::string>{protocol::encode_ack_reply(1, 1)});
  ASSERT_NE(find<StoreAck>(), nullptr);
  EXPECT_EQ(find<StoreAck>()->offset, 5);
  stored(5);
  EXPECT_EQ(frames(), (std::vector<std::string>{protocol::encode_ack_reply(2, 5),
                                                protocol::encode_ack_reply(3, 5)}));
}

TEST_F(InboxTest, TellsTheClientThatAnAckWasNotStored) {
  entry(1);
  ack(1);
  stored(fail(ErrorCode::kStoreFailed, "test"));
  expect_error(command_, ErrorCode::kInternal);
  ack(1);
  EXPECT_NE(find<StoreAck>(), nullptr);
}

TEST_F(InboxTest, AcknowledgesForAClientThatShowsItHasHandledMore) {
  storage::Attached place;
  place.epoch = "e1";
  place.from = 7;
  place.top = 7;
  place.cursor = 4;
  place.from_chain = chain(7);
  InboxMachine inbox(config_, place, false, now_);
  out_.clear();
  inbox.start(now_, out_);
  ASSERT_NE(find<StoreAck>(), nullptr);
  EXPECT_EQ(find<StoreAck>()->offset, 7);
}

TEST_F(InboxTest, ForgetsAcksOfTheStreamThatWas) {
  attach(5, 6);
  read(page(6, 6, 6));
  ack(6);
  ack(6);
  inbox_->on_news(now_, out_);
  storage::InboxPage other = page(7, 6, 6);
  other.epoch = "e2";
  read(other);
  storage::Attached place;
  place.epoch = "e2";
  place.from = place.cursor = place.top = 2;
  place.reason = storage::Attached::Reason::kEpoch;
  attached(place);
  stored(fail(ErrorCode::kUnrecoverablePosition, "test"));
  EXPECT_EQ(find<StoreAck>(), nullptr);
  expect_error(1, ErrorCode::kUnrecoverablePosition);
  expect_error(2, ErrorCode::kUnrecoverablePosition);
}

TEST_F(InboxTest, BeginsAnewWhereTheClientSays) {
  for (std::int64_t offset = 1; offset <= 5; ++offset) entry(offset);
  protocol::Sync sync{{"e1", 2, chain(2)}};
  out_.clear();
  inbox_->sync(++command_, sync, now_, out_);
  ASSERT_NE(find<AttachInbox>(), nullptr);
  storage::Attached place;
  place.epoch = "e1";
  place.from = 2;
  place.from_chain = chain(2);
  place.top = 5;
  attached(place);
  EXPECT_TRUE(frames().front().starts_with("{\"id\":1,\"sync\":"));
  expect_read_after(2);
  read(page(3, 5, 5));
  EXPECT_EQ(inbox_->last(), 5);
}

TEST_F(InboxTest, StaysWhereItStoodWhenASyncIsAnsweredTooLate) {
  for (std::int64_t offset = 1; offset <= 5; ++offset) entry(offset);
  protocol::Sync sync{{"e1", 2, chain(2)}};
  inbox_->sync(++command_, sync, now_, out_);
  pass(config_.operation_timeout);
  expect_error(command_, ErrorCode::kInternal);
  storage::Attached place;
  place.epoch = "e1";
  place.from = place.floor = 4;
  place.top = 5;
  place.reason = storage::Attached::Reason::kFloor;
  attached(place);
  EXPECT_TRUE(frames().empty());
  expect_read_after(5);
}

TEST_F(InboxTest, LetsASyncOvertakeThePageThatIsBeingRead) {
  attach(0, 3);
  protocol::Sync sync{{"e1", 2, chain(2)}};
  inbox_->sync(++command_, sync, now_, out_);
  read(page(1, 3, 3));
  EXPECT_TRUE(frames().empty());
  EXPECT_NE(find<AttachInbox>(), nullptr);
}

}  // namespace
}  // namespace countersign::gateway

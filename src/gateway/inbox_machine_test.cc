// What the inbox machine pushes, and what it reads when the bus does not bring the next entry.
#include "gateway/inbox_machine.h"

#include <string>

#include <gtest/gtest.h>

#include "gateway/inbox_machine_fixture.h"

namespace countersign::gateway {
namespace {

using std::chrono::milliseconds;

TEST_F(InboxTest, PushesTheNextEntryAsTheBusBringsIt) {
  entry(1);
  EXPECT_TRUE(pushed("{\"offset\":1}"));
  expect_no_read();
}

TEST_F(InboxTest, PushesAnEntryOnce) {
  entry(1);
  entry(1);
  EXPECT_TRUE(out_.empty());
}

TEST_F(InboxTest, ReadsWhatLiesBetweenWhenAnEntryIsMissing) {
  entry(2);
  EXPECT_FALSE(pushed("offset"));
  expect_read_after(0);
  read(page(1, 2, 2));
  EXPECT_TRUE(pushed("\"offset\":1,"));
  EXPECT_TRUE(pushed("\"offset\":2,"));
  EXPECT_EQ(inbox_->last(), 2);
}

TEST_F(InboxTest, ReadsInsteadOfPushingAnEntryWhoseChainDoesNotFollow) {
  protocol::EntryEvent other = event(1);
  other.chain = "otherway";
  entry(other);
  EXPECT_FALSE(pushed("offset"));
  expect_read_after(0);
}

TEST_F(InboxTest, ReadsInsteadOfPushingAnEntryItCannotCheck) {
  protocol::EntryEvent bare = event(1);
  bare.id.clear();
  entry(bare);
  expect_read_after(0);
}

TEST_F(InboxTest, ReadsInsteadOfPushingAnEntryOfAnotherEpoch) {
  protocol::EntryEvent old = event(1);
  old.epoch = "e0";
  entry(old);
  EXPECT_FALSE(pushed("offset"));
  expect_read_after(0);
}

TEST_F(InboxTest, GivesTheDeviceThatSentItAStub) {
  protocol::EntryEvent own = event(1);
  own.device = kDevice;
  entry(own);
  EXPECT_TRUE(pushed("{\"stub\":1}"));
}

TEST_F(InboxTest, ReadsOnceMoreTwoSecondsAfterAttaching) {
  pass(milliseconds(1'999));
  expect_no_read();
  pass(milliseconds(1));
  expect_read_after(0);
}

TEST_F(InboxTest, ReadsAtOnceIfThereIsSomethingToRead) {
  attach(3, 5);
  expect_read_after(3);
}

TEST_F(InboxTest, ReadsAtOnceIfSomethingCameWhileItAttached) {
  attach(3, 3, true);
  expect_read_after(3);
}

TEST_F(InboxTest, ReadsOnAsLongAsThePageIsNotTheEnd) {
  attach(0, 100);
  read(page(1, 50, 100));
  expect_read_after(50);
  read(page(51, 100, 100));
  expect_no_read();
}

TEST_F(InboxTest, ReadsAgainForWhatWasHeardWhileItRead) {
  attach(0, 1);
  entry(2);
  EXPECT_TRUE(out_.empty());
  read(page(1, 1, 1));
  expect_read_after(1);
}

TEST_F(InboxTest, DoesNotReadForEverBecauseOfAnOffsetNobodyHas) {
  entry(1'000'000);
  read(page(1, 0, 0));
  expect_no_read();
  EXPECT_EQ(inbox_->last(), 0);
}

TEST_F(InboxTest, StopsAtTheWindowAndGoesOnWithTheAck) {
  attach(0, 1'000);
  EXPECT_EQ(find<ReadInbox>()->max_entries, config_.window_entries);
  read(page(1, 128, 1'000));
  expect_no_read();
  ack(28);
  expect_read_after(128);
  EXPECT_EQ(find<ReadInbox>()->max_entries, 28U);
}

TEST_F(InboxTest, CountsTheBytesOfTheWindowToo) {
  attach(0, 1'000);
  read(page(1, 3, 1'000, 48 * 1024));
  expect_no_read();
  ack(1);
  expect_read_after(3);
}

TEST_F(InboxTest, PushesNothingLiveBeyondTheWindow) {
  for (std::int64_t offset = 1; offset <= 128; ++offset) entry(offset);
  EXPECT_TRUE(pushed("{\"offset\":128}"));
  entry(129);
  EXPECT_TRUE(out_.empty());
  ack(128);
  expect_read_after(128);
}

TEST_F(InboxTest, SplitsALongPageIntoFrames) {
  attach(0, 100);
  read(page(1, 100, 100, 1'000));
  EXPECT_GE(frames().size(), 3U);
  for (const std::string& frame : frames()) EXPECT_LE(frame.size(), config_.frame_bytes + 300);
}

TEST_F(InboxTest, TriesAFailedReadAgainAfterAPause) {
  attach(0, 1);
  read(fail(ErrorCode::kStoreFailed, "test"));
  expect_no_read();
  EXPECT_EQ(inbox_->next_deadline(), now_.steady + config_.retry);
  pass(config_.retry);
  expect_read_after(0);
}

TEST_F(InboxTest, CostsLittleWhileNothingHappens) { EXPECT_LE(sizeof(InboxMachine), 512U); }

}  // namespace
}  // namespace countersign::gateway

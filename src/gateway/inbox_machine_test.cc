// What the inbox machine pushes, reads, stores and answers.
#include "gateway/inbox_machine.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "protocol/inbox_messages.h"
#include "protocol/server_messages.h"
#include "storage/message_ids.h"

namespace countersign::gateway {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kDevice = "tab-1";

class InboxTest : public testing::Test {
 protected:
  InboxTest() { attach(); }

  void attach(std::int64_t from = 0, std::int64_t top = 0, bool news = false) {
    storage::Attached attached;
    attached.epoch = "e1";
    attached.top = top;
    attached.cursor = attached.from = from;
    attached.from_chain = chain(from);
    inbox_ = std::make_unique<InboxMachine>(config_, attached, news, now_);
    out_.clear();
    inbox_->start(now_, out_);
  }
  // The chain of the one stream of these tests.
  static std::string chain(std::int64_t offset) {
    std::string at = storage::first_chain();
    for (std::int64_t i = 1; i <= offset; ++i) at = storage::next_chain(at, id(i), i);
    return at;
  }
  static std::string id(std::int64_t offset) {
    return std::string(15, 'm') + static_cast<char>('A' + offset % 64);
  }
  static protocol::EntryEvent event(std::int64_t offset) {
    protocol::EntryEvent entry;
    entry.offset = offset;
    entry.chain = chain(offset);
    entry.id = id(offset);
    entry.epoch = "e1";
    entry.device = "another";
    entry.entry = "{\"offset\":" + std::to_string(offset) + "}";
    entry.stub = "{\"stub\":" + std::to_string(offset) + "}";
    return entry;
  }
  static storage::InboxPage page(std::int64_t first, std::int64_t last, std::int64_t top,
                                 std::size_t body = 10) {
    storage::InboxPage page;
    page.epoch = "e1";
    page.top = top;
    for (std::int64_t offset = first; offset <= last; ++offset) {
      storage::Entry entry;
      entry.offset = offset;
      entry.chain = chain(offset);
      entry.message.conversation = "c-1";
      entry.message.seq = offset;
      entry.message.id = "m";
      entry.message.sender = {IdentityType::kUsername, "bob"};
      entry.message.body = "\"text\":\"" + std::string(body, 'x') + "\"";
      page.entries.push_back(std::move(entry));
    }
    return page;
  }

  // Events; what the machine did about the last one is in out_.
  void entry(std::int64_t offset) { entry(event(offset)); }
  void entry(const protocol::EntryEvent& what) {
    out_.clear();
    inbox_->on_entry(what, kDevice, now_, out_);
  }
  void read(Result<storage::InboxPage> what) {
    out_.clear();
    inbox_->on_page(what, kDevice, now_, out_);
  }
  void attached(Result<storage::Attached> what) {
    out_.clear();
    inbox_->on_attached(std::move(what), now_, out_);
  }
  void ack(std::int64_t offset, std::string epoch = "e1") {
    out_.clear();
    inbox_->ack(++command_, {std::move(epoch), offset}, now_, out_);
  }
  void stored(Result<std::int64_t> cursor) {
    out_.clear();
    inbox_->on_acknowledged(cursor, now_, out_);
  }
  void ask(MessagingRequest request) {
    out_.clear();
    inbox_->ask(++command_, std::move(request), now_, out_);
  }
  void pass(milliseconds by) {
    now_.steady += by;
    out_.clear();
    inbox_->on_timer(now_, out_);
  }

  std::vector<std::string> frames() const {
    std::vector<std::string> frames;
    for (const Action& action : out_) {
      if (const auto* send = std::get_if<SendFrame>(&action)) frames.push_back(send->frame);
    }
    return frames;
  }
  template <class T>
  const T* find() const {
    for (const Action& action : out_) {
      if (const T* found = std::get_if<T>(&action)) return found;
    }
    return nullptr;
  }
  bool pushed(const std::string& text) const {
    for (const std::string& frame : frames()) {
      if (frame.find(text) != std::string::npos) return true;
    }
    return false;
  }
  void expect_error(std::uint32_t command, ErrorCode code) const {
    const std::string begin = "{\"id\":" + std::to_string(command) +
                              ",\"error\":{\"code\":" + std::to_string(static_cast<int>(code));
    for (const std::string& frame : frames()) {
      if (frame.starts_with(begin)) return;
    }
    FAIL() << "no error " << begin;
  }
  void expect_read_after(std::int64_t offset) const {
    const auto* read = find<ReadInbox>();
    ASSERT_NE(read, nullptr);
    EXPECT_EQ(read->after, offset);
  }
  void expect_no_read() const { EXPECT_EQ(find<ReadInbox>(), nullptr); }

  InboxConfig config_;
  Moment now_{base::SteadyTime(hours(1)), base::SystemTime(seconds(1767225600)), false, 0};
  Actions out_;
  std::uint32_t command_ = 0;
  std::unique_ptr<InboxMachine> inbox_;
};

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

TEST_F(InboxTest, CostsLittleWhileNothingHappens) { EXPECT_LE(sizeof(InboxMachine), 512U); }

}  // namespace
}  // namespace countersign::gateway

// How far a classic device has acknowledged: receipts in any order, lost ones, entries that get
// none, and what another node handed out.
#include "gateway/classic/receipt_book.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace countersign::gateway::classic {
namespace {

using std::chrono::seconds;

const base::InstanceId kPhone("phone");
const Identity kAnn{IdentityType::kUsername, "ann"};

Unreceipted entry(std::int64_t offset) {
  return {offset, kAnn, "message-" + std::to_string(offset)};
}

class ReceiptBookTest : public testing::Test {
 protected:
  void open(std::int64_t cursor) { book_.open(kPhone, "epoch", cursor, {{}, cursor}, now_); }
  void deliver(std::vector<std::int64_t> offsets, std::int64_t until) {
    std::vector<Unreceipted> entries;
    for (const auto offset : offsets) entries.push_back(entry(offset));
    book_.delivered(kPhone, entries, until, now_);
  }
  // Where the cursor goes with a receipt; -1 if it stays.
  std::int64_t confirm(std::int64_t offset) {
    const auto noted = book_.receipt(kPhone, kAnn, "message-" + std::to_string(offset), now_);
    return noted.move ? noted.move->offset : -1;
  }
  std::int64_t poll(std::int64_t offset) {
    const auto move = book_.polled(kPhone, offset, now_);
    return move ? move->offset : -1;
  }

  ReceiptBook book_{{}};
  base::SteadyTime now_{seconds(1'000)};
};

TEST_F(ReceiptBookTest, MovesTheCursorWithEachReceiptInOrder) {
  open(0);
  deliver({1, 2}, 2);
  EXPECT_EQ(confirm(1), 1);
  EXPECT_EQ(confirm(2), 2);
}

TEST_F(ReceiptBookTest, WaitsForTheFirstReceiptThatIsMissing) {
  open(0);
  deliver({1, 2, 3}, 3);
  EXPECT_EQ(confirm(3), -1);
  EXPECT_EQ(confirm(2), -1);
  EXPECT_EQ(confirm(1), 3);
}

TEST_F(ReceiptBookTest, PassesWhatGetsNoReceiptOnceTheClientHasPolledPastIt) {
  open(0);
  deliver({}, 40);  // the user's own words
  EXPECT_EQ(poll(40), 40);
}

TEST_F(ReceiptBookTest, DoesNotWriteForEveryPoll) {
  open(0);
  deliver({}, 3);
  EXPECT_EQ(poll(3), -1);
  now_ += seconds(11);
  EXPECT_EQ(poll(3), 3);
}

TEST_F(ReceiptBookTest, IgnoresReceiptsOfOthersAndRepeats) {
  open(0);
  deliver({1}, 1);
  EXPECT_FALSE(book_.receipt(kPhone, {IdentityType::kUsername, "bob"}, "message-1", now_).found);
  EXPECT_EQ(confirm(1), 1);
  EXPECT_EQ(confirm(1), -1);
}

TEST_F(ReceiptBookTest, GivesUpAMessageWhoseReceiptNeverComes) {
  open(0);
  deliver({1, 2}, 2);
  EXPECT_EQ(poll(2), -1);
  now_ += seconds(61);
  EXPECT_EQ(poll(2), 2);
}

TEST_F(ReceiptBookTest, DoesNotGiveUpWhatTheClientHasNotPolledPast) {
  open(0);
  deliver({1}, 1);
  now_ += seconds(600);
  EXPECT_EQ(poll(0), -1);
  EXPECT_EQ(confirm(1), 1);
}

TEST_F(ReceiptBookTest, KeepsItsPageForTheSameEpochAndBeginsAnewForAnother) {
  open(0);
  deliver({1}, 1);
  book_.open(kPhone, "epoch", 0, {{}, 0}, now_);
  EXPECT_EQ(confirm(1), 1);
  deliver({2}, 2);
  book_.open(kPhone, "restored", 0, {{}, 0}, now_);
  EXPECT_EQ(confirm(2), -1);
}

TEST_F(ReceiptBookTest, TakesWhatAnotherNodeHandedOut) {
  book_.open(kPhone, "epoch", 4, {{entry(5), entry(7)}, 7}, now_);
  EXPECT_EQ(book_.known_until(kPhone), 7);
  EXPECT_EQ(confirm(5), 5);
  book_.add(kPhone, {{entry(9)}, 9}, now_);
  EXPECT_EQ(confirm(7), 7);
  EXPECT_EQ(confirm(9), 9);
}

TEST_F(ReceiptBookTest, ForgetsDevicesThatAreNotHeardOf) {
  open(0);
  now_ += seconds(700);
  for (int i = 0; i < 256; ++i) {
    const std::string name = "device-" + std::to_string(i);
    book_.open(base::InstanceId(name), "epoch", 0, {{}, 0}, now_);
  }
  EXPECT_FALSE(book_.knows(kPhone));
}

// Whatever comes in whatever order: the cursor never goes back, and never passes a message that
// still waits for its receipt.
RC_GTEST_PROP(ReceiptBookProperty, TheCursorNeverPassesAMessageThatWaits, ()) {
  ReceiptBook book({});
  const base::SteadyTime now{seconds(1'000)};
  book.open(kPhone, "epoch", 0, {{}, 0}, now);
  const auto texts = *rc::gen::container<std::vector<bool>>(12, rc::gen::arbitrary<bool>());
  std::set<std::int64_t> waiting;
  std::vector<Unreceipted> entries;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (!texts[i]) continue;
    entries.push_back(entry(static_cast<std::int64_t>(i) + 1));
    waiting.insert(entries.back().offset);
  }
  book.delivered(kPhone, entries, 12, now);
  const auto steps = *rc::gen::container<std::vector<std::pair<bool, int>>>(
      rc::gen::pair(rc::gen::arbitrary<bool>(), rc::gen::inRange(0, 13)));
  std::int64_t cursor = 0;
  for (const auto& [receipt, offset] : steps) {
    std::optional<CursorMove> move;
    if (receipt) {
      move = book.receipt(kPhone, kAnn, "message-" + std::to_string(offset), now).move;
      waiting.erase(offset);
    } else {
      move = book.polled(kPhone, offset, now);
    }
    if (!move) continue;
    RC_ASSERT(move->offset > cursor);
    cursor = move->offset;
    RC_ASSERT(waiting.empty() || cursor < *waiting.begin());
  }
}

}  // namespace
}  // namespace countersign::gateway::classic

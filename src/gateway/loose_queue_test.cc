#include "gateway/loose_queue.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace countersign::gateway {
namespace {

using Kind = LooseQueue::Kind;
using std::chrono::milliseconds;

class LooseQueueTest : public testing::Test {
 protected:
  void put(Kind kind, const std::string& key, const std::string& push) {
    queue_.put(kind, key, push, now_);
  }
  /// All that goes out while `queued` bytes wait in the channel.
  std::vector<std::string> drain(std::size_t queued = 0) {
    std::vector<std::string> out;
    while (auto push = queue_.next(queued, now_)) out.push_back(std::move(*push));
    return out;
  }
  using Texts = std::vector<std::string>;

  LooseLimits limits_{1'000, 1'000, milliseconds(5'000)};
  LooseQueue queue_{limits_};
  base::SteadyTime now_{std::chrono::hours(1)};
};

TEST_F(LooseQueueTest, LetsEverythingThroughInOrderWhileTheChannelHasRoom) {
  put(Kind::kTyping, "a", "1");
  put(Kind::kPresence, "a", "2");
  put(Kind::kReceipt, "a", "3");
  EXPECT_EQ(drain(499), (Texts{"1", "2", "3"}));
  EXPECT_FALSE(queue_.waiting());
  EXPECT_EQ(queue_.bytes(), 0U);
}

TEST_F(LooseQueueTest, HoldsEverythingBackOnceHalfOfTheChannelIsFull) {
  put(Kind::kPresence, "a", "1");
  EXPECT_EQ(drain(500), Texts());
  EXPECT_TRUE(queue_.waiting());
  EXPECT_EQ(drain(499), Texts{"1"});
}

TEST_F(LooseQueueTest, ReplacesWhatWaitsUnderTheSameKindAndKey) {
  put(Kind::kPresence, "a", "old");
  put(Kind::kPresence, "b", "other");
  put(Kind::kTyping, "a", "typing");
  put(Kind::kPresence, "a", "new");
  EXPECT_EQ(drain(), (Texts{"new", "other", "typing"}));
}

TEST_F(LooseQueueTest, DropsTheOldestTypingFirst) {
  put(Kind::kPresence, "p", std::string(300, 'p'));
  put(Kind::kTyping, "1", std::string(200, '1'));
  put(Kind::kTyping, "2", std::string(200, '2'));
  put(Kind::kReceipt, "r", std::string(100, 'r'));
  EXPECT_LE(queue_.bytes(), limits_.max_bytes);
  EXPECT_EQ(drain(), (Texts{std::string(300, 'p'), std::string(200, '2'), std::string(100, 'r')}));
  EXPECT_FALSE(queue_.take_lost_presence(0));
}

TEST_F(LooseQueueTest, DropsPresenceNextAndSaysSoOnceThereIsRoom) {
  put(Kind::kReceipt, "r", std::string(300, 'r'));
  put(Kind::kPresence, "1", std::string(300, '1'));
  put(Kind::kPresence, "2", std::string(300, '2'));
  EXPECT_FALSE(queue_.take_lost_presence(0));
  EXPECT_EQ(drain(), (Texts{std::string(300, 'r'), std::string(300, '2')}));
  EXPECT_TRUE(queue_.waiting());
  EXPECT_FALSE(queue_.take_lost_presence(500));
  EXPECT_TRUE(queue_.take_lost_presence(0));
  EXPECT_FALSE(queue_.take_lost_presence(0));
  EXPECT_FALSE(queue_.waiting());
}

TEST_F(LooseQueueTest, DropsTheOldestReceiptWhenNothingElseIsLeft) {
  put(Kind::kReceipt, "1", std::string(600, '1'));
  put(Kind::kReceipt, "2", std::string(600, '2'));
  put(Kind::kReceipt, "3", std::string(600, '3'));
  EXPECT_EQ(drain(), Texts{std::string(600, '3')});
}

TEST_F(LooseQueueTest, NeverHoldsMoreThanItsBound) {
  for (int i = 0; i < 1'000; ++i) {
    put(static_cast<Kind>(i % 3), std::to_string(i % 17),
        std::string(static_cast<std::size_t>(i) % 1'200, 'x'));
    ASSERT_LE(queue_.bytes(), limits_.max_bytes);
  }
  drain();
  EXPECT_EQ(queue_.bytes(), 0U);
}

TEST_F(LooseQueueTest, ForgetsTypingThatWaitedTooLong) {
  put(Kind::kTyping, "a", "typing");
  put(Kind::kPresence, "a", "presence");
  now_ += milliseconds(5'000);
  EXPECT_EQ(drain(), Texts{"presence"});
  put(Kind::kTyping, "a", "typing");
  now_ += milliseconds(5'000);
  EXPECT_EQ(drain(), Texts());
  EXPECT_FALSE(queue_.waiting());
}

TEST_F(LooseQueueTest, DropsAPushThatIsLargerThanItsBound) {
  put(Kind::kReceipt, "a", std::string(2'000, 'x'));
  EXPECT_FALSE(queue_.waiting());
}

}  // namespace
}  // namespace countersign::gateway

#include "bus/nats/pulse.h"

#include <gtest/gtest.h>

namespace countersign::bus {
namespace {

using std::chrono::seconds;

TEST(Pulse, ComesBackAsItWasWritten) {
  const auto pulse = Pulse::decode(Pulse{"node", 18446744073709551615u}.encode());
  ASSERT_TRUE(pulse);
  EXPECT_EQ(pulse->node, "node");
  EXPECT_EQ(pulse->number, 18446744073709551615u);
}

TEST(Pulse, AnythingElseIsNone) {
  for (const std::string text :
       {"", "pulse1", "pulse1 ", "pulse1 a", "pulse1 a ", "pulse1  1", "pulse1 a 0", "pulse1 a -1",
        "pulse1 a 1 ", "pulse1 a 1x", "pulse1 a 18446744073709551616", "pulse2 a 1"}) {
    EXPECT_FALSE(Pulse::decode(text)) << text;
  }
  EXPECT_FALSE(Pulse::decode("pulse1 " + std::string(65, 'a') + " 1"));
}

constexpr PulseEar::Time kStart{};
constexpr PulseEar::Time kLater = kStart + seconds(10);

TEST(PulseEar, TakesNodesThatWereThereBeforeForNoLoss) {
  PulseEar ear(kStart);
  EXPECT_FALSE(ear.hear({"a", 7}, kStart + seconds(2)));
  EXPECT_TRUE(ear.hear({"a", 9}, kStart + seconds(2)));
}

TEST(PulseEar, HearsThatNumbersAreMissing) {
  PulseEar ear(kStart);
  EXPECT_FALSE(ear.hear({"a", 1}, kLater));
  EXPECT_FALSE(ear.hear({"a", 2}, kLater));
  EXPECT_TRUE(ear.hear({"a", 4}, kLater));
  EXPECT_FALSE(ear.hear({"a", 5}, kLater));
  EXPECT_FALSE(ear.hear({"b", 1}, kLater)) << "a node that begins";
  EXPECT_TRUE(ear.hear({"c", 7}, kLater)) << "a node that was there before";
  EXPECT_FALSE(ear.hear({"c", 8}, kLater));
  EXPECT_TRUE(ear.hear({"c", 8}, kLater)) << "twice";
}

TEST(PulseEar, CountsTheNodesThatAreHeard) {
  PulseEar ear(kStart);
  EXPECT_EQ(ear.present(kStart), 0u);
  ear.hear({"a", 1}, kStart);
  ear.hear({"b", 1}, kStart + seconds(3));
  EXPECT_EQ(ear.present(kStart + seconds(5)), 2u);
  EXPECT_EQ(ear.present(kStart + seconds(6)), 1u);
}

TEST(PulseEar, ForgetsTheNodeThatWasSilentLongest) {
  PulseEar ear(kStart);
  for (std::size_t n = 0; n < PulseEar::kMaxNodes; ++n) ear.hear({std::to_string(n), 1}, kLater);
  EXPECT_FALSE(ear.hear({"0", 2}, kLater));
  EXPECT_FALSE(ear.hear({"new", 1}, kLater));
  EXPECT_FALSE(ear.hear({"0", 3}, kLater));
  EXPECT_TRUE(ear.hear({"1", 2}, kLater)) << "forgotten for the new one";
}

TEST(PulseVoice, SkipsANumberAfterAFailureButNotTooOften) {
  PulseVoice voice("a");
  const PulseVoice::Time start{};
  EXPECT_EQ(voice.next(false, start).number, 1u);
  EXPECT_FALSE(voice.skipped());
  EXPECT_EQ(voice.next(true, start + seconds(1)).number, 3u);
  EXPECT_TRUE(voice.skipped());
  EXPECT_EQ(voice.next(true, start + seconds(2)).number, 4u);
  EXPECT_FALSE(voice.skipped());
  EXPECT_EQ(voice.next(true, start + seconds(6)).number, 6u);
  EXPECT_TRUE(voice.skipped());
}

}  // namespace
}  // namespace countersign::bus

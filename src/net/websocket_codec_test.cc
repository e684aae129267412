// The WebSocket codec: the same events however the bytes are cut, and the same as Beast's.
#include "net/websocket_codec.h"

#include <random>

#include <gtest/gtest.h>

#include "net/frame_reading.h"
#include "net/net_test_support.h"

namespace countersign::net {
namespace {

constexpr std::size_t kMax = 1000;

TEST(IsValidUtf8, KnowsTheEdgesOfEachForm) {
  for (const char* good : {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
                           "12345678\xc3\xa4"
                           "1234567890"}) {
    EXPECT_TRUE(is_valid_utf8(good)) << testing::PrintToString(good);
  }
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41", "\xe0\x9f\xbf",
                          "\xed\xa0\x80", "\xed\xbf\xbf", "\xe1\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "12345678\xc3"}) {
    EXPECT_FALSE(is_valid_utf8(bad)) << testing::PrintToString(bad);
  }
  EXPECT_TRUE(is_valid_utf8(std::string_view("\0", 1)));
}

TEST(FrameDecoder, TakesMessagesOfExactlyTheLimit) {
  const std::string text(kMax, 'a');
  EXPECT_EQ(read_frames(masked_frame(Opcode::kText, text), {}, kMax).events.at(0), "text:" + text);
  EXPECT_TRUE(read_frames(masked_frame(Opcode::kText, text + "a"), {}, kMax).failed);
}

TEST(FrameDecoder, FailsOnceAndForAll) {
  FrameDecoder decoder(kMax);
  std::string bytes = masked_frame(Opcode::kBinary, "x") + masked_frame(Opcode::kText, "y");
  std::span<char> input(bytes);
  EXPECT_EQ(decoder.next(input), FrameDecoder::Event::kFailure);
  EXPECT_STREQ(decoder.failure(), "binary frame");
  EXPECT_EQ(decoder.next(input), FrameDecoder::Event::kFailure);
}

/// A few frames, mostly well-formed.
std::string some_frames(std::mt19937& random) {
  static const std::vector<std::string> texts = {"",
                                                 "a",
                                                 "hello",
                                                 "\xc3\xa4",
                                                 "\xe2\x82\xac",
                                                 std::string(125, 'b'),
                                                 std::string(126, 'c'),
                                                 std::string(600, 'd'),
                                                 "\xff",
                                                 "\xf0\x9f"};
  std::string bytes;
  const int count = static_cast<int>(random() % 5) + 1;
  bool open = false;
  for (int i = 0; i < count; ++i) {
    const auto& text = texts[random() % texts.size()];
    switch (random() % 8) {
      case 0:
        bytes += masked_frame(Opcode::kPing, text.substr(0, 125));
        break;
      case 1:
        bytes += masked_frame(Opcode::kPong, text.substr(0, 125));
        break;
      case 2:
        if (random() % 3 == 0) {
          bytes +=
              masked_frame(Opcode::kClose, random() % 2 == 0 ? "" : close_payload(1000, "bye"));
        }
        break;
      default: {
        const bool fin = random() % 3 != 0;
        bytes += masked_frame(open ? Opcode::kContinuation : Opcode::kText, text, fin);
        open = !fin;
      }
    }
  }
  if (random() % 3 == 0 && !bytes.empty()) {
    bytes[random() % bytes.size()] = static_cast<char>(random());
  }
  return bytes;
}

TEST(FrameDecoder, ReadsFramesAsBeastDoesAndHoweverTheyAreCut) {
  std::mt19937 random(2);
  int failures = 0;
  for (int round = 0; round < 10'000; ++round) {
    const std::string bytes = some_frames(random);
    const auto whole = read_frames(bytes, {}, kMax);
    const auto cut = read_frames(bytes, {random() % 40 + 1, random() % 3 + 1}, kMax);
    ASSERT_EQ(whole, cut) << testing::PrintToString(bytes);
    ASSERT_EQ(disagreement_with_beast(bytes, whole, kMax), "") << testing::PrintToString(bytes);
    failures += whole.failed ? 1 : 0;
  }
  EXPECT_GT(failures, 500);
  EXPECT_LT(failures, 9'000);
}

}  // namespace
}  // namespace countersign::net

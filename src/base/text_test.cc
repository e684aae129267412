// Encodings, Unicode and the log's JSON text.
#include <string>

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/random.h"
#include "base/secret_bytes.h"
#include "base/unicode.h"

namespace countersign::base {
namespace {

std::string json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(Base64url, DecodesOnlyWhatItEncodes) {
  const std::string text = "any carnal pleas";
  const auto encoded = base64url_encode(as_bytes(text));
  EXPECT_EQ(encoded, "YW55IGNhcm5hbCBwbGVhcw");
  const auto decoded = base64url_decode(encoded);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::string(decoded->begin(), decoded->end()), text);
  for (const auto* bad : {"YQ==", "YR", "Y", "Y+", "YQ ", " YQ", "YQ\n"}) {
    EXPECT_FALSE(base64url_decode(bad)) << bad;
  }
}

TEST(Sha256, MatchesThePublishedExample) {  // FIPS 180-4, "abc"
  EXPECT_EQ(hex_encode(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(HmacSha256, MatchesRfc4231Case2) {
  EXPECT_EQ(hex_encode(hmac_sha256(as_bytes("Jefe"), "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(EqualConstantTime, ComparesLengthsToo) {
  EXPECT_TRUE(equal_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_constant_time("abc", "ab"));
}

TEST(FoldKey, IsTheSameForEverySpellingOfAName) {
  EXPECT_EQ(fold_key("Zo\u00eb"), fold_key("ZOE\u0308"));
  EXPECT_EQ(fold_key("Stra\u00dfe"), fold_key("STRASSE"));
  EXPECT_NE(fold_key("ada"), fold_key("adb"));
}

TEST(FoldKey, RefusesWhatIsNotUtf8) {
  EXPECT_FALSE(fold_key("\xff"));
  EXPECT_FALSE(fold_key("\xed\xa0\x80"));
  EXPECT_FALSE(fold_key(std::string_view("a\0b", 3)));
}

TEST(CountCodePoints, CountsPointsNotBytes) {
  EXPECT_EQ(count_code_points("a\u00eb\U0001F600"), 3u);
  EXPECT_FALSE(count_code_points("\xc3"));
}

TEST(JsonText, EscapesWhatWouldBreakALogLine) {
  EXPECT_EQ(json("a\"\\\n\x01\x7f"), "\"a\\\"\\\\\\n\\u0001\\u007f\"");
  EXPECT_EQ(json("\u2028\u00eb"), "\"\\u2028\u00eb\"");
  EXPECT_EQ(json("\xff"), "\"\\ufffd\"");
}

TEST(LogLine, IsOneJsonObject) {
  EXPECT_EQ(format_log_line("T", LogLevel::kWarning, "door_shut",
                            {{"who", "a\nb"}, {"count", 3}, {"share", 0.5}, {"late", true}}),
            R"({"time":"T","level":"warning","event":"door_shut","who":"a\nb","count":3,)"
            R"("share":0.5,"late":true})");
}

TEST(Random, BelowStaysBelow) {
  SeededRandom random(1);
  for (int i = 0; i < 1000; ++i) EXPECT_LT(random.below(7), 7u);
}

TEST(Random, TokensOfTheSystemDiffer) {
  SystemRandom random;
  EXPECT_NE(random.token(32), random.token(32));
  EXPECT_EQ(random.token(32).size(), 43u);
}

TEST(Wipe, EmptiesTheText) {
  std::string text = "a password that is longer than any small buffer";
  const char* bytes = text.data();
  wipe(text);
  EXPECT_TRUE(text.empty());
  EXPECT_EQ(bytes[0], '\0');
  EXPECT_EQ(bytes[20], '\0');
}

}  // namespace
}  // namespace countersign::base

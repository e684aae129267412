#include "ticket/base64.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace countersign::base64 {
namespace {

TEST(Base64, EncodesTheVectorsOfRfc4648) {
  EXPECT_EQ(encode(Variant::kStandard, ""), "");
  EXPECT_EQ(encode(Variant::kStandard, "f"), "Zg==");
  EXPECT_EQ(encode(Variant::kStandard, "fo"), "Zm8=");
  EXPECT_EQ(encode(Variant::kStandard, "foo"), "Zm9v");
  EXPECT_EQ(encode(Variant::kStandard, "foob"), "Zm9vYg==");
  EXPECT_EQ(encode(Variant::kStandard, "foobar"), "Zm9vYmFy");
  EXPECT_EQ(encode(Variant::kUrlSafe, "foob"), "Zm9vYg");
  EXPECT_EQ(encode(Variant::kStandard, "\xfb\xff\xfe"), "+//+");
  EXPECT_EQ(encode(Variant::kUrlSafe, "\xfb\xff\xfe"), "-__-");
}

TEST(Base64, RefusesEverySpellingButTheCanonicalOne) {
  for (const char* text : {"Zg=", "Zg", "Zh==", "Zm9=", "Zm8", "Z===", "====", "=",
                           "Zg==Zg==", "Zm9v\n", " Zm9v", "Zm-v", "Zm_v", "Zm%v", "Zg==="}) {
    EXPECT_FALSE(decode(Variant::kStandard, text)) << text;
  }
  for (const char* text : {"Zg==", "Zh", "Zm9", "Z", "Zm+v", "Zm/v"}) {
    EXPECT_FALSE(decode(Variant::kUrlSafe, text)) << text;
  }
  EXPECT_FALSE(decode(Variant::kStandard, std::string_view("Zm9\0", 4)));
}

TEST(Base64, DecodingUndoesEncodingForAnyBytes) {
  EXPECT_TRUE(rc::check([](const std::string& data) {
    for (const Variant variant : {Variant::kStandard, Variant::kUrlSafe}) {
      const std::string text = encode(variant, data);
      RC_ASSERT(text.size() == encoded_size(variant, data.size()));
      RC_ASSERT(decode(variant, text) == data);
    }
  }));
}

// Long texts go through vector instructions where there are any, short ones through the tables:
// each character at each place must be judged alike.
TEST(Base64, JudgesEveryCharacterAtEveryPlaceOfALongText) {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t place = 0; place < 64; ++place) {
    for (int c = 0; c < 256; ++c) {
      std::string text(64, 'A');
      text[place] = static_cast<char>(c);
      const bool known = alphabet.find(static_cast<char>(c)) != std::string::npos;
      const bool padding = c == '=' && place == 63;
      const std::optional<std::string> data = decode(Variant::kStandard, text);
      ASSERT_EQ(data.has_value(), known || padding) << place << ' ' << c;
      if (data) {
        ASSERT_EQ(encode(Variant::kStandard, *data), text);
      }
    }
  }
}

TEST(Base64, AcceptsOnlyWhatTheEncoderWrites) {
  EXPECT_TRUE(rc::check([] {
    const std::string text =
        *rc::gen::container<std::string>(rc::gen::elementOf(std::string("ABCDabcdwxyz0189+/=-_")));
    for (const Variant variant : {Variant::kStandard, Variant::kUrlSafe}) {
      if (const auto data = decode(variant, text)) RC_ASSERT(encode(variant, *data) == text);
    }
  }));
}

}  // namespace
}  // namespace countersign::base64

#include "ticket/json_reader.h"

#include <functional>
#include <string>

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "ticket/json_writer.h"

namespace countersign {
namespace {

std::optional<ErrorCode> verdict(std::string_view text) {
  JsonDocument json;
  return json.parse(text);
}

constexpr auto kOk = std::optional<ErrorCode>{};

TEST(JsonReader, AcceptsEveryFormOfRfc8259) {
  for (const char* text :
       {"null", " true ", "false", "0", "-0", "1.5e+10", "-12.0E-3", "\"\"", "[]", "{}",
        "[1,2,[3]]", "{\"a\":{\"b\":[]},\"c\":null}", "\t\r\n {\"a\" : 1 , \"b\" : 2 } \n",
        R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00")",
        "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"", "\"\x7f\""}) {
    EXPECT_EQ(verdict(text), kOk) << text;
  }
}

TEST(JsonReader, RefusesWhatLenientReadersRepair) {
  for (const char* text : {"",
                           " ",
                           "nul",
                           "NaN",
                           "Infinity",
                           "+1",
                           "01",
                           "-",
                           "1.",
                           ".5",
                           "1e",
                           "1e+",
                           "0x10",
                           "'a'",
                           "{a:1}",
                           "[1,]",
                           "{\"a\":1,}",
                           "[,1]",
                           "{,}",
                           "[1 2]",
                           "{\"a\" 1}",
                           "{\"a\"}",
                           "{1:2}",
                           "[1}",
                           "{\"a\":1]",
                           "[",
                           "{",
                           "\"",
                           "\"a",
                           "\"\\\"",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\u12g4\"",
                           "// c\n1",
                           "/**/1",
                           "1 2",
                           "{}{}",
                           "truefalse",
                           "\"a\tb\"",
                           "\"a\nb\"",
                           "\xEF\xBB\xBF{}",
                           R"("\ud800")",
                           R"("\ud800x")",
                           R"("\ud800\u0041")",
                           R"("\udc00")",
                           R"("\ud800\ud800")"}) {
    EXPECT_EQ(verdict(text), ErrorCode::kBadJson) << text;
  }
  EXPECT_EQ(verdict(std::string_view("{}\0", 3)), ErrorCode::kBadJson);
  EXPECT_EQ(verdict(std::string_view("\"\0\"", 3)), ErrorCode::kBadJson);
}

TEST(JsonReader, RefusesIllFormedUtf8) {
  for (const char* text :
       {"\"\x80\"", "\"\xC0\xAF\"", "\"\xC1\xBF\"", "\"\xE0\x80\xAF\"", "\"\xE2\x82\"",
        "\"\xED\xA0\x80\"", "\"\xED\xBF\xBF\"", "\"\xF0\x80\x80\xAF\"", "\"\xF4\x90\x80\x80\"",
        "\"\xF5\x80\x80\x80\"", "\"\xFE\"", "\"\xFF\"", "\"\xC3\"", "\"\\n\xC3\"",
        "\"\\n\xED\xA0\x80\""}) {
    EXPECT_EQ(verdict(text), ErrorCode::kBadJson) << text;
  }
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(JsonReader, AcceptsThirtyTwoLevelsAndNoMore) {
  EXPECT_EQ(verdict(nested(32)), kOk);
  EXPECT_EQ(verdict(nested(33)), ErrorCode::kTooDeep);
  EXPECT_EQ(verdict(std::string(100000, '[')), ErrorCode::kTooDeep);
}

TEST(JsonReader, FindsDuplicatesAtEveryDepthAndBehindEscapes) {
  for (const char* text :
       {R"({"a":1,"a":1})", R"({"a":1,"\u0061":2})", R"([{"x":[{"b":1,"c":2,"b":3}]}])",
        R"({"":1,"":2})", R"({"/":1,"\/":2})"}) {
    EXPECT_EQ(verdict(text), ErrorCode::kDuplicateMember) << text;
  }
  EXPECT_EQ(verdict(R"({"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}],"A":1})"), kOk);
  EXPECT_EQ(verdict(R"({"a":1,"a":1)"), ErrorCode::kBadJson) << "syntax is judged first";
}

TEST(JsonReader, FindsOneDuplicateAmongAThousandMembers) {
  std::string text = "{";
  for (int i = 0; i < 1000; ++i) text += "\"m" + std::to_string(i) + "\":0,";
  EXPECT_EQ(verdict(text + "\"x\":0}"), kOk);
  EXPECT_EQ(verdict(text + "\"m500\":0}"), ErrorCode::kDuplicateMember);
}

TEST(JsonReader, KeepsNumbersAsText) {
  JsonDocument json;
  ASSERT_EQ(json.parse("[18446744073709551616,1.0,1e400,-0]"), kOk);
  EXPECT_EQ(json[1].text, "18446744073709551616");
  EXPECT_EQ(json[2].text, "1.0");
  EXPECT_EQ(json[3].text, "1e400");
  EXPECT_EQ(json[4].text, "-0");
}

// Walks our nodes and Boost's value side by side. Numbers are compared as text in the tests that
// generate them; here Boost, which converts them, can only say that there is one.
void expect_equal(const JsonDocument& ours, std::size_t& index, const boost::json::value& theirs) {
  const JsonNode& node = ours[index++];
  switch (node.type) {
    case JsonType::kNull:
      RC_ASSERT(theirs.is_null());
      return;
    case JsonType::kTrue:
      RC_ASSERT(theirs.is_bool() && theirs.as_bool());
      return;
    case JsonType::kFalse:
      RC_ASSERT(theirs.is_bool() && !theirs.as_bool());
      return;
    case JsonType::kNumber:
      RC_ASSERT(theirs.is_number());
      return;
    case JsonType::kString:
      RC_ASSERT(theirs.is_string());
      RC_ASSERT(node.text == std::string_view(theirs.as_string()));
      return;
    case JsonType::kArray:
      RC_ASSERT(theirs.is_array());
      for (const boost::json::value& element : theirs.as_array()) {
        expect_equal(ours, index, element);
      }
      RC_ASSERT(index == node.end);
      return;
    case JsonType::kObject:
      RC_ASSERT(theirs.is_object());
      for (const auto& member : theirs.as_object()) {
        RC_ASSERT(ours[index].name == std::string_view(member.key()));
        expect_equal(ours, index, member.value());
      }
      RC_ASSERT(index == node.end);
      return;
  }
}

// If we accept a text, Boost accepts it too and finds the same in it.
void expect_agreement(const std::string& text) {
  JsonDocument json;
  if (json.parse(text)) return;
  boost::json::error_code fault;
  const boost::json::value theirs = boost::json::parse(text, fault);
  RC_ASSERT(!fault);
  std::size_t index = 0;
  expect_equal(json, index, theirs);
  RC_ASSERT(index == json.size());
}

// Text of a random document: `numbers` collects the numbers in it as they are written.
rc::Gen<std::string> any_string() {
  return rc::gen::map(
      rc::gen::container<std::u32string>(
          rc::gen::weightedOneOf<char32_t>({{8, rc::gen::inRange<char32_t>(0x20, 0x7F)},
                                            {1, rc::gen::inRange<char32_t>(0, 0x20)},
                                            {2, rc::gen::inRange<char32_t>(0x80, 0xD800)},
                                            {1, rc::gen::inRange<char32_t>(0xE000, 0x110000)}})),
      [](const std::u32string& code_points) {
        std::string utf8;
        for (const char32_t c : code_points) {
          if (c < 0x80) {
            utf8 += static_cast<char>(c);
          } else if (c < 0x800) {
            utf8 += {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
          } else if (c < 0x10000) {
            utf8 += {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3F)),
                     static_cast<char>(0x80 | (c & 0x3F))};
          } else {
            utf8 +=
                {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3F)),
                 static_cast<char>(0x80 | (c >> 6 & 0x3F)), static_cast<char>(0x80 | (c & 0x3F))};
          }
        }
        return utf8;
      });
}

std::string quoted(const std::string& text) {
  std::string out(text.size() * kMaxEscapedPerByte, '\0');
  out.resize(static_cast<std::size_t>(write_json_text(text, out.data()) - out.data()));
  return '"' + out + '"';
}

std::string any_number() {
  std::string text = *rc::gen::arbitrary<bool>() ? "-" : "";
  text += std::to_string(*rc::gen::arbitrary<std::uint32_t>());
  if (*rc::gen::arbitrary<bool>()) {
    text += '.' + std::to_string(*rc::gen::arbitrary<std::uint16_t>());
  }
  if (*rc::gen::arbitrary<bool>()) text += "e-" + std::to_string(*rc::gen::inRange(0, 30));
  return text;
}

std::string any_document(int depth, std::vector<std::string>& numbers) {
  const std::string blank = *rc::gen::elementOf(std::vector<std::string>{"", "", "", " ", "\n\t"});
  switch (*rc::gen::inRange(0, depth > 0 ? 7 : 5)) {
    case 0:
      return blank + "null";
    case 1:
      return blank + "true";
    case 2:
      return blank + "false" + blank;
    case 3:
      numbers.push_back(any_number());
      return blank + numbers.back();
    case 4:
      return blank + quoted(*any_string());
    case 5: {
      std::string text = "[";
      const int count = *rc::gen::inRange(0, 4);
      for (int i = 0; i < count; ++i) text += (i ? "," : "") + any_document(depth - 1, numbers);
      return text + blank + "]";
    }
    default: {
      std::string text = "{";
      const int count = *rc::gen::inRange(0, 12);
      for (int i = 0; i < count; ++i) {
        text += (i ? "," : "") + blank + quoted(std::to_string(i) + *any_string()) + blank + ":" +
                any_document(depth - 1, numbers);
      }
      return text + blank + "}";
    }
  }
}

TEST(JsonReader, AgreesWithBoostOnGeneratedDocuments) {
  EXPECT_TRUE(rc::check([] {
    std::vector<std::string> numbers;
    const std::string text = any_document(4, numbers);
    JsonDocument json;
    RC_ASSERT(!json.parse(text));
    std::vector<std::string> read;
    for (const JsonNode& node : json) {
      if (node.type == JsonType::kNumber) read.emplace_back(node.text);
    }
    RC_ASSERT(read == numbers);
    expect_agreement(text);
  }));
}

TEST(JsonReader, AgreesWithBoostOnDamagedDocuments) {
  EXPECT_TRUE(rc::check([] {
    std::vector<std::string> numbers;
    std::string text = any_document(3, numbers);
    const int faults = *rc::gen::inRange(1, 4);
    for (int i = 0; i < faults && !text.empty(); ++i) {
      const auto place = *rc::gen::inRange<std::size_t>(0, text.size());
      switch (*rc::gen::inRange(0, 3)) {
        case 0:
          text.erase(place, 1);
          break;
        case 1:
          text[place] = *rc::gen::arbitrary<char>();
          break;
        default:
          text.insert(place, 1, *rc::gen::elementOf(std::string("{}[]\",:\\u0n1eE.+- \xC3")));
      }
    }
    expect_agreement(text);
  }));
}

TEST(JsonReader, AgreesWithBoostOnSoupOfTokens) {
  EXPECT_TRUE(rc::check([] {
    const auto tokens =
        *rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(std::vector<std::string>{
            "{", "}", "[", "]", ":", ",",    "\"a\"", "\"\\ud800", "\"",       "\\",
            "1", "-", "0", ".", "e", "true", "null",  " ",         "\xC3\xA9", "\xED"}));
    std::string text;
    for (const std::string& token : tokens) text += token;
    expect_agreement(text);
  }));
}

}  // namespace
}  // namespace countersign

#include "web/form_body.h"

#include <map>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/json_text.h"
#include "base/unicode.h"
#include "web/testing/request_builder.h"

namespace countersign::web {
namespace {

std::string percent_encode(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4U];
    out += kDigits[byte & 15U];
  }
  return out;
}

/// Text as people and programs type it: valid UTF-8 without U+0000.
rc::Gen<std::string> text_without_nul() {
  return rc::gen::container<std::string>(
      rc::gen::map(rc::gen::inRange(1, 128), [](int c) { return static_cast<char>(c); }));
}

TEST(FormBody, DecodesWhatBrowsersSend) {
  const auto fields = decode_form("username=J%C3%BCrgen&password=a+b%2Bc%26&note=");
  ASSERT_TRUE(fields.ok());
  EXPECT_EQ(fields->get("username"), "J\u00fcrgen");
  EXPECT_EQ(fields->get("password"), "a b+c&");
  EXPECT_TRUE(fields->has("note"));
  EXPECT_EQ(fields->get("note"), "");
  EXPECT_FALSE(fields->has("email"));
}

TEST(FormBody, RefusesWhatBrowsersNeverSend) {
  for (const std::string_view body : {"a=1&a=2", "a=%", "a=%4", "a=%zz", "a=%ff", "a=%00", "a",
                                      "=1", "&a=1", "a=1&", "a=1&&b=2", "%61=1&a=2", "a=\xff"}) {
    EXPECT_EQ(decode_form(body).code(), ErrorCode::kBadRequest) << body;
  }
}

TEST(FormBody, BoundsTheNumberOfFields) {
  std::string body;
  for (std::size_t i = 0; i < kMaxFields; ++i) body += "f" + std::to_string(i) + "=x&";
  EXPECT_TRUE(decode_form(body.substr(0, body.size() - 1)).ok());
  EXPECT_EQ(decode_form(body + "last=x").code(), ErrorCode::kBadRequest);
}

TEST(FormBody, DecodingUndoesEncodingForEveryText) {
  EXPECT_TRUE(rc::check("decode(encode(fields)) == fields", [] {
    const auto name = *rc::gen::nonEmpty(text_without_nul());
    const auto value = *text_without_nul();
    const auto decoded = decode_form(percent_encode(name) + "=" + percent_encode(value));
    RC_ASSERT(decoded.ok());
    RC_ASSERT(decoded->get(name) == value);
  }));
}

TEST(FormBody, AcceptsOnlyTextFromAnyBytes) {
  EXPECT_TRUE(rc::check("whatever is accepted is UTF-8 without NUL and names no field twice",
                        [](const std::string& bytes) {
                          const auto decoded = decode_form(bytes);
                          if (!decoded.ok()) return;
                          std::map<std::string, int> seen;
                          for (const Fields::Field& field : decoded->all()) {
                            RC_ASSERT(++seen[field.name] == 1);
                            RC_ASSERT(base::count_code_points(field.value).has_value());
                            RC_ASSERT(field.value.find('\0') == std::string::npos);
                          }
                        }));
}

TEST(JsonBody, DecodesOneFlatObjectOfStrings) {
  const auto fields = decode_json_fields(" {\"username\":\"al\\u0069ce\",\"password\":\"\"} \n");
  ASSERT_TRUE(fields.ok());
  EXPECT_EQ(fields->get("username"), "alice");
  EXPECT_TRUE(fields->has("password"));
  EXPECT_TRUE(decode_json_fields("{}").ok());
}

TEST(JsonBody, RefusesEverythingElse) {
  for (const std::string_view body : {"",
                                      " ",
                                      "[]",
                                      "\"x\"",
                                      "1",
                                      "null",
                                      "{",
                                      "{}{}",
                                      "{} x",
                                      "{\"a\":1}",
                                      "{\"a\":true}",
                                      "{\"a\":null}",
                                      "{\"a\":{}}",
                                      "{\"a\":[\"b\"]}",
                                      "{\"a\":\"1\",\"a\":\"2\"}",
                                      "{\"a\":\"1\",\"\\u0061\":\"2\"}",
                                      "{\"a\":\"\\u0000\"}",
                                      "{\"a\":\"\\ud800\"}",
                                      "{\"a\":\"\xff\"}",
                                      "{\"a\":\"b\",}",
                                      "{/**/}",
                                      "\xef\xbb\xbf{}"}) {
    EXPECT_EQ(decode_json_fields(body).code(), ErrorCode::kBadRequest) << body;
  }
}

TEST(JsonBody, DecodingUndoesWritingForEveryText) {
  EXPECT_TRUE(rc::check("decode(write(text)) == text", [] {
    const auto value = *text_without_nul();
    std::string body = "{\"v\":";
    base::append_json_string(body, value);
    body += '}';
    const auto decoded = decode_json_fields(body);
    RC_ASSERT(decoded.ok());
    RC_ASSERT(decoded->get("v") == value);
  }));
}

TEST(BodyType, TakesTwoTypesAndNoOther) {
  const std::pair<std::string_view, std::optional<BodyType>> rows[] = {
      {"application/json", BodyType::kJson},
      {"Application/JSON; charset=UTF-8", BodyType::kJson},
      {"application/x-www-form-urlencoded;charset=utf-8", BodyType::kForm},
      {"application/json; charset=utf-16", std::nullopt},
      {"application/json-patch+json", std::nullopt},
      {"text/plain", std::nullopt},
      {"multipart/form-data; boundary=x", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& [type, expected] : rows) {
    RequestBuilder builder("POST", "/users/sign_in");
    builder.body(type, "{}");
    const Result<BodyType> found = body_type(builder.request());
    if (expected) {
      EXPECT_EQ(*found, *expected) << type;
    } else {
      EXPECT_EQ(found.code(), ErrorCode::kUnsupportedMediaType) << type;
    }
  }
}

TEST(BodyType, WantsTheHeaderOnceForABodyAndNotWithoutOne) {
  RequestBuilder none("POST", "/v1/tickets");
  EXPECT_EQ(*body_type(none.request()), BodyType::kNone);

  RequestBuilder twice("POST", "/v1/tickets");
  twice.json("{}").header("content-type", "application/json");
  EXPECT_EQ(body_type(twice.request()).code(), ErrorCode::kUnsupportedMediaType);
}

}  // namespace
}  // namespace countersign::web

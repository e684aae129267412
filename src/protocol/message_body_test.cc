// Bodies of messages: what they become, and which refusal is which.
#include <string>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "protocol/command_test_support.h"

namespace countersign::protocol {
namespace {

constexpr auto kMalformed = ErrorCode::kBadRequest;
constexpr auto kTooMany = ErrorCode::kLimitExceeded;
constexpr auto kTooLong = ErrorCode::kMessageTooLarge;

// A `send` with these members.
std::string send_of(std::string_view members) {
  return std::string(R"({"msg_id":"m","conv":"c-1",)").append(members).append("}");
}

std::string body_of(std::string_view members) {
  return read_as<Send>("send", send_of(members)).body;
}

void expect_refused_body(std::string_view members, ErrorCode code) {
  expect_body_refused("send", send_of(members), code);
}

std::string headers(std::size_t count, std::size_t value_bytes) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    out.append(i == 0 ? "" : ",").append("\"h").append(std::to_string(i)).append("\":\"");
    out.append(value_bytes, 'v').append("\"");
  }
  return R"("text":"t","headers":{)" + out + "}";
}

TEST(MessageBody, IsWrittenInOneOrderWithoutWhatIsEmpty) {
  EXPECT_EQ(
      body_of(R"("attachments":[{"size":5,"url":"https://a/b","type":"image/png","name":"b"}],)"
              R"("headers":{"b":"2","a":""},"text":"hi")"),
      R"("text":"hi","headers":{"a":"","b":"2"},)"
      R"("attachments":[{"url":"https://a/b","name":"b","type":"image/png","size":5}])");
  EXPECT_EQ(body_of(R"("text":"hi","headers":{},"attachments":[])"), R"("text":"hi")");
  EXPECT_EQ(body_of(R"("text":"","attachments":[{"url":"http://a"}])"),
            R"("attachments":[{"url":"http://a"}])");
}

TEST(MessageBody, KeepsAnyTextButUPlus0000AsItIs) {
  EXPECT_EQ(body_of(R"("text":"a\u0001\r\n\t\ud83d\ude00\u0065\u0301 \u2028\/")"),
            "\"text\":\"a\\u0001\\u000d\\n\\u0009\xF0\x9F\x98\x80"
            "e\xCC\x81 \\u2028/\"");
  expect_refused_body(R"("text":"a\u0000b")", kMalformed);
  expect_refused_body(R"("text":"a\ud800b")", kMalformed);
}

TEST(MessageBody, NeedsATextOrAnAttachment) {
  for (const std::string_view members :
       {R"("x":1)", R"("text":"")", R"("headers":{"a":"b"})", R"("text":"","attachments":[])"}) {
    expect_refused_body(members, kMalformed);
  }
}

TEST(MessageBody, BoundsTheTextInBytes) {
  const auto text = [](std::size_t bytes) {
    return R"("text":")" + std::string(bytes, 'x') + "\"";
  };
  EXPECT_EQ(body_of(text(kMaxTextBytes)).size(), kMaxTextBytes + 9);
  expect_refused_body(text(kMaxTextBytes + 1), kTooLong);
  expect_refused_body(text(64 * 1024 + 1), kTooLong);
  for (const std::string_view foreign : {"1", "null", "[]", "{}", "false"}) {
    expect_refused_body(R"("text":)" + std::string(foreign), kMalformed);
  }
}

TEST(MessageBody, BoundsTheWholeAsItIsWritten) {
  // 20,000 line feeds are 20,000 bytes of text and 40,000 bytes of JSON; 25,000 are 50,000.
  const auto feeds = [](std::size_t count) {
    std::string out = R"("text":")";
    for (std::size_t i = 0; i < count; ++i) out += "\\n";
    return out + "\"";
  };
  EXPECT_EQ(body_of(feeds(20'000)).size(), 40'009U);
  expect_refused_body(feeds(25'000), kTooLong);
}

TEST(MessageBody, BoundsHeaders) {
  EXPECT_FALSE(body_of(headers(32, 100)).empty());
  expect_refused_body(headers(33, 1), kTooMany);
  expect_refused_body(headers(10'000, 1), kTooMany);
  EXPECT_FALSE(body_of(headers(1, 1024)).empty());
  expect_refused_body(headers(1, 1025), kTooLong);
  EXPECT_FALSE(body_of(headers(4, 1022)).empty());  // 4 x (2 + 1022) = 4096
  expect_refused_body(headers(4, 1023), kTooLong);
  const auto named = [](const std::string& name) {
    return R"("text":"t","headers":{")" + name + R"(":"v"})";
  };
  std::string longest;
  for (std::size_t i = 0; i < kMaxHeaderNameCharacters; ++i) longest += "\xC3\xA9";
  EXPECT_FALSE(body_of(named(longest)).empty());
  expect_refused_body(named(longest + "x"), kTooLong);
  expect_refused_body(named(""), kMalformed);
}

TEST(MessageBody, RefusesHeadersWithControlCharactersOrOtherTypes) {
  for (const std::string_view given : {
           R"({"a\nb":"v"})",
           R"({"a":"v\r\nb: w"})",
           R"({"a":"\u001b[2J"})",
           R"({"a":"\u007f"})",
           R"({"a":"\u0080"})",
           R"({"a\u009f":"v"})",
           R"({"a":"\u0000"})",
           R"({"a":1})",
           R"({"a":null})",
           R"({"a":{"b":"c"}})",
           R"({"a":["b"]})",
           R"({"a":"b","a":"b"})",
           R"({"a":"b","\u0061":"b"})",
           R"([])",
           R"("a: b")",
           R"(null)",
       }) {
    expect_refused_body(R"("text":"t","headers":)" + std::string(given), kMalformed);
  }
  EXPECT_EQ(body_of("\"text\":\"t\",\"headers\":{\"a\":\"\xC2\xA0\"}"),
            "\"text\":\"t\",\"headers\":{\"a\":\"\xC2\xA0\"}");
}

TEST(MessageBody, BoundsAttachments) {
  const auto of = [](std::size_t count) {
    std::string list;
    for (std::size_t i = 0; i < count; ++i)
      list += (i == 0 ? "" : ",") + std::string(R"({"url":"https://a/"})");
    return R"("attachments":[)" + list + "]";
  };
  EXPECT_FALSE(body_of(of(10)).empty());
  expect_refused_body(of(11), kTooMany);
  const auto with = [](std::string_view member, std::size_t bytes, std::string_view prefix = "") {
    return R"("attachments":[{)" + std::string(member == "url" ? "" : R"("url":"https://a/",)") +
           "\"" + std::string(member) + "\":\"" + std::string(prefix) +
           std::string(bytes - prefix.size(), 'x') + "\"}]";
  };
  EXPECT_FALSE(body_of(with("url", kMaxUrlBytes, "https://a/")).empty());
  expect_refused_body(with("url", kMaxUrlBytes + 1, "https://a/"), kTooLong);
  EXPECT_FALSE(body_of(with("name", kMaxAttachmentNameBytes)).empty());
  expect_refused_body(with("name", kMaxAttachmentNameBytes + 1), kTooLong);
  EXPECT_FALSE(body_of(with("type", kMaxAttachmentTypeBytes)).empty());
  expect_refused_body(with("type", kMaxAttachmentTypeBytes + 1), kTooLong);
}

TEST(MessageBody, RefusesAttachmentsThatDoNotFollowTheRules) {
  for (const std::string_view given : {
           R"({})",
           R"([1])",
           R"([{}])",
           R"([{"name":"n"}])",
           R"([{"url":""}])",
           R"([{"url":7}])",
           R"([{"url":"javascript:alert"}])",
           R"([{"url":"data:text/html,x"}])",
           R"([{"url":"ftp://a/"}])",
           R"([{"url":"//a/"}])",
           R"([{"url":"https://"}])",
           R"([{"url":"https:///etc/passwd"}])",
           R"([{"url":"https://?q"}])",
           R"([{"url":"https://a/ b"}])",
           R"([{"url":"https://a/\u0009"}])",
           R"([{"url":"https://ä/"}])",
           R"([{"url":"https://a/","name":""}])",
           R"([{"url":"https://a/","name":"a\nb"}])",
           R"([{"url":"https://a/","type":"text/plain\u0000"}])",
           R"([{"url":"https://a/","size":-1}])",
           R"([{"url":"https://a/","size":1.5}])",
           R"([{"url":"https://a/","size":9007199254740992}])",
           R"([{"url":"https://a/","size":"5"}])",
           R"([{"url":"https://a/","url":"https://b/"}])",
       }) {
    expect_refused_body(R"("attachments":)" + std::string(given), kMalformed);
  }
  EXPECT_EQ(body_of(R"("attachments":[{"url":"https://a/","name":"Cafe\u0301","size":0}])"),
            "\"attachments\":[{\"url\":\"https://a/\",\"name\":\"Caf\xC3\xA9\",\"size\":0}]");
}

TEST(MessageBody, IsTheInsideOfAJsonObjectWhateverTheTextHolds) {
  std::string text;
  for (int c = 1; c < 0x20; ++c) {
    text += "\\u00";
    text += "0123456789abcdef"[c >> 4];
    text += "0123456789abcdef"[c & 15];
  }
  const std::string body = body_of(R"("text":"\"},{\"\\)" + text + "\"");
  EXPECT_EQ(body.find('\n'), std::string::npos);
  boost::json::error_code error;
  const auto value = boost::json::parse("{" + body + "}", error);
  ASSERT_FALSE(error);
  EXPECT_EQ(value.as_object().size(), 1U);
}

}  // namespace
}  // namespace countersign::protocol

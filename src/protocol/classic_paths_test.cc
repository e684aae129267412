#include "protocol/classic_paths.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace countersign::protocol {
namespace {

std::string percent(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

template <class T>
T read(std::string_view path) {
  const auto request = parse_classic_path(path);
  EXPECT_TRUE(request) << path;
  return request ? std::get<T>(*request) : T();
}

ErrorCode refusal(std::string_view path) {
  const auto request = parse_classic_path(path);
  return request ? ErrorCode::kInternal : request.code();
}

TEST(ClassicPaths, ReadsWhatTheSdkSends) {
  read<ClassicTime>("/time/0");
  const auto start = read<ClassicSubscribe>("/subscribe/sub-c-i1-abc/b-1%2Ct-2/0/0");
  EXPECT_EQ(start, (ClassicSubscribe{"sub-c-i1-abc", {"b-1", "t-2"}, 0}));
  EXPECT_EQ(read<ClassicSubscribe>("/subscribe/s/c/0/10000000000000042").timetoken,
            kTimetokenBase + 42);
  const auto sent = read<ClassicPublish>(
      "/publish/pub/sub/0/t-2/0/%2210%20s%20-%200%201%20aa%2Fb%2Bc%3D%20c-x%22");
  EXPECT_EQ(sent, (ClassicPublish{"pub", "sub", "t-2", "10 s - 0 1 aa/b+c= c-x"}));
  EXPECT_EQ(read<ClassicLeave>("/v2/presence/sub_key/sub/channel/b%2Ct/leave"),
            (ClassicLeave{"sub", {"b", "t"}}));
}

TEST(ClassicPaths, SplitsBeforeItDecodes) {
  EXPECT_EQ(read<ClassicPublish>("/publish/p/s/0/c/0/%22a%2F0%2Fb%22").message, "a/0/b");
  EXPECT_EQ(refusal("/publish/p/s/0/c/0/%22a/b%22"), ErrorCode::kNotFound);
}

TEST(ClassicPaths, RefusesKeysAndChannelsThatCannotBe) {
  for (const char* path : {"/subscribe/s/c*/0/0",
                           "/subscribe/s/%2A/0/0",
                           "/subscribe/s/b-pnpres/0/0",
                           "/subscribe/s/a%2C%2Cb/0/0",
                           "/subscribe/s/%2C/0/0",
                           "/subscribe/s//0/0",
                           "/subscribe//c/0/0",
                           "/subscribe/s/a%20b/0/0",
                           "/subscribe/s/a%00/0/0",
                           "/subscribe/s/a%2/0/0",
                           "/subscribe/s/a%zz/0/0",
                           "/subscribe/s/c/0/-1",
                           "/subscribe/s/c/0/01",
                           "/subscribe/s/c/0/",
                           "/subscribe/s/c/0/99999999999999999999",
                           "/subscribe/s/c/0/1e9",
                           "/publish/p/s/0/c/0/10",
                           "/publish/p/s/0/c/0/%22a",
                           "/publish/p/s/0/c/0/%7B%7D",
                           "/publish/p/s/0/c/0/%22%5Cu0000%22",
                           "/publish/p/s/0/a%2Cb/0/%22a%22",
                           "/v2/presence/sub_key/s/channel/*/leave"}) {
    EXPECT_EQ(refusal(path), ErrorCode::kBadRequest) << path;
  }
  EXPECT_EQ(refusal("/subscribe/s/" + std::string(kMaxClassicNameBytes + 1, 'a') + "/0/0"),
            ErrorCode::kBadRequest);
  EXPECT_EQ(refusal("/subscribe/s/a,b,c,d,e,f,g,h,i,j,k/0/0"), ErrorCode::kBadRequest);
}

TEST(ClassicPaths, KnowsWhatIsNotOfThePlane) {
  for (const char* path :
       {"/", "", "/timer/0", "/time", "/time/1", "/subscribe/s/c/1/0", "/subscribe/s/c/0",
        "/v2/presence/sub_key/s/channel/c/heartbeat", "/v1/publish", "time/0"}) {
    EXPECT_EQ(refusal(path), ErrorCode::kNotFound) << path;
  }
  EXPECT_TRUE(is_classic_plane("/publish/whatever"));
  EXPECT_FALSE(is_classic_plane("/published"));
}

TEST(ClassicPaths, RefusesPathsThatAreTooLong) {
  const std::string frame(10'000, 'a');
  EXPECT_EQ(refusal("/publish/p/s/0/c/0/%22" + frame + "%22"), ErrorCode::kMessageTooLarge);
  EXPECT_EQ(read<ClassicPublish>("/publish/p/s/0/c/0/%22" + frame.substr(0, 4'000) + "%22")
                .message.size(),
            4'000u);
}

TEST(ClassicPaths, ReadsAnyMessageThatIsEncoded) {
  EXPECT_TRUE(rc::check([] {
    const auto text = *rc::gen::container<std::string>(rc::gen::inRange<char>(' ', '~'));
    RC_PRE(text.find_first_of("\"\\") == std::string::npos && text.size() < 1'000);
    const auto request = parse_classic_path("/publish/p/s/0/c/0/" + percent('"' + text + '"'));
    RC_ASSERT(request.ok());
    RC_ASSERT(std::get<ClassicPublish>(*request).message == text);
  }));
}

TEST(ClassicPaths, AnyBytesAreARequestOrARefusal) {
  EXPECT_TRUE(rc::check([](const std::string& bytes) {
    for (const char* head : {"", "/subscribe/", "/publish/p/s/0/c/0/", "/subscribe/s/"}) {
      const auto request = parse_classic_path(head + bytes);
      if (request) continue;
      RC_ASSERT(request.code() == ErrorCode::kBadRequest ||
                request.code() == ErrorCode::kNotFound ||
                request.code() == ErrorCode::kMessageTooLarge);
    }
  }));
}

TEST(ClassicPaths, AnswersInTheFormsTheSdkTakes) {
  EXPECT_EQ(encode_poll_answer({}, kTimetokenBase), "[[],\"10000000000000000\"]");
  EXPECT_EQ(encode_poll_answer({{"t", "10 a"}, {"b", "x\"y"}}, 5),
            "[[\"10 a\",\"x\\\"y\"],\"5\",\"t,b\"]");
  EXPECT_EQ(encode_sent_answer(7), "[1,\"Sent\",\"7\"]");
  EXPECT_EQ(encode_time_answer(kTimetokenBase), "[10000000000000000]");
  EXPECT_EQ(encode_plane_error(403, "a \"b\"", "Access"),
            "{\"error\":true,\"status\":403,\"message\":\"a \\\"b\\\"\",\"service\":\"Access\"}");
}

}  // namespace
}  // namespace countersign::protocol

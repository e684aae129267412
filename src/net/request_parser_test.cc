// The request parser: the same outcome however the bytes are cut, and the same reading as Beast's.
#include "net/request_parser.h"

#include <random>

#include <gtest/gtest.h>

#include "net/request_reading.h"

namespace countersign::net {
namespace {

constexpr std::size_t kMaxHeader = 2048;
constexpr std::size_t kMaxBody = 1000;

const std::vector<std::string>& seeds() {
  static const std::vector<std::string> all = {
      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /a/b?c=d&e HTTP/1.1\r\nHost: localhost:8080\r\nCookie: a=b; c=d\r\nAccept: */*\r\n\r\n",
      "\r\n\r\nHEAD /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
      "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close, x\r\n\r\n",
      "GET http://a/b HTTP/1.1\r\nHost: A\r\n\r\n",
      "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /",
      "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
      "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\nmore",
      "POST /p HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n"
      "1;a=b\r\nx\r\n000\r\nt: u\r\nv: w\r\n\r\n",
      "PUT /p HTTP/1.1\r\nHost:a\r\nExpect: 100-Continue\r\nX:\t y \t\r\nContent-Length: "
      "2\r\n\r\nok",
      "GET / HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\xff\r\nConnection: Upgrade\r\nUpgrade: "
      "websocket\r\n\r\n",
  };
  return all;
}

TEST(RequestParser, ReadsWhatIsThere) {
  const auto read = read_request(seeds()[1], {}, kMaxHeader, kMaxBody);
  ASSERT_EQ(read.progress, RequestParser::Progress::kDone);
  EXPECT_EQ(read.method, "GET");
  EXPECT_EQ(read.target, "/a/b?c=d&e");
  EXPECT_EQ(read.path, "/a/b");
  EXPECT_EQ(read.query, "c=d&e");
  ASSERT_EQ(read.fields.size(), 3u);
  EXPECT_EQ(read.fields[1].first, "cookie");
  EXPECT_EQ(read.fields[1].second, "a=b; c=d");
  EXPECT_TRUE(read.keep_alive);
}

TEST(RequestParser, CutsAbsoluteTargetsToTheirPath) {
  const auto read = read_request(seeds()[4], {}, kMaxHeader, kMaxBody);
  EXPECT_EQ(read.target, "/b");
}

TEST(RequestParser, JoinsChunksAndLeavesTheNextRequestAlone) {
  const auto read = read_request(seeds()[7], {}, kMaxHeader, kMaxBody);
  EXPECT_EQ(read.body, "hello0123456789abcdef");
  EXPECT_EQ(read.used, seeds()[7].size() - 4);
}

TEST(RequestParser, AcceptsAHeadOfExactlyTheLimit) {
  std::string request = "GET / HTTP/1.1\r\nHost: a\r\nx: ";
  request += std::string(kMaxHeader - request.size() - 4, 'y') + "\r\n\r\n";
  ASSERT_EQ(request.size(), kMaxHeader);
  EXPECT_EQ(read_request(request, {}, kMaxHeader, kMaxBody).progress,
            RequestParser::Progress::kDone);
  request.insert(request.size() - 4, "y");
  const auto longer = read_request(request, {}, kMaxHeader, kMaxBody);
  EXPECT_EQ(longer.progress, RequestParser::Progress::kFailed);
  EXPECT_EQ(longer.error, ErrorCode::kHeadersTooLarge);
}

TEST(RequestParser, ReadsTheSameHoweverTheBytesAreCut) {
  for (const auto& seed : seeds()) {
    const auto whole = read_request(seed, {}, kMaxHeader, kMaxBody);
    EXPECT_EQ(whole.progress, RequestParser::Progress::kDone) << seed;
    for (std::size_t cut = 1; cut < seed.size(); ++cut) {
      EXPECT_EQ(read_request(seed, {cut}, kMaxHeader, kMaxBody), whole) << seed << " at " << cut;
    }
    EXPECT_EQ(read_request(seed, {1, 1, 1, 1, 1}, kMaxHeader, kMaxBody), whole);
  }
}

/// Changes a request here and there; some results stay valid.
std::string mutate(std::string text, std::mt19937& random) {
  static constexpr char kSpiceText[] = "\r\n :\t;,0a9\0\xff\x7f#/*%";
  static constexpr std::string_view kSpice(kSpiceText, sizeof kSpiceText - 1);
  const int changes = static_cast<int>(random() % 3);
  for (int i = 0; i < changes && !text.empty(); ++i) {
    const std::size_t at = random() % text.size();
    const char spice = kSpice[random() % kSpice.size()];
    switch (random() % 4) {
      case 0:
        text[at] = spice;
        break;
      case 1:
        text.insert(at, 1, spice);
        break;
      case 2:
        text.erase(at, 1);
        break;
      default:
        text.insert(at, text.substr(at, random() % 20));
        break;
    }
  }
  return text;
}

TEST(RequestParser, ReadsMutatedRequestsAsBeastDoesAndHoweverTheyAreCut) {
  std::mt19937 random(1);
  int accepted = 0;
  for (int round = 0; round < 100'000; ++round) {
    const std::string bytes = mutate(seeds()[random() % seeds().size()], random);
    const auto read = read_request(bytes, {}, kMaxHeader, kMaxBody);
    const auto cut =
        read_request(bytes, {random() % 30 + 1, random() % 5 + 1}, kMaxHeader, kMaxBody);
    ASSERT_EQ(read, cut) << testing::PrintToString(bytes);
    ASSERT_EQ(disagreement_with_beast(bytes, read), "") << testing::PrintToString(bytes);
    accepted += read.progress == RequestParser::Progress::kDone ? 1 : 0;
  }
  EXPECT_GT(accepted, 30'000);
}

}  // namespace
}  // namespace countersign::net

// HTTP over real sockets: what is served, and what every kind of bad input is answered.
#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/net_test_support.h"

namespace countersign::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const std::string kGetEcho = "GET /echo?a=b HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST(HttpSession, AnswersARequestAndKeepsTheConnection) {
  TestServer server;
  auto client = server.connect();
  for (int i = 0; i < 3; ++i) {
    client.send(kGetEcho);
    const auto response = client.read_response();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "GET\n/echo\na=b\n\n127.0.0.1\nplain\n");
    EXPECT_EQ(response.headers.at("content-type"), "text/plain");
    EXPECT_EQ(response.headers.at("x-request-id").size(), 16u);
    EXPECT_THAT(response.headers.at("date"), testing::EndsWith(" GMT"));
    EXPECT_FALSE(response.headers.contains("connection"));
  }
}

TEST(HttpSession, GivesEveryRequestItsOwnId) {
  TestServer server;
  auto client = server.connect();
  const auto first = client.get("/echo").headers.at("x-request-id");
  const auto second = client.get("/echo").headers.at("x-request-id");
  EXPECT_NE(first, second);
}

TEST(HttpSession, AnswersPipelinedRequestsInOrder) {
  TestServer server;
  auto client = server.connect();
  std::string requests;
  for (int i = 0; i < 50; ++i) {
    requests += "POST /echo?" + std::to_string(i) +
                " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    requests += "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nwxyz";
  }
  client.send(requests);
  for (int i = 0; i < 50; ++i) {
    EXPECT_THAT(client.read_response().body, HasSubstr("\n" + std::to_string(i) + "\nabc\n"));
    EXPECT_THAT(client.read_response().body, HasSubstr("\nwxyz\n"));
  }
}

TEST(HttpSession, OneClientThatPipelinesWithoutEndDoesNotKeepTheShardToItself) {
  constexpr int kRequests = 20'000;
  ServerOptions options = quick_options();
  options.shards = 1;
  TestServer server(options);
  auto greedy = server.connect();
  auto modest = server.connect();
  ASSERT_EQ(modest.get("/echo").status, 200);
  std::string batch;
  for (int i = 0; i < 100; ++i) batch += kGetEcho;
  std::thread sender([&] {
    for (int i = 0; i < kRequests / 100; ++i) greedy.send(batch);
  });
  std::atomic<int> answered = 0;
  std::thread reader([&] {
    for (; answered < kRequests; ++answered) greedy.read_response();
  });
  while (answered < 200) std::this_thread::yield();
  EXPECT_EQ(modest.get("/echo").status, 200);
  EXPECT_LT(answered, kRequests);
  sender.join();
  reader.join();
}

TEST(HttpSession, ReadsRequestsThatComeByteByByte) {
  TestServer server;
  auto client = server.connect();
  const std::string request =
      "\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2;x=y\r\nab\r\n1\r\nc\r\n0\r\ntrailer: 1\r\n\r\n";
  for (const char c : request) client.send(std::string_view(&c, 1));
  EXPECT_THAT(client.read_response().body, HasSubstr("\nabc\n"));
}

TEST(HttpSession, AnswersHeadWithoutABody) {
  TestServer server;
  auto client = server.connect();
  client.send("HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto response = client.read_response(true);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.at("content-length"), "29");
  EXPECT_EQ(client.get("/echo").status, 200);
}

TEST(HttpSession, SendsLargeBodiesWhole) {
  TestServer server;
  auto client = server.connect();
  EXPECT_EQ(client.get("/large").body, std::string(300'000, 'L'));
  EXPECT_EQ(client.get("/echo").status, 200);
}

TEST(HttpSession, SaysContinueWhenTheClientWaitsForIt) {
  TestServer server;
  auto client = server.connect();
  client.send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(client.read_response().status, 100);
  client.send("abc");
  EXPECT_THAT(client.read_response().body, HasSubstr("\nabc\n"));
}

TEST(HttpSession, DoesNotSayContinueToABodyItWillNotTake) {
  TestServer server;
  auto client = server.connect();
  client.send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_EQ(client.read_response().status, 413);
}

TEST(HttpSession, ServesHttp10AndCloses) {
  TestServer server;
  auto client = server.connect();
  client.send("GET /echo HTTP/1.0\r\n\r\n");
  const auto response = client.read_response();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.at("connection"), "close");
  EXPECT_TRUE(client.ended());
}

TEST(HttpSession, KeepsAnHttp10ConnectionThatAsksForIt) {
  TestServer server;
  auto client = server.connect();
  for (int i = 0; i < 2; ++i) {
    client.send("GET /echo HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    EXPECT_EQ(client.read_response().headers.at("connection"), "keep-alive");
  }
}

TEST(HttpSession, ClosesWhenTheClientOrTheHandlerWantsIt) {
  TestServer server;
  auto client = server.connect();
  client.send("GET /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_response().headers.at("connection"), "close");
  EXPECT_TRUE(client.ended());
  auto other = server.connect();
  EXPECT_EQ(other.get("/close").headers.at("connection"), "close");
  EXPECT_TRUE(other.ended());
}

TEST(HttpSession, AnswersAClientThatHasFinishedSending) {
  TestServer server;
  auto client = server.connect();
  client.send(kGetEcho);
  client.finish_sending();
  EXPECT_EQ(client.read_response().status, 200);
  EXPECT_TRUE(client.ended());
}

TEST(HttpSession, TurnsExceptionsIntoInternalErrors) {
  TestServer server;
  auto client = server.connect();
  testing::internal::CaptureStderr();
  const auto response = client.get("/throw");
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(response.status, 500);
  EXPECT_EQ(response.body, "internal");
  EXPECT_THAT(log, HasSubstr(response.headers.at("x-request-id")));
  EXPECT_EQ(client.get("/echo").status, 200);
}

TEST(HttpSession, NeverLetsAFieldBreakTheHeadApart) {
  TestServer server;
  auto client = server.connect();
  const auto response = client.get("/split");
  EXPECT_EQ(response.status, 500);
  EXPECT_FALSE(response.headers.contains("x-injected"));
}

struct BadRequest {
  const char* name;
  std::string bytes;
  int status;
  const char* code;
};

class BadInput : public testing::TestWithParam<BadRequest> {};

TEST_P(BadInput, IsAnsweredWithItsCodeAndTheEnd) {
  TestServer server;
  auto client = server.connect();
  client.send(GetParam().bytes);
  const auto response = client.read_response();
  EXPECT_EQ(response.status, GetParam().status);
  EXPECT_EQ(response.body, GetParam().code);
  EXPECT_EQ(response.headers.at("connection"), "close");
  client.finish_sending();
  EXPECT_TRUE(client.ended());
}

std::string with_fields(const std::string& fields) {
  return "POST /echo HTTP/1.1\r\nHost: a\r\n" + fields + "\r\nabc";
}

std::vector<BadRequest> bad_requests() {
  const char* const malformed = "malformed_request";
  std::string many_fields;
  for (int i = 0; i < 101; ++i) many_fields += "x: y\r\n";
  return {
      {"Garbage", std::string("\x16\x03\x01\x02\x00", 5) + "\r\n\r\n", 400, malformed},
      {"NoVersion", "GET /\r\n\r\n", 400, malformed},
      {"Http2", "PRI * HTTP/2.0\r\n\r\n", 400, malformed},
      {"BareLineFeeds", "GET / HTTP/1.1\nHost: a\n\n", 400, malformed},
      {"NoHost", "GET / HTTP/1.1\r\n\r\n", 400, malformed},
      {"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, malformed},
      {"EmptyHost", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, malformed},
      {"HostWithPath", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, malformed},
      {"HostWithUser", "GET / HTTP/1.1\r\nHost: me@a\r\n\r\n", 400, malformed},
      {"TargetOfAnotherHost", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, malformed},
      {"AuthorityForm", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400, malformed},
      {"TargetWithControl", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400, malformed},
      {"TargetBeyondAscii", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400, malformed},
      {"TwoBlanks", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, malformed},
      {"FoldedField", "GET / HTTP/1.1\r\nHost: a\r\nx: b\r\n c\r\n\r\n", 400, malformed},
      {"BlankBeforeColon", "GET / HTTP/1.1\r\nHost: a\r\nx : b\r\n\r\n", 400, malformed},
      {"NoColon", "GET / HTTP/1.1\r\nHost: a\r\nx\r\n\r\n", 400, malformed},
      {"EmptyName", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400, malformed},
      {"NulInValue", std::string("GET / HTTP/1.1\r\nHost: a\r\nx: b") + '\0' + "c\r\n\r\n", 400,
       malformed},
      {"CarriageReturnInValue", "GET / HTTP/1.1\r\nHost: a\r\nx: b\rc\r\n\r\n", 400, malformed},
      {"TwoLengths", with_fields("Content-Length: 3\r\nContent-Length: 3\r\n"), 400, malformed},
      {"LengthList", with_fields("Content-Length: 3, 3\r\n"), 400, malformed},
      {"SignedLength", with_fields("Content-Length: +3\r\n"), 400, malformed},
      {"NegativeLength", with_fields("Content-Length: -3\r\n"), 400, malformed},
      {"EmptyLength", with_fields("Content-Length: \r\n"), 400, malformed},
      {"HugeLength", with_fields("Content-Length: 99999999999999999999\r\n"), 400, malformed},
      {"LengthAndChunked", with_fields("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 400,
       malformed},
      {"ChunkedAndLength", with_fields("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), 400,
       malformed},
      {"TwoEncodings", with_fields("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
       400, malformed},
      {"EncodingList", with_fields("Transfer-Encoding: gzip, chunked\r\n"), 400, malformed},
      {"UnknownEncoding", with_fields("Transfer-Encoding: identity\r\n"), 400, malformed},
      {"ChunkedHttp10",
       "POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
       malformed},
      {"UnknownExpectation", with_fields("Expect: a miracle\r\n"), 400, malformed},
      {"BadChunkSize",
       "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\n", 400,
       malformed},
      {"ChunkWithoutSize",
       "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", 400, malformed},
      {"LongChunkLine",
       "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
           std::string(300, 'x'),
       400, malformed},
      {"LongTrailer",
       "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: " +
           std::string(5000, 'x'),
       400, malformed},
      {"LongHeader", "GET / HTTP/1.1\r\nHost: a\r\nx: " + std::string(20'000, 'x'), 431,
       "headers_too_large"},
      {"LongTarget", "GET /" + std::string(20'000, 'x'), 431, "headers_too_large"},
      {"ManyFields", "GET / HTTP/1.1\r\nHost: a\r\n" + many_fields + "\r\n", 431,
       "headers_too_large"},
      {"LongBody", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413,
       "body_too_large"},
      {"LongChunk", "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n",
       413, "body_too_large"},
  };
}

INSTANTIATE_TEST_SUITE_P(HttpSession, BadInput, testing::ValuesIn(bad_requests()),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(HttpSession, RefusesTenMegabytesUnreadAndTheClientHearsIt) {
  TestServer server;
  auto client = server.connect();
  const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10485760\r\n\r\n";
  ASSERT_TRUE(client.send(head + std::string(10 * 1024 * 1024, 'x')));
  const auto response = client.read_response();
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(response.body, "body_too_large");
}

TEST(HttpSession, TimesOutSlowHeadersWith408) {
  TestServer server(quick_options());
  auto client = server.connect();
  client.send("GET /echo HT");
  const auto response = client.read_response();
  EXPECT_EQ(response.status, 408);
  EXPECT_EQ(response.body, "request_timeout");
}

TEST(HttpSession, TimesOutSlowBodiesWith408) {
  TestServer server(quick_options());
  auto client = server.connect();
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(client.read_response().status, 408);
}

TEST(HttpSession, ClosesIdleConnectionsWithoutAWord) {
  TestServer server(quick_options());
  auto silent = server.connect();
  auto idle = server.connect();
  EXPECT_EQ(idle.get("/echo").status, 200);
  EXPECT_TRUE(silent.ended());
  EXPECT_TRUE(idle.ended());
  EXPECT_TRUE(server.wait_for_connections(0));
}

TEST(HttpSession, GivesUpOnAClientThatDoesNotRead) {
  TestServer server(quick_options());
  auto client = server.connect();
  // More than the socket's buffers hold.
  std::string requests;
  for (int i = 0; i < 200; ++i) requests += "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
  client.send(requests);
  EXPECT_TRUE(server.wait_for_connections(0));
}

TEST(HttpSession, ForgetsAClientThatVanishesInTheMiddle) {
  TestServer server;
  {
    auto half = server.connect();
    half.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    auto head = server.connect();
    head.send("POST /echo HT");
    EXPECT_TRUE(server.wait_for_connections(2));
  }
  EXPECT_TRUE(server.wait_for_connections(0));
}

TEST(HttpSession, BelievesForwardingHeadersOfTrustedProxiesOnly) {
  const std::string request =
      "GET /echo HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n"
      "X-Forwarded-Proto: https\r\n\r\n";
  TestServer wary;
  auto client = wary.connect();
  client.send(request);
  EXPECT_THAT(client.read_response().body, HasSubstr("\n127.0.0.1\nplain\n"));

  ServerOptions options;
  options.trusted_proxies.push_back(*Network::parse("127.0.0.0/8"));
  TestServer trusting(options);
  auto proxied = trusting.connect();
  proxied.send(request);
  EXPECT_THAT(proxied.read_response().body, HasSubstr("\n203.0.113.9\nsecure\n"));
}

TEST(HttpSession, CountsAnswersByStatusClass) {
  TestServer server;
  auto client = server.connect();
  client.get("/echo");
  client.get("/nothing");
  const std::string text = server.metrics.expose();
  EXPECT_THAT(text, HasSubstr("countersign_http_requests_total{class=\"2xx\"} 1"));
  EXPECT_THAT(text, HasSubstr("countersign_http_requests_total{class=\"4xx\"} 1"));
  EXPECT_THAT(text, HasSubstr("countersign_net_connections 1"));
}

}  // namespace
}  // namespace countersign::net

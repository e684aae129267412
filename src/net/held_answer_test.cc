// Answers that are held: what ends the wait, and what the connection does afterwards.
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/net_test_support.h"

namespace countersign::net {
namespace {

std::string hold(int limit_ms, std::string_view more = {}) {
  return "GET /hold?" + std::to_string(limit_ms) + " HTTP/1.1\r\nHost: a\r\n" + std::string(more) +
         "\r\n";
}
const std::string kEcho = "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr int kLong = 600'000;

TEST(HeldAnswer, ComesWhenItIsThereAndTheConnectionGoesOn) {
  TestServer server;
  auto client = server.connect();
  for (int i = 0; i < 3; ++i) {
    client.send(hold(kLong));
    while (server.handler.held == 0) std::this_thread::yield();
    server.handler.release_held("news " + std::to_string(i));
    const auto response = client.read_response();
    EXPECT_EQ(response.body, "news " + std::to_string(i));
    EXPECT_EQ(response.headers.at("x-request-id").size(), 16u);
    EXPECT_FALSE(response.headers.contains("connection"));
    while (server.handler.held != 0) std::this_thread::yield();
  }
  EXPECT_EQ(client.get("/echo").status, 200);
}

TEST(HeldAnswer, MayComeAtOnce) {
  TestServer server;
  auto client = server.connect();
  client.send(hold(0) + kEcho + hold(0) + kEcho);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(client.read_response().body, "at once");
    EXPECT_THAT(client.read_response().body, testing::StartsWith("GET\n/echo\n"));
  }
}

TEST(HeldAnswer, IsGivenUpWhenTheTimeIsOver) {
  TestServer server;
  auto client = server.connect();
  for (int i = 0; i < 2; ++i) {
    client.send(hold(60));
    EXPECT_EQ(client.read_response().body, "gave up");
  }
  EXPECT_EQ(client.get("/echo").status, 200);
}

TEST(HeldAnswer, IsDroppedWhenTheClientGoes) {
  TestServer server;
  auto client = server.connect();
  client.send(hold(kLong));
  ASSERT_TRUE(server.handler.holding.wait());
  client.close();
  EXPECT_TRUE(server.handler.dropped.wait());
  EXPECT_TRUE(server.wait_for_connections(0));
}

TEST(HeldAnswer, LeavesWhatTheClientSendsMeanwhileForLater) {
  TestServer server;
  auto client = server.connect();
  client.send(hold(kLong));
  ASSERT_TRUE(server.handler.holding.wait());
  client.send(kEcho.substr(0, 7));
  client.send(kEcho.substr(7) + kEcho);
  // Nothing tells when the server has read it; either way the order is the same.
  server.handler.release_held("news");
  EXPECT_EQ(client.read_response().body, "news");
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(client.read_response().body, testing::StartsWith("GET\n/echo\n"));
  }
}

TEST(HeldAnswer, EndsTheConnectionOfWhoSendsTooMuchMeanwhile) {
  TestServer server;
  auto client = server.connect();
  client.send(hold(kLong));
  ASSERT_TRUE(server.handler.holding.wait());
  client.send(std::string(64 * 1024, 'x'));
  EXPECT_TRUE(server.handler.dropped.wait());
}

TEST(HeldAnswer, IsGivenUpWhenTheServerDrains) {
  TestServer server;
  auto client = server.connect();
  client.send(hold(kLong));
  ASSERT_TRUE(server.handler.holding.wait());
  server.server->drain(std::chrono::seconds(20));
  const auto response = client.read_response();
  EXPECT_EQ(response.body, "gave up");
  EXPECT_EQ(response.headers.at("connection"), "close");
}

TEST(HeldAnswer, EndsWithTheServerAtTheLatest) {
  TestServer server;
  auto client = server.connect();
  client.send(hold(kLong));
  ASSERT_TRUE(server.handler.holding.wait());
  server.server->stop();
  client.read_to_end();
}

TEST(HeldAnswer, KeepsWhatTheRequestSaidAboutTheConnection) {
  TestServer server;
  auto closing = server.connect();
  closing.send(hold(0, "Connection: close\r\n"));
  EXPECT_EQ(closing.read_response().body, "at once");
  EXPECT_TRUE(closing.ended());
  auto head = server.connect();
  head.send("HEAD /hold?0 HTTP/1.1\r\nHost: a\r\n\r\n" + kEcho);
  EXPECT_EQ(head.read_response(true).body, "");
  EXPECT_THAT(head.read_response().body, testing::StartsWith("GET\n/echo\n"));
}

TEST(HeldAnswer, ARefusalKnowsTheRequestOnceItsHeadIsRead) {
  TestServer server;
  auto client = server.connect();
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n");
  auto response = client.read_response();
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(response.headers.at("x-path"), "/echo");
  auto other = server.connect();
  EXPECT_EQ(other.get("/throw").headers.at("x-path"), "/throw");
  auto broken = server.connect();
  broken.send("nonsense\r\n\r\n");
  response = broken.read_response();
  EXPECT_EQ(response.status, 400);
  EXPECT_FALSE(response.headers.contains("x-path"));
}

}  // namespace
}  // namespace countersign::net

// The server as a whole: binding, spreading, limits, drain and stop, memory.
#include "net/server.h"

#include <algorithm>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>

#include "net/net_test_support.h"

namespace countersign::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::uint16_t code_of(const std::optional<RawClient::Frame>& frame) {
  return frame && frame->opcode == Opcode::kClose ? frame->code() : std::uint16_t{0};
}

Result<void> start_another(ServerOptions options) {
  base::SystemClock clock;
  base::SystemRandom random;
  base::Metrics metrics;
  TestHandler handler;
  options.shards = 1;
  const auto server = Server::create(options, handler, nullptr, clock, random, metrics);
  return server->start();
}

TEST(Server, RefusesAPortThatAnotherServerHas) {
  TestServer server;
  ServerOptions options;
  options.port = server.port();
  const auto second = start_another(options);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.code(), ErrorCode::kAddressInUse);
  options.host = "0.0.0.0";
  EXPECT_EQ(start_another(options).code(), ErrorCode::kAddressInUse);
  EXPECT_EQ(server.connect().get("/echo").status, 200);
}

TEST(Server, TakesThePortAgainRightAfterAnEnd) {
  ServerOptions options;
  {
    TestServer server;
    options.port = server.port();
    auto client = server.connect();
    client.get("/close");  // the server closes first: its side lingers in TIME_WAIT
    client.ended();
  }
  EXPECT_TRUE(start_another(options).ok());
}

TEST(Server, BindsBothLoopbackAddressesForLocalhost) {
  ServerOptions options;
  options.host = "localhost";
  TestServer server(options);
  EXPECT_EQ(server.connect().get("/echo").status, 200);
  RawClient v6(server.port(), "::1");
  if (v6.connected()) {  // there may be no IPv6 here
    EXPECT_THAT(v6.get("/echo").body, HasSubstr("\n::1\n"));
  }
}

TEST(Server, NamesTheSettingWhenItCannotBind) {
  ServerOptions options;
  options.host = "192.0.2.1";  // nobody's address (RFC 5737)
  const auto started = start_another(options);
  ASSERT_FALSE(started.ok());
  EXPECT_EQ(started.code(), ErrorCode::kBadSetting);
  EXPECT_THAT(started.error().detail, HasSubstr("server.listen"));
  options.host = "no such host";
  EXPECT_EQ(start_another(options).code(), ErrorCode::kBadSetting);
}

TEST(Server, SpreadsConnectionsEvenly) {
  ServerOptions options;
  options.shards = 8;
  options.limits.max_connections_per_address = 2000;
  TestServer server(options);
  std::vector<RawClient> clients;
  std::vector<int> counts(8);
  for (int i = 0; i < 1000; ++i) {
    clients.push_back(server.connect());
    ++counts[std::stoul(clients.back().get("/shard").body)];
  }
  for (const int count : counts) EXPECT_EQ(count, 125);
  // Whoever loses connections gets the next.
  for (std::size_t i = 0; i < clients.size(); i += 8) clients[i].close();
  ASSERT_TRUE(server.wait_for_connections(875));
  for (int i = 0; i < 125; ++i) {
    clients.push_back(server.connect());
    ASSERT_FALSE(clients.back().get("/shard").body.empty());
  }
}

ServerOptions limited(std::size_t total, std::size_t per_address) {
  ServerOptions options;
  options.limits.max_connections = total;
  options.limits.max_connections_per_address = per_address;
  return options;
}

TEST(Server, RefusesConnectionsBeyondTheLimitOfOneAddress) {
  TestServer server(limited(100, 2));
  auto first = server.connect();
  EXPECT_EQ(first.get("/echo").status, 200);
  auto second = server.connect();
  EXPECT_EQ(second.upgrade("/ws").status, 101);

  auto third = server.connect();
  const auto response = third.get("/echo");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.body, "too_many_connections");
  EXPECT_EQ(response.headers.at("retry-after"), "5");
  EXPECT_TRUE(third.ended());

  auto socket = server.connect();
  EXPECT_EQ(socket.upgrade("/ws", "countersign.v1.json").headers.at("sec-websocket-protocol"),
            "countersign.v1.json");
  EXPECT_EQ(code_of(socket.read_frame()), 4504);
  socket.close();
  third.close();
  EXPECT_THAT(server.metrics.expose(),
              HasSubstr("countersign_net_refused_total{reason=\"address\"} 2"));

  first.close();
  ASSERT_TRUE(server.wait_for_connections(1));
  EXPECT_EQ(server.connect().get("/echo").status, 200);
}

TEST(Server, RefusesConnectionsBeyondTheTotal) {
  TestServer server(limited(1, 100));
  auto first = server.connect();
  EXPECT_EQ(first.get("/echo").status, 200);
  EXPECT_EQ(server.connect().get("/echo").status, 503);
  EXPECT_EQ(first.get("/echo").status, 200);
}

TEST(Server, ClosesWithoutAWordWhenTooManyWaitForARefusal) {
  TestServer server(limited(1, 100));
  auto first = server.connect();
  EXPECT_EQ(first.get("/echo").status, 200);
  std::vector<RawClient> silent;
  for (std::size_t i = 0; i < 64; ++i) silent.push_back(server.connect());
  ASSERT_TRUE(server.wait_for_connections(65));
  auto last = server.connect();
  EXPECT_TRUE(last.ended());
  EXPECT_EQ(first.get("/echo").status, 200);
}

TEST(Server, CountsWebSocketsBehindATrustedProxyByTheirClient) {
  auto options = limited(100, 1);
  options.trusted_proxies.push_back(*Network::parse("127.0.0.1"));
  TestServer server(options);
  auto first = server.connect();
  EXPECT_EQ(first.upgrade("/ws", "", "X-Forwarded-For: 203.0.113.1\r\n").status, 101);
  auto second = server.connect();
  EXPECT_EQ(second.upgrade("/ws", "", "X-Forwarded-For: 203.0.113.1\r\n").status, 101);
  EXPECT_EQ(code_of(second.read_frame()), 4504);
  auto other = server.connect();
  EXPECT_EQ(other.upgrade("/ws", "", "X-Forwarded-For: 203.0.113.2\r\n").status, 101);
  other.send_frame(Opcode::kText, "hello");
  EXPECT_EQ(other.read_frame()->payload, "hello");
}

TEST(Server, GoesOnAfterRunningOutOfFiles) {
  TestServer server;
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit low = before;
  low.rlim_cur = 256;
  setrlimit(RLIMIT_NOFILE, &low);
  std::vector<UniqueFd> taken;
  for (;;) {
    UniqueFd one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!one) break;
    taken.push_back(std::move(one));
  }
  ASSERT_FALSE(taken.empty());
  taken.pop_back();  // the client's own; none is left for the server's side
  auto client = server.connect();
  ASSERT_TRUE(client.connected());
  client.send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  while (server.metrics.expose().find("countersign_net_accept_failures_total 0") !=
         std::string::npos) {
    std::this_thread::yield();
  }
  taken.clear();
  EXPECT_EQ(client.read_response().status, 200);
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST(Server, DrainsByEndingIdleConnectionsAndLettingRequestsEnd) {
  TestServer server;
  auto idle = server.connect();
  EXPECT_EQ(idle.get("/echo").status, 200);
  auto busy = server.connect();
  busy.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(server.handler.waiting.wait());

  std::thread drain([&] { server.server->drain(20s); });
  EXPECT_TRUE(idle.ended());
  server.handler.release();
  const auto response = busy.read_response();
  EXPECT_EQ(response.body, "released");
  EXPECT_EQ(response.headers.at("connection"), "close");
  busy.close();
  drain.join();
  EXPECT_EQ(server.server->connections(), 0u);
  EXPECT_FALSE(server.connect().connected());
}

TEST(Server, ServesWhatWaitsInTheQueueWhenItDrains) {
  TestServer server;
  std::vector<RawClient> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(server.connect());
    clients.back().send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  std::thread drain([&] { server.server->drain(20s); });
  for (auto& client : clients) {
    EXPECT_EQ(client.read_response().status, 200);
    client.close();
  }
  drain.join();
}

TEST(Server, TellsWebSocketsThatItGoesAwayBeforeTheDrainEnds) {
  TestServer server;
  auto client = server.connect();
  client.upgrade("/ws");
  std::thread drain([&] { server.server->drain(400ms); });
  EXPECT_EQ(code_of(client.read_frame()), 4101);
  client.send_frame(Opcode::kClose, close_payload(4101, ""));
  EXPECT_TRUE(client.ended());
  drain.join();
  EXPECT_TRUE(server.door.log->closed.wait());
}

TEST(Server, StopsWithConnectionsInEveryState) {
  TestServer server;
  auto idle = server.connect();
  EXPECT_EQ(idle.get("/echo").status, 200);
  auto socket = server.connect();
  EXPECT_EQ(socket.upgrade("/ws").status, 101);
  auto busy = server.connect();
  busy.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(server.handler.waiting.wait());
  auto half = server.connect();
  half.send("GET /ec");
  server.server->stop();
  EXPECT_TRUE(server.door.log->closed.wait());
  EXPECT_TRUE(idle.ended());
  EXPECT_FALSE(socket.read_frame());
}

std::size_t allocated() { return mallinfo2().uordblks; }

/// Idle WebSockets cost little, and nothing once they are gone.
TEST(Server, GivesTheMemoryOfClosedConnectionsBack) {
  constexpr std::size_t kCount = 2000;
  ServerOptions options;
  options.limits.max_connections_per_address = 2 * kCount;
  TestServer server(options);
  std::vector<RawClient> clients;
  clients.reserve(kCount);
  const auto open_all = [&] {
    for (std::size_t i = 0; i < kCount; ++i) {
      auto& client = clients.emplace_back(server.port());
      ASSERT_EQ(client.upgrade("/ws", "countersign.v1.json").status, 101);
      client.send_frame(Opcode::kText, "hello");
      ASSERT_EQ(client.read_frame()->payload, "hello");
      client.forget_buffer();
    }
  };
  const auto close_all = [&] {
    clients.clear();
    ASSERT_TRUE(server.wait_for_connections(0));
  };
  const std::size_t before = allocated();
  open_all();
  const std::size_t open = allocated();
  close_all();
  const std::size_t after = allocated();
  open_all();
  close_all();
  const std::size_t again = allocated();

  const auto each = [](std::size_t from, std::size_t to) {
    return to > from ? (to - from) / kCount : 0;
  };
  RecordProperty("bytes_per_idle_websocket", std::to_string(each(before, open)));
  std::printf("bytes per idle WebSocket: %zu, after closing: %zu\n", each(before, open),
              each(before, after));
  EXPECT_LE(each(before, open), 1500u);
  EXPECT_LE(each(before, after), 300u) << "Asio keeps its descriptor records for the next";
  EXPECT_LE(each(after, again), 20u) << "a leak";
}

}  // namespace
}  // namespace countersign::net

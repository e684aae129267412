// WebSockets over real sockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "net/net_test_support.h"

namespace countersign::net {
namespace {

using testing::HasSubstr;

std::uint16_t code_of(const std::optional<RawClient::Frame>& frame) {
  if (!frame || frame->opcode != Opcode::kClose) return 0;
  return frame->code();
}

TEST(WebSocket, ShakesHandsAsTheRfcShows) {
  TestServer server;
  auto client = server.connect();
  const auto response = client.upgrade("/ws", "other, countersign.v1.json");
  EXPECT_EQ(response.status, 101);
  EXPECT_EQ(response.headers.at("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(response.headers.at("sec-websocket-protocol"), "countersign.v1.json");
  EXPECT_EQ(response.headers.at("connection"), "Upgrade");
}

TEST(WebSocket, NamesNoSubprotocolThatWasNotOffered) {
  TestServer server;
  auto client = server.connect();
  EXPECT_FALSE(client.upgrade("/ws", "other").headers.contains("sec-websocket-protocol"));
}

TEST(WebSocket, RefusesMalformedHandshakesAndGoesOnAfterAnHttpAnswer) {
  TestServer server;
  auto client = server.connect();
  EXPECT_EQ(client.upgrade("/ws?refuse").status, 403);
  EXPECT_EQ(client.upgrade("/ws?throw").status, 500);
  EXPECT_EQ(client.get("/ws").status, 404) << "without Upgrade it is an ordinary request";
  EXPECT_EQ(client.upgrade("/echo").status, 200) << "not the door's path";
  EXPECT_EQ(client.upgrade("/ws", "", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n").status,
            400);

  auto old = server.connect();
  old.send(
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  const auto response = old.read_response();
  EXPECT_EQ(response.status, 426);
  EXPECT_EQ(response.headers.at("sec-websocket-version"), "13");
}

TEST(WebSocket, ClosesAfterTheHandshakeWhenTheDoorSaysSo) {
  TestServer server;
  auto client = server.connect();
  EXPECT_EQ(client.upgrade("/ws?after", "countersign.v1.json").status, 101);
  const auto frame = client.read_frame();
  EXPECT_EQ(code_of(frame), 4507);
  EXPECT_EQ(frame->payload.substr(2), "origin");
}

TEST(WebSocket, EchoesFramesOfEverySize) {
  TestServer server;
  auto client = server.connect();
  client.upgrade("/ws");
  for (const std::size_t size : {0u, 1u, 125u, 126u, 65535u, 65536u}) {
    const std::string text(size, 'a');
    client.send_frame(Opcode::kText, text);
    const auto frame = client.read_frame();
    ASSERT_TRUE(frame) << size;
    EXPECT_EQ(frame->opcode, Opcode::kText);
    EXPECT_EQ(frame->payload, text);
  }
}

TEST(WebSocket, TakesFramesThatCameWithTheHandshake) {
  TestServer server;
  auto client = server.connect();
  const auto response = client.upgrade("/ws", "", "\r\n" + masked_frame(Opcode::kText, "early"));
  EXPECT_EQ(response.status, 101);
  // upgrade() sent one more line end after the frame, which is no frame: it closes with 4502.
  EXPECT_EQ(client.read_frame()->payload, "early");
}

TEST(WebSocket, JoinsFragmentsWithControlFramesBetween) {
  TestServer server;
  auto client = server.connect();
  client.upgrade("/ws");
  client.send_frame(Opcode::kText, "one ", false);
  client.send_frame(Opcode::kPing, "are you there");
  client.send_frame(Opcode::kContinuation, "two ", false);
  client.send_frame(Opcode::kContinuation, "three");
  auto frame = client.read_frame();
  EXPECT_EQ(frame->opcode, Opcode::kPong);
  EXPECT_EQ(frame->payload, "are you there");
  EXPECT_EQ(client.read_frame()->payload, "one two three");
}

TEST(WebSocket, TakesFramesByteByByte) {
  TestServer server;
  auto client = server.connect();
  client.upgrade("/ws");
  for (const char c : masked_frame(Opcode::kPing, "p") + masked_frame(Opcode::kText, "slowly")) {
    client.send(std::string_view(&c, 1));
  }
  EXPECT_EQ(client.read_frame()->opcode, Opcode::kPong);
  EXPECT_EQ(client.read_frame()->payload, "slowly");
}

struct BadFrame {
  const char* name;
  std::string bytes;
};

class BadFrames : public testing::TestWithParam<BadFrame> {};

TEST_P(BadFrames, CloseWith4502) {
  TestServer server;
  auto client = server.connect();
  client.upgrade("/ws");
  client.send(GetParam().bytes);
  EXPECT_EQ(code_of(client.read_frame()), 4502);
  EXPECT_FALSE(client.read_frame()) << "the end follows at once";
  client.close();
  EXPECT_TRUE(server.door.log->closed.wait());
  EXPECT_TRUE(server.door.log->frames.empty());
}

std::string with_first_byte(std::string frame, int byte) {
  frame[0] = static_cast<char>(byte);
  return frame;
}

INSTANTIATE_TEST_SUITE_P(
    WebSocket, BadFrames,
    testing::Values(
        BadFrame{"Binary", masked_frame(Opcode::kBinary, "x")},
        BadFrame{"Oversized", masked_frame(Opcode::kText, std::string(65537, 'x'))},
        BadFrame{"OversizedInFragments",
                 masked_frame(Opcode::kText, std::string(40000, 'x'), false) +
                     masked_frame(Opcode::kContinuation, std::string(40000, 'x'))},
        BadFrame{"HugeLength", std::string("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff"
                                           "abcd",
                                           14)},
        BadFrame{"InvalidUtf8", masked_frame(Opcode::kText, "\xff")},
        BadFrame{"SurrogateUtf8", masked_frame(Opcode::kText, "\xed\xa0\x80")},
        BadFrame{"Unmasked", std::string("\x81\x01x", 3)},
        BadFrame{"ReservedBit", with_first_byte(masked_frame(Opcode::kText, "x"), 0xc1)},
        BadFrame{"UnknownOpcode", with_first_byte(masked_frame(Opcode::kText, "x"), 0x83)},
        BadFrame{"UnknownControl", with_first_byte(masked_frame(Opcode::kText, "x"), 0x8b)},
        BadFrame{"FragmentedPing", masked_frame(Opcode::kPing, "x", false)},
        BadFrame{"LongPing", masked_frame(Opcode::kPing, std::string(126, 'x'))},
        BadFrame{"ContinuationOfNothing", masked_frame(Opcode::kContinuation, "x")},
        BadFrame{"TextWithinText",
                 masked_frame(Opcode::kText, "x", false) + masked_frame(Opcode::kText, "y")},
        BadFrame{"LongFormOfShortLength", std::string("\x81\xfe\x00\x01"
                                                      "abcdx",
                                                      9)},
        BadFrame{"HalfACloseCode", masked_frame(Opcode::kClose, "x")},
        BadFrame{"ForbiddenCloseCode", masked_frame(Opcode::kClose, close_payload(1005, ""))},
        BadFrame{"CloseReasonNotUtf8", masked_frame(Opcode::kClose, close_payload(1000, "\xff"))}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(WebSocket, AnswersTheClientsCloseAndEnds) {
  TestServer server;
  auto client = server.connect();
  client.upgrade("/ws");
  client.send_frame(Opcode::kText, "last words");
  client.send_frame(Opcode::kClose, close_payload(1001, "going"));
  EXPECT_EQ(client.read_frame()->payload, "last words");
  EXPECT_EQ(code_of(client.read_frame()), 1001);
  EXPECT_TRUE(client.ended()) << "the server closes first";
  EXPECT_TRUE(server.door.log->closed.wait());
  EXPECT_TRUE(server.wait_for_connections(0));
}

TEST(WebSocket, SendsWhatIsQueuedAndThenTheGatewaysCloseCode) {
  TestServer server;
  auto client = server.connect();
  client.upgrade("/ws");
  client.send(masked_frame(Opcode::kText, "first") + masked_frame(Opcode::kText, "close:4503") +
              masked_frame(Opcode::kText, "dropped"));
  EXPECT_EQ(client.read_frame()->payload, "first");
  const auto frame = client.read_frame();
  EXPECT_EQ(code_of(frame), 4503);
  EXPECT_EQ(frame->payload.substr(2), "revoked");
  client.send_frame(Opcode::kClose, close_payload(4503, ""));
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(server.door.log->closed.wait());
  EXPECT_EQ(server.door.log->frames.size(), 2u);
}

TEST(WebSocket, ClosesNormallyWith1000) {
  TestServer server;
  auto client = server.connect();
  client.upgrade("/ws");
  client.send_frame(Opcode::kText, "normal");
  EXPECT_EQ(code_of(client.read_frame()), 1000);
}

TEST(WebSocket, ClosesWithServerErrorWhenTheHandlerThrows) {
  TestServer server;
  auto client = server.connect();
  client.upgrade("/ws");
  client.send_frame(Opcode::kText, "throw");
  EXPECT_EQ(code_of(client.read_frame()), 4104);
}

TEST(WebSocket, TellsTheHandlerWhenTheClientVanishes) {
  TestServer server;
  {
    auto client = server.connect();
    client.upgrade("/ws");
    EXPECT_TRUE(server.door.log->opened.wait());
  }
  EXPECT_TRUE(server.door.log->closed.wait());
}

TEST(WebSocket, FiresTheHandlersTimerNotEarly) {
  TestServer server;
  auto client = server.connect();
  client.upgrade("/ws");
  const auto start = std::chrono::steady_clock::now();
  client.send_frame(Opcode::kText, "timer:120");
  EXPECT_EQ(client.read_frame()->payload, "timer");
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(120));
}

TEST(WebSocket, DisconnectsSlowReaderWithCode4108) {
  TestServer server;
  auto client = server.connect();
  client.upgrade("/ws");
  client.send_frame(Opcode::kText, "flood:60000:1000");  // 60 MB; sockets hold less
  EXPECT_EQ(client.read_frame()->payload.size(), 60000u);
  std::optional<RawClient::Frame> frame;
  std::size_t bytes = 60000;
  while ((frame = client.read_frame()) && frame->opcode == Opcode::kText) {
    bytes += frame->payload.size();
  }
  EXPECT_EQ(code_of(frame), 4108);
  EXPECT_LT(bytes, 60'000'000u);
  EXPECT_THAT(server.metrics.expose(), HasSubstr("countersign_net_slow_readers_total 1"));
}

TEST(WebSocket, RefusesASingleFrameAboveTheQueuesLimit) {
  TestServer server;
  server.door.max_queued_bytes = 1000;
  auto client = server.connect();
  client.upgrade("/ws");
  client.send_frame(Opcode::kText, "flood:1001:1");
  EXPECT_EQ(code_of(client.read_frame()), 4108);
}

TEST(WebSocket, CountsOpenWebSockets) {
  TestServer server;
  auto client = server.connect();
  client.upgrade("/ws");
  EXPECT_TRUE(server.door.log->opened.wait());
  EXPECT_THAT(server.metrics.expose(), HasSubstr("countersign_net_websockets 1"));
}

}  // namespace
}  // namespace countersign::net

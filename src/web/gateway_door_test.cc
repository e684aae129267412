#include "web/gateway_door.h"

#include <gtest/gtest.h>

#include "web/testing/site_world.h"

namespace countersign::web {
namespace {

class SilentHandler final : public gateway::ChannelHandler {
 public:
  void on_open(gateway::Channel&) override {}
  void on_frame(std::string_view) override {}
  void on_timer() override {}
  void on_closed() override {}
};

class GatewayDoorTest : public ::testing::Test {
 protected:
  static constexpr std::string_view kPublic = "https://calls.example.org";
  static constexpr std::string_view kListed = "https://shop.example.net";

  static RequestBuilder handshake() {
    RequestBuilder builder("GET", "/v1/gateway");
    builder.header("sec-websocket-protocol", "chat, countersign.v1.json");
    return builder;
  }
  net::WebSocketDoor::Decision decide(RequestBuilder& builder) {
    return door.decide(builder.request(), shard);
  }
  static std::optional<CloseCode> close_code(const net::WebSocketDoor::Decision& decision) {
    const auto* refusal = std::get_if<net::WebSocketDoor::RefuseAfterHandshake>(&decision);
    if (refusal == nullptr) return std::nullopt;
    EXPECT_EQ(refusal->subprotocol, "countersign.v1.json");
    return refusal->code;
  }
  static bool accepted(const net::WebSocketDoor::Decision& decision) {
    return std::holds_alternative<net::WebSocketDoor::Accept>(decision);
  }

  base::Metrics metrics;
  std::unique_ptr<SiteOrigin> origin = *SiteOrigin::create(kPublic, {std::string(kListed)}, false);
  TestShard shard;
  int opened = 0;
  GatewayDoor door{{.max_connections_per_address = 2},
                   *origin,
                   [this](const net::Request&, net::Shard&) {
                     ++opened;
                     return std::make_unique<SilentHandler>();
                   },
                   metrics};
};

TEST_F(GatewayDoorTest, ServesItsPathAlone) {
  EXPECT_TRUE(door.serves("/v1/gateway"));
  EXPECT_FALSE(door.serves("/v1/gateway/"));
  EXPECT_FALSE(door.serves("/"));
}

TEST_F(GatewayDoorTest, AcceptsNativeProgramsOurPagesAndListedOrigins) {
  RequestBuilder native = handshake();
  auto decision = decide(native);
  ASSERT_TRUE(accepted(decision));
  EXPECT_EQ(std::get<net::WebSocketDoor::Accept>(decision).subprotocol, "countersign.v1.json");
  RequestBuilder ours = handshake();
  ours.header("origin", kPublic);
  EXPECT_TRUE(accepted(decide(ours)));
  RequestBuilder listed = handshake();
  listed.header("origin", kListed);
  EXPECT_TRUE(accepted(decide(listed)));
}

TEST_F(GatewayDoorTest, RefusesOtherOriginsAfterTheHandshake) {
  for (const std::string_view from :
       {"null", "", "https://evil.example", "http://calls.example.org",
        "https://calls.example.org.evil.example"}) {
    RequestBuilder builder = handshake();
    // A cookie makes no difference: it is never looked at.
    builder.header("origin", from).header("cookie", "__Host-cs_session=abc");
    EXPECT_EQ(close_code(decide(builder)), CloseCode::kOrigin) << from;
  }
  RequestBuilder twice = handshake();
  twice.header("origin", kPublic).header("origin", kPublic);
  EXPECT_EQ(close_code(decide(twice)), CloseCode::kOrigin);
  EXPECT_EQ(opened, 0);
}

TEST_F(GatewayDoorTest, AcceptsEveryNameOfThisComputerIfItIsServedThere) {
  ASSERT_TRUE(origin->set_public_url("http://localhost:8080").ok());
  for (const std::string_view from :
       {"http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"}) {
    RequestBuilder builder = handshake();
    builder.header("origin", from);
    EXPECT_TRUE(accepted(decide(builder))) << from;
  }
  RequestBuilder other_port = handshake();
  other_port.header("origin", "http://127.0.0.1:8081");
  EXPECT_EQ(close_code(decide(other_port)), CloseCode::kOrigin);
}

TEST_F(GatewayDoorTest, WantsTheSubprotocol) {
  RequestBuilder none("GET", "/v1/gateway");
  RequestBuilder other("GET", "/v1/gateway");
  other.header("sec-websocket-protocol", "countersign.v1.jsonx, countersign");
  for (RequestBuilder* builder : {&none, &other}) {
    const auto decision = decide(*builder);
    const auto* response = std::get_if<net::Response>(&decision);
    ASSERT_NE(response, nullptr);
    EXPECT_EQ(response->status, 426);
    EXPECT_EQ(header_of(*response, "X-Content-Type-Options"), "nosniff");
  }
}

TEST_F(GatewayDoorTest, CountsConnectionsByAddressUntilTheyAreGone) {
  RequestBuilder request = handshake();
  auto first = decide(request);
  auto second = decide(request);
  ASSERT_TRUE(accepted(first) && accepted(second));
  EXPECT_EQ(close_code(decide(request)), CloseCode::kConnectionLimit);
  RequestBuilder neighbour = handshake();
  neighbour.from("192.0.2.8");
  EXPECT_TRUE(accepted(decide(neighbour)));

  std::get<net::WebSocketDoor::Accept>(first).handler.reset();
  EXPECT_EQ(door.held_by("192.0.2.7/32"), 1U);
  EXPECT_TRUE(accepted(decide(request)));
}

TEST_F(GatewayDoorTest, CountsAnIpv6NetworkAsOneAddress) {
  std::vector<net::WebSocketDoor::Decision> held;
  for (const std::string_view address : {"2001:db8::1", "2001:db8::2"}) {
    RequestBuilder builder = handshake();
    builder.from(address);
    held.push_back(decide(builder));
  }
  RequestBuilder third = handshake();
  third.from("2001:db8::3");
  EXPECT_EQ(close_code(decide(third)), CloseCode::kConnectionLimit);
}

}  // namespace
}  // namespace countersign::web

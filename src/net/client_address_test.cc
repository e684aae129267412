#include "net/client_address.h"

#include <gtest/gtest.h>

namespace countersign::net {
namespace {

const std::vector<Network>& proxies() {
  static const std::vector<Network> all = {*Network::parse("10.0.0.0/8"),
                                           *Network::parse("2001:db8::/32")};
  return all;
}

struct Outcome {
  std::string client;
  bool secure;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome resolve(const char* peer, std::vector<Request::Field> fields, bool tls = false,
                const std::vector<Network>& trusted = proxies()) {
  Request request;
  request.peer = *IpAddress::parse(peer);
  request.fields = std::move(fields);
  resolve_client(request, tls, trusted);
  return {request.client.text(), request.secure};
}

TEST(ClientAddress, IsThePeerUnlessAProxyIsTrusted) {
  const std::vector<Request::Field> fields = {{"x-forwarded-for", "203.0.113.1"},
                                              {"x-forwarded-proto", "https"}};
  EXPECT_EQ(resolve("192.0.2.1", fields), (Outcome{"192.0.2.1", false}));
  EXPECT_EQ(resolve("10.0.0.1", fields, false, {}), (Outcome{"10.0.0.1", false}));
  EXPECT_EQ(resolve("10.0.0.1", fields), (Outcome{"203.0.113.1", true}));
  EXPECT_EQ(resolve("192.0.2.1", {}, true), (Outcome{"192.0.2.1", true}));
}

TEST(ClientAddress, IsTheLastThatNoTrustedProxyWrote) {
  EXPECT_EQ(resolve("10.0.0.1", {{"x-forwarded-for", "1.1.1.1, 203.0.113.1, 10.0.0.2,10.0.0.3"}}),
            (Outcome{"203.0.113.1", false}))
      << "what stands left of the client is the client's own claim";
  EXPECT_EQ(resolve("10.0.0.1",
                    {{"x-forwarded-for", "1.1.1.1, 203.0.113.1"}, {"x-forwarded-for", "10.0.0.2"}}),
            (Outcome{"203.0.113.1", false}))
      << "several fields are one list";
  EXPECT_EQ(resolve("10.0.0.1", {{"x-forwarded-for", "10.0.0.2"}}), (Outcome{"10.0.0.2", false}));
}

TEST(ClientAddress, StopsAtWhatIsNoAddress) {
  EXPECT_EQ(resolve("10.0.0.1", {{"x-forwarded-for", "1.1.1.1, unknown, 10.0.0.2"}}),
            (Outcome{"10.0.0.2", false}));
  EXPECT_EQ(resolve("10.0.0.1", {{"x-forwarded-for", ""}}), (Outcome{"10.0.0.1", false}));
}

TEST(ClientAddress, ReadsPortsAndBrackets) {
  EXPECT_EQ(resolve("10.0.0.1", {{"x-forwarded-for", "203.0.113.1:4711"}}).client, "203.0.113.1");
  EXPECT_EQ(resolve("2001:db8::1", {{"x-forwarded-for", "[2001:dead::1]:80"}}).client,
            "2001:dead::1");
  EXPECT_EQ(resolve("2001:db8::1", {{"x-forwarded-for", "2001:dead::1"}}).client, "2001:dead::1");
}

TEST(ClientAddress, BelievesTheNearestProxyAboutTls) {
  EXPECT_TRUE(resolve("10.0.0.1", {{"x-forwarded-proto", "http, HTTPS"}}).secure);
  EXPECT_FALSE(resolve("10.0.0.1", {{"x-forwarded-proto", "https, http"}}).secure);
  EXPECT_FALSE(
      resolve("10.0.0.1", {{"x-forwarded-proto", "https"}, {"x-forwarded-proto", "http"}}).secure);
}

}  // namespace
}  // namespace countersign::net

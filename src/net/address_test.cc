#include "net/address.h"

#include <gtest/gtest.h>

namespace countersign::net {
namespace {

TEST(IpAddress, ReadsAndWritesBothFamilies) {
  for (const char* text :
       {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1:2:3:4"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address.ok()) << text;
    EXPECT_EQ(address->text(), text);
  }
}

TEST(IpAddress, TurnsMappedAddressesIntoIpv4) {
  EXPECT_EQ(*IpAddress::parse("::ffff:192.0.2.1"), *IpAddress::parse("192.0.2.1"));
}

TEST(IpAddress, RefusesEverythingElse) {
  for (const char* text : {"", "1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4:80", "[::1]", "::1%lo",
                           "localhost", "1:2:3", " 1.2.3.4", "::g"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_EQ(address.code(), ErrorCode::kBadRequest);
  }
  EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0", 8)).ok());
  EXPECT_FALSE(IpAddress::parse(std::string(1000, '1')).ok());
}

TEST(IpAddress, KnowsLoopback) {
  EXPECT_TRUE(IpAddress::parse("127.9.9.9")->is_loopback());
  EXPECT_TRUE(IpAddress::parse("::1")->is_loopback());
  EXPECT_FALSE(IpAddress::parse("::2")->is_loopback());
  EXPECT_FALSE(IpAddress::parse("1::1")->is_loopback());
  EXPECT_FALSE(IpAddress::parse("128.0.0.1")->is_loopback());
}

TEST(IpAddress, CutsPrefixes) {
  EXPECT_EQ(IpAddress::parse("203.0.113.7")->prefix(), "203.0.113.7/32");
  EXPECT_EQ(IpAddress::parse("203.0.113.7")->prefix(24), "203.0.113.0/24");
  EXPECT_EQ(IpAddress::parse("203.0.113.255")->prefix(25), "203.0.113.128/25");
  EXPECT_EQ(IpAddress::parse("2001:db8:1:2:3::4")->prefix(), "2001:db8:1:2::/64");
  EXPECT_EQ(IpAddress::parse("2001:db8:1:2:3::4")->prefix(32, 48), "2001:db8:1::/48");
}

bool holds(const char* network, const char* address) {
  return Network::parse(network)->contains(*IpAddress::parse(address));
}

TEST(Network, ContainsItsAddresses) {
  EXPECT_TRUE(holds("10.0.0.0/8", "10.255.0.1"));
  EXPECT_FALSE(holds("10.0.0.0/8", "11.0.0.0"));
  EXPECT_TRUE(holds("192.0.2.4", "192.0.2.4"));
  EXPECT_FALSE(holds("192.0.2.4", "192.0.2.5"));
  EXPECT_TRUE(holds("0.0.0.0/0", "8.8.8.8"));
  EXPECT_FALSE(holds("0.0.0.0/0", "::1"));
  EXPECT_TRUE(holds("2001:db8::/33", "2001:db8:7fff::1"));
  EXPECT_FALSE(holds("2001:db8::/33", "2001:db8:8000::1"));
  EXPECT_TRUE(holds("::ffff:10.0.0.0/104", "10.1.2.3"));
}

TEST(Network, RefusesWhatIsNone) {
  for (const char* text :
       {"", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.1/8", "::1/129",
        "here/8", "::ffff:10.0.0.0/8", "10.0.0.0/0008"}) {
    const auto network = Network::parse(text);
    ASSERT_FALSE(network.ok()) << text;
    EXPECT_EQ(network.code(), ErrorCode::kBadSetting);
  }
}

}  // namespace
}  // namespace countersign::net

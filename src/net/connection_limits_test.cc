#include "net/connection_limits.h"

#include <vector>

#include <gtest/gtest.h>

namespace countersign::net {
namespace {

using Kind = Admission::Kind;

IpAddress address(const char* text) { return *IpAddress::parse(text); }

TEST(ConnectionLimits, CountsAddressesAndGivesBack) {
  ConnectionLimits limits(10, 2, 1);
  auto first = limits.admit(address("192.0.2.1"), false);
  auto second = limits.admit(address("192.0.2.1"), false);
  EXPECT_EQ(second.kind(), Kind::kServed);
  EXPECT_EQ(limits.admit(address("192.0.2.1"), false).kind(), Kind::kAddressReached);
  EXPECT_EQ(limits.admit(address("192.0.2.2"), false).kind(), Kind::kServed);
  first.release();
  EXPECT_EQ(limits.admit(address("192.0.2.1"), false).kind(), Kind::kServed);
  EXPECT_EQ(limits.open(), 1u);
}

TEST(ConnectionLimits, CountsAnIpv6SubnetAsOne) {
  ConnectionLimits limits(10, 1, 1);
  const auto first = limits.admit(address("2001:db8:0:1::1"), false);
  EXPECT_EQ(limits.admit(address("2001:db8:0:1:ffff::2"), false).kind(), Kind::kAddressReached);
  EXPECT_EQ(limits.admit(address("2001:db8:0:2::1"), false).kind(), Kind::kServed);
}

TEST(ConnectionLimits, RefusesPolitelyAFewAndTheRestWithoutAWord) {
  ConnectionLimits limits(1, 100, 1);
  const auto first = limits.admit(address("192.0.2.1"), false);
  std::vector<Admission> refused;
  for (std::size_t i = 0; i < ConnectionLimits::kMaxRefusals; ++i) {
    refused.push_back(limits.admit(address("192.0.2.1"), false));
    EXPECT_EQ(refused.back().kind(), Kind::kTotalReached);
  }
  EXPECT_EQ(limits.admit(address("192.0.2.1"), false).kind(), Kind::kNone);
  refused.clear();
  EXPECT_EQ(limits.admit(address("192.0.2.1"), false).kind(), Kind::kTotalReached);
}

TEST(ConnectionLimits, CountsTheClientBehindAProxyWhenToldSo) {
  ConnectionLimits limits(10, 1, 1);
  auto first = limits.admit(address("10.0.0.1"), true);
  auto second = limits.admit(address("10.0.0.1"), true);
  EXPECT_EQ(second.kind(), Kind::kServed);
  EXPECT_TRUE(limits.count_client(first, address("192.0.2.1")));
  EXPECT_TRUE(limits.count_client(first, address("192.0.2.1"))) << "counted already";
  EXPECT_FALSE(limits.count_client(second, address("192.0.2.1")));
  first.release();
  EXPECT_TRUE(limits.count_client(second, address("192.0.2.1")));
}

TEST(ConnectionLimits, TellsWhenNoneIsLeft) {
  ConnectionLimits limits(10, 10, 1);
  EXPECT_TRUE(limits.wait_until_none(std::chrono::milliseconds(0)));
  auto one = limits.admit(address("192.0.2.1"), false);
  EXPECT_FALSE(limits.wait_until_none(std::chrono::milliseconds(0)));
  Admission moved = std::move(one);
  one.release();
  EXPECT_EQ(limits.open(), 1u);
  moved = Admission();
  EXPECT_TRUE(limits.wait_until_none(std::chrono::milliseconds(0)));
}

}  // namespace
}  // namespace countersign::net

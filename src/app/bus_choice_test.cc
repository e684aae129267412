#include "app/bus_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fake_clock.h"

namespace countersign::app {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class BusChoice : public testing::Test {
 protected:
  Result<std::unique_ptr<bus::Bus>> open(const std::string& url) {
    settings_.bus_url = url;
    return open_bus(settings_, "installation", clock_, random_, metrics_);
  }

  config::Settings settings_;
  base::FakeClock clock_;
  base::SystemRandom random_;
  base::Metrics metrics_;
};

TEST_F(BusChoice, LocalBusIsThereAtOnce) {
  const auto bus = open("local:");
  ASSERT_TRUE(bus.ok());
  EXPECT_TRUE((*bus)->connected());
}

TEST_F(BusChoice, NatsServersThatAreAwayStopNoStart) {
  const auto bus = open("nats://127.0.0.1:1");
  ASSERT_TRUE(bus.ok());
  EXPECT_FALSE((*bus)->connected());
  EXPECT_EQ((*bus)->publish("news", "x").code(), ErrorCode::kBusFailed);
}

TEST_F(BusChoice, WhatIsNoAddressIsRefusedWithoutQuotingThePassword) {
  const auto bus = open("nats://u:s3cret@a b");
  ASSERT_FALSE(bus.ok());
  EXPECT_EQ(bus.code(), ErrorCode::kBadSetting);
  EXPECT_THAT(bus.error().detail, Not(HasSubstr("s3cret")));
  settings_.bus_ca_file = "/absent.pem";
  EXPECT_EQ(open("nats://127.0.0.1:1").code(), ErrorCode::kUnreadableFile);
  settings_.bus_ca_file.clear();
  settings_.bus_password_file = "/absent";
  EXPECT_EQ(open("nats://127.0.0.1:1").code(), ErrorCode::kUnreadableFile);
}

}  // namespace
}  // namespace countersign::app

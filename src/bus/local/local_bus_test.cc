#include "bus/local/local_bus.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fake_clock.h"
#include "bus/handler_slot.h"

namespace countersign::bus {
namespace {

using ::testing::HasSubstr;

class LocalBusTest : public testing::Test {
 protected:
  base::FakeClock clock_;
  base::Metrics metrics_;
  std::unique_ptr<Bus> bus_ = make_local_bus(clock_, metrics_);
};

TEST_F(LocalBusTest, HandlesOnThePublishersThreadBeforePublishReturns) {
  std::thread::id runner;
  const auto a =
      bus_->subscribe("news", [&](const Payload&) { runner = std::this_thread::get_id(); });
  ASSERT_TRUE(bus_->publish("news", "x").ok());
  EXPECT_EQ(runner, std::this_thread::get_id());
}

TEST_F(LocalBusTest, SubscribersShareOnePayload) {
  const void* first = nullptr;
  const void* second = nullptr;
  const auto a = bus_->subscribe("news", [&](const Payload& payload) { first = payload.get(); });
  const auto b = bus_->subscribe("news", [&](const Payload& payload) { second = payload.get(); });
  ASSERT_TRUE(bus_->publish("news", "x").ok());
  EXPECT_NE(first, nullptr);
  EXPECT_EQ(first, second);
}

TEST_F(LocalBusTest, DroppingWhatAHandlerIsTooSlowForIsAGap) {
  int gaps = 0;
  bool flooded = false;
  bus_->on_gap([&] { ++gaps; });
  const auto a = bus_->subscribe("news", [&](const Payload&) {
    if (std::exchange(flooded, true)) return;
    for (std::size_t n = 0; n < HandlerSlot::kMaxWaiting + 1; ++n) {
      ASSERT_TRUE(bus_->publish("news", "x").ok());
    }
  });
  ASSERT_TRUE(bus_->publish("news", "x").ok());
  EXPECT_EQ(gaps, 1);
  EXPECT_THAT(metrics_.expose(), HasSubstr("countersign_bus_gaps_total{reason=\"slow\"} 1"));
}

TEST_F(LocalBusTest, SubscriptionsAndLeasesMayOutliveTheBus) {
  const auto a = bus_->subscribe("news", [](const Payload&) {});
  const auto leases = bus_->leases("nodes", std::chrono::seconds(10));
  bus_.reset();
  EXPECT_TRUE((*leases)->list().ok());
}

TEST_F(LocalBusTest, CountsWhatIsPublishedAndReceived) {
  const auto a = bus_->subscribe("news", [](const Payload&) {});
  const auto b = bus_->subscribe("news", [](const Payload&) {});
  ASSERT_TRUE(bus_->publish("news", "x").ok());
  ASSERT_TRUE(bus_->publish("other", "x").ok());
  const auto text = metrics_.expose();
  EXPECT_THAT(text, HasSubstr("countersign_bus_connected 1"));
  EXPECT_THAT(text, HasSubstr("countersign_bus_publications_total{result=\"published\"} 2"));
  EXPECT_THAT(text, HasSubstr("countersign_bus_received_total 2"));
}

}  // namespace
}  // namespace countersign::bus

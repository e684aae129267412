// NATS passes the contract of Bus.
#include "bus/conformance/conformance.h"

#include <string>

#include "bus/nats/nats_test_support.h"

namespace countersign::bus {
namespace {

/// One server for all tests of the suite; each test is an installation of its own.
NatsServer& server() {
  static NatsServer server;
  return server;
}

class NatsHarness final : public BusHarness {
 public:
  NatsHarness() {
    static int count = 0;
    const std::string installation = "conformance" + std::to_string(++count);
    first_ = first_node_.open(server().url(), installation);
    second_ = second_node_.open(server().url(), installation);
  }

  Bus& bus() override { return *first_; }
  Bus& second_bus() override { return *second_; }
  void tick() override { EXPECT_TRUE(flushed(*first_)); }

 private:
  TestNode first_node_;
  TestNode second_node_;
  std::unique_ptr<Bus> first_;
  std::unique_ptr<Bus> second_;
};

std::unique_ptr<BusHarness> make_nats_harness() { return std::make_unique<NatsHarness>(); }

INSTANTIATE_TEST_SUITE_P(Nats, BusConformance, testing::Values(&make_nats_harness));

}  // namespace
}  // namespace countersign::bus

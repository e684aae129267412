// The local bus passes the contract of Bus.
#include "bus/conformance/conformance.h"

#include "base/fake_clock.h"
#include "bus/local/local_bus.h"

namespace countersign::bus {
namespace {

class LocalHarness final : public BusHarness {
 public:
  Bus& bus() override { return *bus_; }
  Bus& second_bus() override { return *bus_; }  // there is one process
  void tick() override { clock_.advance(std::chrono::milliseconds(100)); }

 private:
  base::FakeClock clock_;
  base::Metrics metrics_;
  const std::unique_ptr<Bus> bus_ = make_local_bus(clock_, metrics_);
};

std::unique_ptr<BusHarness> make_local_harness() { return std::make_unique<LocalHarness>(); }

INSTANTIATE_TEST_SUITE_P(Local, BusConformance, testing::Values(&make_local_harness));

}  // namespace
}  // namespace countersign::bus

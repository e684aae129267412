// The contract of Bus as tests: every adapter instantiates this suite.
//
//     INSTANTIATE_TEST_SUITE_P(Local, BusConformance, testing::Values(&make_local_harness));
//
// Each test gets buses on which nobody else publishes.
// Thread-safety: a test's harness belongs to the test; its buses may be used from any thread.
#ifndef COUNTERSIGN_BUS_CONFORMANCE_CONFORMANCE_H_
#define COUNTERSIGN_BUS_CONFORMANCE_CONFORMANCE_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bus/bus.h"

namespace countersign::bus {

/// Longest wait of a test. A loaded machine is slow; a bus that does not answer fails anyway.
inline constexpr std::chrono::seconds kPatience{20};

/// What an adapter provides for its tests.
class BusHarness {
 public:
  virtual ~BusHarness() = default;
  virtual Bus& bus() = 0;
  /// The bus of another node of the same installation (of a bus within one process: the same).
  virtual Bus& second_bus() = 0;
  /// Lets a little time go by for leases: moves a clock of the test's own, or waits for an answer
  /// of the server.
  virtual void tick() = 0;
};

using BusHarnessFactory = std::unique_ptr<BusHarness> (*)();

/// Passes if the result is a value; else shows why not.
template <class T>
testing::AssertionResult succeeded(const Result<T>& result) {
  if (result.ok()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "failed: " << result.error().detail;
}

/// Passes if the result is a failure with this code.
template <class T>
testing::AssertionResult failed_with(const Result<T>& result, ErrorCode code) {
  if (result.ok()) return testing::AssertionFailure() << "succeeded";
  if (result.code() == code) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "failed otherwise: " << result.error().detail;
}

/// Collects what a subscription hears. Outlives the subscription.
class Heard {
 public:
  Handler handler() {
    return [this](const Payload& payload) { add(*payload); };
  }
  void add(const std::string& text);
  /// Waits until `count` payloads have come; false if they do not.
  bool wait_for(std::size_t count);
  /// Waits for this payload, which was published last.
  bool wait_for(const std::string& text);
  std::vector<std::string> all() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> all_;
};

/// Makes the subscription and waits until it is in force.
std::unique_ptr<Subscription> subscribed(Bus& bus, const std::string& subject, Handler handler);
/// Waits until every subscription of the bus is in force.
testing::AssertionResult flushed(Bus& bus);

/// How a subject is made of who somebody is.
using Naming = std::function<std::string(const std::string& application, const std::string& name)>;
/// What is wrong with the subjects of people whose names are hostile, a line for each: somebody
/// cannot be reached, or hears what is for another. Empty: they are sound.
std::string faults_of_naming(Bus& publisher, Bus& subscriber, const Naming& subject);

/// Runs `work(index)` on `count` threads that start together, and waits for all.
void in_parallel(int count, const std::function<void(int)>& work);

class BusConformance : public testing::TestWithParam<BusHarnessFactory> {
 protected:
  void SetUp() override { harness_ = GetParam()(); }
  void TearDown() override { harness_.reset(); }

  Bus& bus() { return harness_->bus(); }
  Bus& second_bus() { return harness_->second_bus(); }
  /// Ticks until the condition holds; false if it does not.
  bool eventually(const std::function<bool()>& condition);

 private:
  std::unique_ptr<BusHarness> harness_;
};

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_CONFORMANCE_CONFORMANCE_H_

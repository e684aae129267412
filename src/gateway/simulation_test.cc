// Seeded schedules. A failure prints its seed; COUNTERSIGN_SIMULATION_SEED=n runs that one alone,
// COUNTERSIGN_SIMULATION_SCHEDULES=n runs that many.
#include "gateway/simulation.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "base/log.h"

namespace countersign::gateway {
namespace {

std::uint64_t number_from_environment(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

class SimulationTest : public testing::Test {
 protected:
  SimulationTest() { base::set_log_level(base::LogLevel::kError); }
  ~SimulationTest() override { base::set_log_level(base::LogLevel::kInfo); }
};

TEST_F(SimulationTest, KeepsEveryPromiseInRandomSchedules) {
  const auto one = number_from_environment("COUNTERSIGN_SIMULATION_SEED", 0);
  const auto schedules =
      one != 0 ? 1 : number_from_environment("COUNTERSIGN_SIMULATION_SCHEDULES", 20'000);
  const std::uint64_t first = one != 0 ? one : 1;
  for (std::uint64_t seed = first; seed < first + schedules; ++seed) {
    const auto fault = run_schedule(seed);
    ASSERT_FALSE(fault.has_value()) << "seed " << seed << ": " << *fault;
  }
}

TEST_F(SimulationTest, IsDecidedByItsSeed) {
  int faults = 0;
  for (std::uint64_t seed = 1; seed < 50; ++seed) {
    const auto fault = run_schedule(seed, Mutant::kUncheckedRefresh);
    EXPECT_EQ(run_schedule(seed, Mutant::kUncheckedRefresh), fault) << seed;
    if (fault) ++faults;
  }
  EXPECT_GT(faults, 0) << "runs in which nothing went wrong look alike";
}

struct MutantRow {
  const char* name;
  Mutant mutant;
  const char* complaint;  // part of what the checks must say
};

class MutantTest : public SimulationTest, public testing::WithParamInterface<MutantRow> {};

TEST_P(MutantTest, IsNoticedWithinAThousandSchedules) {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    const auto fault = run_schedule(seed, GetParam().mutant);
    if (fault && fault->find(GetParam().complaint) != std::string::npos) return;
  }
  FAIL() << "no schedule noticed it";
}

INSTANTIATE_TEST_SUITE_P(Mutants, MutantTest,
                         testing::Values(MutantRow{"PollByIdWithGaps", Mutant::kPollByIdWithGaps,
                                                   "still connected after the end"},
                                         MutantRow{"UncheckedRefresh", Mutant::kUncheckedRefresh,
                                                   "refresh accepted a ticket of an ended session"},
                                         MutantRow{"ServesAfterExpiry", Mutant::kServesAfterExpiry,
                                                   "served after expiry"},
                                         MutantRow{"NeverFenced", Mutant::kNeverFenced,
                                                   "accepted while fenced"},
                                         MutantRow{"ForgetsTickets", Mutant::kForgetsTickets,
                                                   "a ticket that another device had shown"}),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace countersign::gateway

// Seeded schedules of messages. A failure prints its seed; COUNTERSIGN_SIMULATION_SEED=n runs that
// one alone (with COUNTERSIGN_SIMULATION_TRACE=1 it shows what clients say and hear),
// COUNTERSIGN_SIMULATION_SCHEDULES=n runs that many.
#include "gateway/message_simulation.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "base/log.h"

namespace countersign::gateway {
namespace {

std::uint64_t number_from_environment(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

class MessageSimulationTest : public testing::Test {
 protected:
  MessageSimulationTest() { base::set_log_level(base::LogLevel::kError); }
  ~MessageSimulationTest() override { base::set_log_level(base::LogLevel::kInfo); }
};

TEST_F(MessageSimulationTest, LosesNothingAndHidesNoHoleInRandomSchedules) {
  const auto one = number_from_environment("COUNTERSIGN_SIMULATION_SEED", 0);
  const auto schedules =
      one != 0 ? 1 : number_from_environment("COUNTERSIGN_SIMULATION_SCHEDULES", 20'000);
  const std::uint64_t first = one != 0 ? one : 1;
  for (std::uint64_t seed = first; seed < first + schedules; ++seed) {
    const auto fault = run_message_schedule(seed);
    ASSERT_FALSE(fault.has_value()) << "seed " << seed << ": " << *fault;
  }
}

TEST_F(MessageSimulationTest, IsDecidedByItsSeed) {
  int faults = 0;
  for (std::uint64_t seed = 1; seed < 30; ++seed) {
    const auto fault = run_message_schedule(seed, MessageMutant::kSequenceOffsets);
    EXPECT_EQ(run_message_schedule(seed, MessageMutant::kSequenceOffsets), fault) << seed;
    if (fault) ++faults;
  }
  EXPECT_GT(faults, 0) << "runs in which nothing went wrong look alike";
}

struct MutantRow {
  const char* name;
  MessageMutant mutant;
  const char* complaint;  // part of what the checks must say
};

class MessageMutantTest : public MessageSimulationTest,
                          public testing::WithParamInterface<MutantRow> {};

TEST_P(MessageMutantTest, IsNoticedWithinAThousandSchedules) {
  std::string heard;
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    const auto fault = run_message_schedule(seed, GetParam().mutant);
    if (fault && fault->find(GetParam().complaint) != std::string::npos) return;
    if (fault) heard = *fault;
  }
  FAIL() << "no schedule noticed it; the last said: " << heard;
}

INSTANTIATE_TEST_SUITE_P(
    Mutants, MessageMutantTest,
    testing::Values(
        MutantRow{"AcknowledgeBeforeCommit", MessageMutant::kAcknowledgeBeforeCommit,
                  "but not in the inbox"},
        MutantRow{"SequenceOffsets", MessageMutant::kSequenceOffsets, "never got entry"},
        MutantRow{"TwoStatementResume", MessageMutant::kTwoStatementResume, "does not follow"},
        MutantRow{"RestoreUnnoticed", MessageMutant::kRestoreUnnoticed, "has another entry"},
        MutantRow{"DedupeByIdAlone", MessageMutant::kDedupeByIdAlone, "but not in the inbox"},
        MutantRow{"NeverReadAgain", MessageMutant::kNeverReadAgain, "never got entry"},
        MutantRow{"OffsetReused", MessageMutant::kOffsetReused, "has another entry"},
        MutantRow{"SubjectTrusted", MessageMutant::kSubjectTrusted, "has another entry"},
        MutantRow{"FanOutToMembersOfNow", MessageMutant::kFanOutToMembersOfNow, "never came into"},
        MutantRow{"RemovedStillServed", MessageMutant::kRemovedStillServed, "not for them"},
        MutantRow{"RemovedMaySend", MessageMutant::kRemovedMaySend, "who is no member"},
        MutantRow{"NoCarbonInGroups", MessageMutant::kNoCarbonInGroups, "never came into"},
        MutantRow{"FanOutOvertaken", MessageMutant::kFanOutOvertaken, "out of order"},
        MutantRow{"CountsMembersOfNow", MessageMutant::kCountsMembersOfNow, "was no member"},
        MutantRow{"BlocksIgnoredInGroups", MessageMutant::kBlocksIgnoredInGroups,
                  "somebody they block"},
        MutantRow{"ReadsWhatIsDelivered", MessageMutant::kReadsWhatIsDelivered,
                  "nobody said they had read"}),
    [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace countersign::gateway

// Leases.
#include <atomic>
#include <optional>
#include <string>

#include <gmock/gmock.h>

#include "bus/conformance/conformance.h"

namespace countersign::bus {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

/// Whether nobody holds one; false if it cannot be seen.
bool none_held(Leases& leases) {
  const auto held = leases.list();
  EXPECT_TRUE(succeeded(held));
  return held.ok() && held->empty();
}

std::unique_ptr<Leases> opened(Bus& bus, const std::string& bucket,
                               milliseconds time_to_live = hours(1)) {
  auto leases = bus.leases(bucket, time_to_live);
  EXPECT_TRUE(succeeded(leases));
  return leases.ok() ? std::move(*leases) : nullptr;
}

TEST_P(BusConformance, LeaseIsHeldByOneAlone) {
  const auto mine = opened(bus(), "nodes");
  const auto theirs = opened(second_bus(), "nodes");
  ASSERT_TRUE(succeeded(mine->acquire("node1", "a")));
  EXPECT_TRUE(failed_with(theirs->acquire("node1", "b"), ErrorCode::kAlreadyExists));
  EXPECT_TRUE(failed_with(mine->acquire("node1", "a"), ErrorCode::kAlreadyExists));
  EXPECT_TRUE(succeeded(theirs->acquire("node2", "b")));
}

TEST_P(BusConformance, ListShowsWhatIsHeldOnAllNodes) {
  const auto mine = opened(bus(), "nodes");
  const auto theirs = opened(second_bus(), "nodes");
  EXPECT_THAT(*theirs->list(), IsEmpty());
  ASSERT_TRUE(succeeded(mine->acquire("node1", "a")));
  const auto revision = theirs->acquire("node.2", std::string("b\0\xff", 3));
  ASSERT_TRUE(succeeded(revision));
  for (const auto& leases : {mine.get(), theirs.get()}) {
    const auto held = leases->list();
    ASSERT_TRUE(succeeded(held));
    EXPECT_THAT(
        *held, UnorderedElementsAre(Pair("node1", "a"), Pair("node.2", std::string("b\0\xff", 3))));
  }
  ASSERT_TRUE(succeeded(theirs->release("node.2", *revision)));
  EXPECT_THAT(*mine->list(), UnorderedElementsAre(Pair("node1", "a")));
}

TEST_P(BusConformance, RenewalWantsTheLatestRevision) {
  const auto mine = opened(bus(), "nodes");
  const auto first = mine->acquire("node1", "a");
  ASSERT_TRUE(succeeded(first));
  const auto second = mine->renew("node1", "b", *first);
  ASSERT_TRUE(succeeded(second));
  EXPECT_NE(*second, *first);
  EXPECT_TRUE(failed_with(mine->renew("node1", "c", *first), ErrorCode::kAbsent));
  EXPECT_THAT(*mine->list(), UnorderedElementsAre(Pair("node1", "b")));
  EXPECT_TRUE(failed_with(mine->renew("node2", "c", *second), ErrorCode::kAbsent));
  EXPECT_TRUE(failed_with(mine->renew("node2", "c", 0), ErrorCode::kAbsent));
}

TEST_P(BusConformance, ReleasedLeaseIsFreeForOthers) {
  const auto mine = opened(bus(), "nodes");
  const auto theirs = opened(second_bus(), "nodes");
  for (int round = 0; round < 3; ++round) {
    const auto revision = mine->acquire("node1", "a");
    ASSERT_TRUE(succeeded(revision));
    ASSERT_TRUE(succeeded(mine->release("node1", *revision)));
    EXPECT_TRUE(failed_with(mine->renew("node1", "a", *revision), ErrorCode::kAbsent));
    const auto next = theirs->acquire("node1", "b");
    ASSERT_TRUE(succeeded(next));
    ASSERT_TRUE(succeeded(theirs->release("node1", *next)));
  }
  EXPECT_THAT(*mine->list(), IsEmpty());
}

TEST_P(BusConformance, ReleaseLeavesTheNextHolderAlone) {
  const auto mine = opened(bus(), "nodes");
  const auto theirs = opened(second_bus(), "nodes");
  const auto old = mine->acquire("node1", "a");
  ASSERT_TRUE(succeeded(old));
  ASSERT_TRUE(succeeded(mine->release("node1", *old)));
  const auto next = theirs->acquire("node1", "b");
  ASSERT_TRUE(succeeded(next));
  EXPECT_TRUE(succeeded(mine->release("node1", *old)));
  EXPECT_TRUE(succeeded(mine->release("never", *old)));
  EXPECT_THAT(*mine->list(), UnorderedElementsAre(Pair("node1", "b")));
  EXPECT_TRUE(succeeded(theirs->renew("node1", "b", *next)));
}

TEST_P(BusConformance, LeaseThatIsNotRenewedEnds) {
  const auto mine = opened(bus(), "nodes", seconds(1));
  const auto revision = mine->acquire("node1", "a");
  ASSERT_TRUE(succeeded(revision));
  ASSERT_TRUE(eventually([&] { return none_held(*mine); }));
  EXPECT_TRUE(failed_with(mine->renew("node1", "a", *revision), ErrorCode::kAbsent));
  EXPECT_TRUE(succeeded(mine->acquire("node1", "b")));
}

TEST_P(BusConformance, RenewalProlongsALease) {
  const auto kept = opened(bus(), "kept", seconds(3));
  const auto left = opened(bus(), "left", seconds(5));
  auto revision = kept->acquire("node1", "a");
  ASSERT_TRUE(succeeded(revision));
  ASSERT_TRUE(succeeded(left->acquire("node1", "a")));
  // When the 5 s of the one are over, the other has long lived past its 3 s.
  ASSERT_TRUE(eventually([&] {
    revision = kept->renew("node1", "a", *revision);
    return !revision.ok() || none_held(*left);
  }));
  EXPECT_TRUE(succeeded(revision));
  EXPECT_THAT(*kept->list(), UnorderedElementsAre(Pair("node1", "a")));
}

TEST_P(BusConformance, OfManyWhoTryOneAcquires) {
  const auto mine = opened(bus(), "nodes");
  const auto theirs = opened(second_bus(), "nodes");
  for (int round = 0; round < 10; ++round) {
    const std::string key = "node" + std::to_string(round);
    std::atomic<int> won{0};
    std::atomic<int> lost{0};
    in_parallel(8, [&](int index) {
      const auto got = (index % 2 == 0 ? mine : theirs)->acquire(key, std::to_string(index));
      if (got.ok()) {
        ++won;
      } else if (got.code() == ErrorCode::kAlreadyExists) {
        ++lost;
      }
    });
    EXPECT_EQ(won, 1);
    EXPECT_EQ(lost, 7);
  }
}

TEST_P(BusConformance, OfManyWhoRenewOneRevisionOneSucceeds) {
  const auto mine = opened(bus(), "nodes");
  const auto theirs = opened(second_bus(), "nodes");
  auto revision = mine->acquire("node1", "a");
  ASSERT_TRUE(succeeded(revision));
  for (int round = 0; round < 10; ++round) {
    std::atomic<int> won{0};
    std::atomic<std::uint64_t> next{0};
    in_parallel(8, [&](int index) {
      const auto got =
          (index % 2 == 0 ? mine : theirs)->renew("node1", std::to_string(index), *revision);
      if (!got.ok()) return;
      ++won;
      next = *got;
    });
    ASSERT_EQ(won, 1);
    *revision = next;
  }
}

TEST_P(BusConformance, OfManyWhoTakeAReleasedLeaseOneSucceeds) {
  const auto mine = opened(bus(), "nodes");
  const auto theirs = opened(second_bus(), "nodes");
  for (int round = 0; round < 10; ++round) {
    const auto first = mine->acquire("node1", "a");
    ASSERT_TRUE(succeeded(first));
    ASSERT_TRUE(succeeded(mine->release("node1", *first)));
    std::atomic<int> won{0};
    std::atomic<std::uint64_t> revision{0};
    in_parallel(6, [&](int index) {
      const auto got = (index % 2 == 0 ? mine : theirs)->acquire("node1", std::to_string(index));
      if (!got.ok()) return;
      ++won;
      revision = *got;
    });
    ASSERT_EQ(won, 1);
    ASSERT_TRUE(succeeded(theirs->release("node1", revision)));
  }
}

TEST_P(BusConformance, BucketsAreKeptApart) {
  const auto nodes = opened(bus(), "nodes");
  const auto calls = opened(bus(), "calls");
  ASSERT_TRUE(succeeded(nodes->acquire("one", "a")));
  EXPECT_TRUE(succeeded(calls->acquire("one", "b")));
  EXPECT_THAT(*nodes->list(), UnorderedElementsAre(Pair("one", "a")));
  EXPECT_THAT(*calls->list(), UnorderedElementsAre(Pair("one", "b")));
}

TEST_P(BusConformance, LatestTimeToLiveOfABucketCounts) {
  const auto before = opened(bus(), "nodes", hours(1));
  const auto after = opened(second_bus(), "nodes", seconds(1));
  ASSERT_TRUE(succeeded(before->acquire("node1", "a")));
  EXPECT_TRUE(eventually([&] { return none_held(*after); }));
}

TEST_P(BusConformance, BadNamesAndTimesAreRefused) {
  for (const std::string bucket : {"", "a.b", "a b", "*", ">", "A", "a/b"}) {
    EXPECT_TRUE(failed_with(bus().leases(bucket, hours(1)), ErrorCode::kBadRequest)) << bucket;
  }
  EXPECT_TRUE(failed_with(bus().leases("nodes", milliseconds(999)), ErrorCode::kBadRequest));
  EXPECT_TRUE(failed_with(bus().leases("nodes", hours(25)), ErrorCode::kBadRequest));
  const auto leases = opened(bus(), "nodes");
  for (const std::string key : {"", ">", "*", "a.", ".a", "a b", "A", "a.>"}) {
    EXPECT_TRUE(failed_with(leases->acquire(key, "x"), ErrorCode::kBadRequest)) << key;
    EXPECT_TRUE(failed_with(leases->renew(key, "x", 1), ErrorCode::kBadRequest)) << key;
    EXPECT_TRUE(failed_with(leases->release(key, 1), ErrorCode::kBadRequest)) << key;
  }
}

}  // namespace
}  // namespace countersign::bus

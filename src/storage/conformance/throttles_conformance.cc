// What every ThrottleStore, KnownDeviceStore and MetaStore must do.
#include "storage/conformance/conformance.h"

namespace countersign::storage {
namespace {

using Counters = std::span<ThrottleCounter>;

TEST_P(StoreConformance, AnUnknownCounterIsZeroAndAnUpdatedOneIsKept) {
  const std::vector<std::string> keys{"account/ann", "prefix/192.0.2.1"};
  const Result<bool> first = store().throttles().update(keys, [](Counters counters) {
    EXPECT_EQ(counters.size(), 2u);
    for (const ThrottleCounter& counter : counters) {
      EXPECT_EQ(counter.failures, 0u);
      EXPECT_EQ(counter.window_start, SystemTime());
      EXPECT_EQ(counter.blocked_until, SystemTime());
    }
    counters[0] = ThrottleCounter{1, at(1), at(2), at(3)};
    counters[1] = ThrottleCounter{4000000000u, at(4), at(5), at(6)};
    return true;
  });
  EXPECT_TRUE(first.value());
  reopen();
  const Result<bool> second = store().throttles().update(keys, [](Counters counters) {
    EXPECT_EQ(counters[0].failures, 1u);
    EXPECT_EQ(counters[0].window_start, at(1));
    EXPECT_EQ(counters[0].last_failure, at(2));
    EXPECT_EQ(counters[0].blocked_until, at(3));
    EXPECT_EQ(counters[1].failures, 4000000000u);
    EXPECT_EQ(counters[1].blocked_until, at(6));
    return false;
  });
  EXPECT_FALSE(second.value());
}

TEST_P(StoreConformance, ARefusedUpdateWritesNothing) {
  const std::vector<std::string> keys{"key"};
  EXPECT_FALSE(store()
                   .throttles()
                   .update(keys,
                           [](Counters counters) {
                             counters[0].failures = 9;
                             return false;
                           })
                   .value());
  store()
      .throttles()
      .update(keys,
              [](Counters counters) {
                EXPECT_EQ(counters[0].failures, 0u);
                return false;
              })
      .value();
}

TEST_P(StoreConformance, CountersAreHandedOverInTheOrderOfTheirKeys) {
  store()
      .throttles()
      .update(std::vector<std::string>{"a", "b"},
              [](Counters counters) {
                counters[0].failures = 1;
                counters[1].failures = 2;
                return true;
              })
      .value();
  store()
      .throttles()
      .update(std::vector<std::string>{"b", "none", "a"},
              [](Counters counters) {
                EXPECT_EQ(counters[0].failures, 2u);
                EXPECT_EQ(counters[1].failures, 0u);
                EXPECT_EQ(counters[2].failures, 1u);
                return false;
              })
      .value();
}

TEST_P(StoreConformance, RemovedCountersAreZeroAgain) {
  const std::vector<std::string> keys{"a", "b"};
  const auto count = [](Counters counters) {
    for (ThrottleCounter& counter : counters) ++counter.failures;
    return true;
  };
  store().throttles().update(keys, count).value();
  ASSERT_TRUE(succeeded(store().throttles().remove(std::vector<std::string>{"a", "unknown"})));
  store()
      .throttles()
      .update(keys,
              [](Counters counters) {
                EXPECT_EQ(counters[0].failures, 0u);
                EXPECT_EQ(counters[1].failures, 1u);
                return false;
              })
      .value();
}

TEST_P(StoreConformance, OldCountersGoUnlessTheyStillBlock) {
  const std::vector<std::string> keys{"old", "blocking", "young", "older"};
  store()
      .throttles()
      .update(keys,
              [](Counters counters) {
                counters[0] = ThrottleCounter{1, at(0), at(10), SystemTime()};
                counters[1] = ThrottleCounter{1, at(0), at(10), at(500)};
                counters[2] = ThrottleCounter{1, at(0), at(100), SystemTime()};
                counters[3] = ThrottleCounter{1, at(0), at(5), SystemTime()};
                return true;
              })
      .value();
  EXPECT_EQ(store().throttles().remove_older("", at(100), 1).value(), 1u);
  EXPECT_EQ(store().throttles().remove_older("", at(100), 10).value(), 1u);
  store()
      .throttles()
      .update(keys,
              [](Counters counters) {
                EXPECT_EQ(counters[0].failures, 0u);
                EXPECT_EQ(counters[1].failures, 1u);
                EXPECT_EQ(counters[2].failures, 1u);
                EXPECT_EQ(counters[3].failures, 0u);
                return false;
              })
      .value();
}

TEST_P(StoreConformance, OldCountersGoByTheBeginningOfTheirKeys) {
  const std::vector<std::string> keys{"minute:a", "minute:~", "minutes:a", "minute", "hour:a"};
  store()
      .throttles()
      .update(keys,
              [](Counters counters) {
                for (ThrottleCounter& counter : counters) {
                  counter = ThrottleCounter{1, at(0), at(10), SystemTime()};
                }
                return true;
              })
      .value();
  EXPECT_EQ(store().throttles().remove_older("minute:", at(10), 10).value(), 0u);
  EXPECT_EQ(store().throttles().remove_older("minute:", at(11), 10).value(), 2u);
  EXPECT_EQ(store().throttles().remove_older("", at(11), 10).value(), 3u);
}

TEST_P(StoreConformance, ATryOfAKnownDeviceIsGivenBack) {
  const AccountId ann = create_account("ann");
  KnownDeviceStore& devices = store().known_devices();
  ASSERT_TRUE(succeeded(devices.create_device(KnownDevice{"token", ann, 0, at(0)}, 5)));
  ASSERT_TRUE(succeeded(devices.give_back_try("token"))) << "there is nothing to give back";
  ASSERT_TRUE(succeeded(devices.give_back_try("unknown")));
  EXPECT_TRUE(devices.reserve_try("token", ann, 1).value());
  EXPECT_FALSE(devices.reserve_try("token", ann, 1).value());
  ASSERT_TRUE(succeeded(devices.give_back_try("token")));
  EXPECT_TRUE(devices.reserve_try("token", ann, 1).value());
  EXPECT_FALSE(devices.reserve_try("token", ann, 1).value());
}

TEST_P(StoreConformance, AKnownDeviceHasItsOwnTries) {
  const AccountId ann = create_account("ann");
  const AccountId bob = create_account("bob");
  const std::string token("\0token hash \xFF", 13);
  ASSERT_TRUE(
      succeeded(store().known_devices().create_device(KnownDevice{token, ann, 0, at(0)}, 5)));
  reopen();
  EXPECT_FALSE(store().known_devices().reserve_try("unknown", ann, 2).value());
  EXPECT_FALSE(store().known_devices().reserve_try(token, bob, 2).value());
  EXPECT_TRUE(store().known_devices().reserve_try(token, ann, 2).value());
  EXPECT_TRUE(store().known_devices().reserve_try(token, ann, 2).value());
  EXPECT_FALSE(store().known_devices().reserve_try(token, ann, 2).value());
  ASSERT_TRUE(succeeded(store().known_devices().clear_failures(token)));
  ASSERT_TRUE(succeeded(store().known_devices().clear_failures("unknown")));
  EXPECT_TRUE(store().known_devices().reserve_try(token, ann, 2).value());
}

TEST_P(StoreConformance, TheOldestKnownDevicesGoWhenThereAreTooMany) {
  const AccountId ann = create_account("ann");
  const AccountId bob = create_account("bob");
  KnownDeviceStore& devices = store().known_devices();
  ASSERT_TRUE(succeeded(devices.create_device(KnownDevice{"foreign", bob, 0, at(0)}, 2)));
  ASSERT_TRUE(succeeded(devices.create_device(KnownDevice{"first", ann, 0, at(1)}, 2)));
  ASSERT_TRUE(succeeded(devices.create_device(KnownDevice{"second", ann, 0, at(2)}, 2)));
  ASSERT_TRUE(succeeded(devices.create_device(KnownDevice{"third", ann, 0, at(3)}, 2)));
  EXPECT_FALSE(devices.reserve_try("first", ann, 10).value());
  EXPECT_TRUE(devices.reserve_try("second", ann, 10).value());
  EXPECT_TRUE(devices.reserve_try("third", ann, 10).value());
  EXPECT_TRUE(devices.reserve_try("foreign", bob, 10).value());
}

TEST_P(StoreConformance, RefusesADeviceWithoutAccountOrWithATokenInUse) {
  const AccountId ann = create_account("ann");
  KnownDeviceStore& devices = store().known_devices();
  EXPECT_TRUE(failed_with(devices.create_device(KnownDevice{"x", AccountId("nobody"), 0, at(0)}, 5),
                          ErrorCode::kAbsent));
  ASSERT_TRUE(succeeded(devices.create_device(KnownDevice{"token", ann, 0, at(0)}, 5)));
  EXPECT_TRUE(failed_with(devices.create_device(KnownDevice{"token", ann, 0, at(0)}, 5),
                          ErrorCode::kAlreadyExists));
}

TEST_P(StoreConformance, NamedValuesAreKept) {
  MetaStore& meta = store().meta();
  EXPECT_FALSE(meta.get("name").value().has_value());
  ASSERT_TRUE(succeeded(meta.set("name", "one")));
  ASSERT_TRUE(succeeded(meta.set("name", "two")));
  ASSERT_TRUE(succeeded(meta.set("empty", "")));
  reopen();
  EXPECT_EQ(store().meta().get("name").value(), "two");
  EXPECT_EQ(store().meta().get("empty").value(), "");
}

TEST_P(StoreConformance, TheFirstValueStands) {
  EXPECT_EQ(store().meta().set_if_absent("name", "one").value(), "one");
  EXPECT_EQ(store().meta().set_if_absent("name", "two").value(), "one");
  EXPECT_EQ(store().meta().get("name").value(), "one");
}

TEST_P(StoreConformance, AnswersPing) { EXPECT_TRUE(succeeded(store().ping())); }

}  // namespace
}  // namespace countersign::storage

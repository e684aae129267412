// What every InstanceStore must do with tickets that are good for one device only.
#include <atomic>

#include "storage/conformance/conformance.h"

namespace countersign::storage {
namespace {

PresentedTicket ticket(const std::string& name, const std::string& device) {
  PresentedTicket presented;
  presented.digest = name + std::string(32 - name.size(), '\0');
  presented.device = device;
  presented.expires = at(1060);
  return presented;
}

Instance instance_of(const std::string& device, const std::string& user = "Ann Lee") {
  Instance instance = sample_instance(user + "-" + device);
  instance.identity.endpoint = user;
  instance.device = device;
  return instance;
}

/// A device shows a ticket and has no instance yet.
Result<void> show(Store& store, const std::string& name, const std::string& device,
                  const std::string& user = "Ann Lee") {
  return store.instances().create_instance(instance_of(device, user), 1000, ticket(name, device));
}

/// A device shows a ticket to prolong the instance it has.
Result<void> show_again(Store& store, const PresentedTicket& presented,
                        const std::string& instance_device) {
  return store.instances().refresh_instance(instance_of(instance_device).id, std::nullopt, at(20),
                                            at(2000), presented);
}

TEST_P(StoreConformance, TheFirstDeviceMayShowItsTicketAgain) {
  ASSERT_TRUE(succeeded(show(store(), "one", "tab")));
  reopen();
  EXPECT_TRUE(succeeded(show_again(store(), ticket("one", "tab"), "tab")));
  ASSERT_TRUE(store().instances().end_instance(instance_of("tab").id).value());
  EXPECT_TRUE(succeeded(show(store(), "one", "tab")));
}

TEST_P(StoreConformance, AnotherDeviceMayNotShowATicketAgain) {
  ASSERT_TRUE(succeeded(show(store(), "one", "tab")));
  reopen();
  EXPECT_TRUE(failed_with(show(store(), "one", "phone"), ErrorCode::kReplayed));
  EXPECT_FALSE(instance_exists(instance_of("phone").id));
  EXPECT_TRUE(succeeded(show(store(), "two", "phone")));
}

TEST_P(StoreConformance, WithoutADeviceEveryRepeatIsRefused) {
  Instance nameless = instance_of("made-up");
  ASSERT_TRUE(succeeded(store().instances().create_instance(nameless, 9, ticket("one", ""))));
  EXPECT_TRUE(failed_with(show_again(store(), ticket("one", ""), "made-up"), ErrorCode::kReplayed));
  EXPECT_TRUE(failed_with(show(store(), "one", "tab"), ErrorCode::kReplayed));
  ASSERT_TRUE(succeeded(show(store(), "two", "tab")));
  EXPECT_TRUE(failed_with(show_again(store(), ticket("two", ""), "tab"), ErrorCode::kReplayed));
}

TEST_P(StoreConformance, ARefreshUsesUpItsTicketToo) {
  ASSERT_TRUE(succeeded(show(store(), "one", "tab")));
  ASSERT_TRUE(succeeded(show(store(), "two", "phone")));
  ASSERT_TRUE(succeeded(show_again(store(), ticket("three", "tab"), "tab")));
  EXPECT_TRUE(failed_with(show(store(), "three", "laptop"), ErrorCode::kReplayed));

  const Instance before =
      store().instances().find_instance(instance_of("phone").id).value().value();
  EXPECT_TRUE(
      failed_with(show_again(store(), ticket("three", "phone"), "phone"), ErrorCode::kReplayed));
  EXPECT_EQ(store().instances().find_instance(before.id).value()->expires, before.expires);
}

TEST_P(StoreConformance, ARefusedInstanceUsesUpNoTicket) {
  Instance revoked = instance_of("tab");
  revoked.session = SessionHandle("unknown");
  EXPECT_TRUE(failed_with(store().instances().create_instance(revoked, 9, ticket("one", "tab")),
                          ErrorCode::kRevoked));
  EXPECT_TRUE(
      failed_with(store().instances().create_instance(instance_of("tab"), 0, ticket("one", "tab")),
                  ErrorCode::kLimitExceeded));
  EXPECT_TRUE(failed_with(show_again(store(), ticket("one", "tab"), "tab"), ErrorCode::kAbsent));
  EXPECT_TRUE(succeeded(show(store(), "one", "phone")));
}

TEST_P(StoreConformance, NotedTicketsAreBoundedAndNeverForgotten) {
  const auto show_bounded = [this](const std::string& name, const std::string& user) {
    PresentedTicket presented = ticket(name, "tab-" + name);
    presented.max_noted = 3;
    return store().instances().create_instance(instance_of(presented.device, user), 9, presented);
  };
  for (const char* name : {"one", "two", "three"}) {
    ASSERT_TRUE(succeeded(show_bounded(name, name)));
  }
  EXPECT_TRUE(failed_with(show_bounded("four", "four"), ErrorCode::kOverloaded));
  EXPECT_TRUE(failed_with(show(store(), "one", "phone"), ErrorCode::kReplayed));
  // Who is noted already needs no room.
  ASSERT_TRUE(store().instances().end_instance(instance_of("tab-one", "one").id).value());
  EXPECT_TRUE(succeeded(show_bounded("one", "one")));
  EXPECT_EQ(store().instances().remove_expired(at(1061), 100).value(), 3u + 3u);
  EXPECT_TRUE(succeeded(show_bounded("four", "four")));
}

TEST_P(StoreConformance, AnIdentityHasABoundOfItsOwn) {
  const auto show_bounded = [this](const std::string& name, const std::string& user) {
    PresentedTicket presented = ticket(name, "tab-" + name);
    presented.max_noted_of_identity = 2;
    return store().instances().create_instance(instance_of(presented.device, user), 9, presented);
  };
  ASSERT_TRUE(succeeded(show_bounded("one", "ann")));
  ASSERT_TRUE(succeeded(show_bounded("two", "ann")));
  EXPECT_TRUE(failed_with(show_bounded("three", "ann"), ErrorCode::kLimitExceeded));
  EXPECT_TRUE(succeeded(show_bounded("four", "bob")));
}

TEST_P(StoreConformance, ANotedTicketOutlivesItsInstanceUntilItExpires) {
  ASSERT_TRUE(succeeded(show(store(), "one", "tab")));
  // The instance expires at 1000, the ticket with the verifier's skew at 1060.
  EXPECT_EQ(store().instances().remove_expired(at(1060), 100).value(), 1u);
  EXPECT_FALSE(instance_exists(instance_of("tab").id));
  EXPECT_TRUE(failed_with(show(store(), "one", "phone"), ErrorCode::kReplayed));
  EXPECT_EQ(store().instances().remove_expired(at(1061), 100).value(), 1u);
  EXPECT_TRUE(succeeded(show(store(), "one", "phone")));
}

TEST_P(StoreConformance, NotedTicketsAreRemovedInPortions) {
  for (const char* name : {"one", "two", "three"}) {
    ASSERT_TRUE(succeeded(show(store(), name, name)));
  }
  EXPECT_EQ(store().instances().remove_expired(at(2000), 4).value(), 4u);
  EXPECT_EQ(store().instances().remove_expired(at(2000), 4).value(), 2u);
  EXPECT_EQ(store().instances().remove_expired(at(2000), 4).value(), 0u);
}

TEST_P(StoreConformance, OneOfManyDevicesThatShowATicketAtOnceGetsIn) {
  constexpr int kDevices = 8;
  open_both();
  std::atomic<int> in = 0;
  std::atomic<int> replayed = 0;
  in_parallel(kDevices, [&](int i) {
    const Result<void> shown = show(store_of(i), "one", "device-" + std::to_string(i));
    if (shown.ok()) ++in;
    if (failed_with(shown, ErrorCode::kReplayed)) ++replayed;
  });
  EXPECT_EQ(in, 1);
  EXPECT_EQ(replayed, kDevices - 1);
}

TEST_P(StoreConformance, TheBoundOfNotedTicketsHoldsForConcurrentConnects) {
  constexpr int kThreads = 8;
  open_both();
  std::atomic<int> in = 0;
  in_parallel(kThreads, [&](int i) {
    for (int n = 0; n < 3; ++n) {
      const std::string name = std::to_string(i) + "-" + std::to_string(n);
      PresentedTicket presented = ticket(name, name);
      presented.max_noted = 5;
      if (store_of(i).instances().create_instance(instance_of(name), 1000, presented).ok()) ++in;
    }
  });
  EXPECT_EQ(in, 5);
}

}  // namespace
}  // namespace countersign::storage

// What every CallbackStore must do, and what the other stores write into it.
#include "storage/conformance/callbacks_conformance.h"

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <vector>

namespace countersign::storage {
namespace {

TEST_P(CallbackConformance, ANewStoreWritesNone) {
  send(text("ann", {"bob"}, "m1"));
  start_instance("one");
  EXPECT_EQ(counts().waiting, 0U);
  EXPECT_TRUE(lease(1'000).empty());
}

TEST_P(CallbackConformance, AMessageIsToldWithItsSenderAndItsPlace) {
  keep();
  const Sent sent = send(text("ann", {"bob"}, "m1"));
  const std::vector<Callback> due = lease(1'000);
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].kind, CallbackKind::kMessageSent);
  EXPECT_EQ(due[0].user, user("ann"));
  EXPECT_EQ(due[0].conversation, sent.conversation);
  EXPECT_EQ(due[0].seq, sent.seq);
  EXPECT_EQ(due[0].message_id, "m1");
  EXPECT_EQ(due[0].time, sent.time);
  EXPECT_EQ(due[0].attempts, 0U);
  EXPECT_FALSE(due[0].dead);
  EXPECT_FALSE(due[0].key.empty());
}

TEST_P(CallbackConformance, ARepeatAndARefusedMessageAreNotTold) {
  keep();
  send(text("ann", {"bob"}, "m1"));
  ASSERT_TRUE(accept(store(), text("ann", {"bob"}, "m1")).value().duplicate);
  EXPECT_EQ(refusal(text("ann", {"nobody"}, "m2")), ErrorCode::kUnknownTarget);
  EXPECT_EQ(counts().waiting, 1U);
}

TEST_P(CallbackConformance, ADeliveredHorizonIsToldOnceForEachMove) {
  keep();
  const Sent first = send(text("ann", {"bob"}, "m1"));
  const Sent second = send(text("ann", {"bob"}, "m2"));
  take_all();
  ASSERT_TRUE(succeeded(ack("bob", 2)));
  ASSERT_TRUE(succeeded(ack("bob", 2)));
  const std::vector<Callback> told = take_all();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].kind, CallbackKind::kMessageDelivered);
  EXPECT_EQ(told[0].user, user("bob"));
  EXPECT_EQ(told[0].conversation, first.conversation);
  EXPECT_EQ(told[0].seq, second.seq);
}

TEST_P(CallbackConformance, InstancesAreToldWhenTheyStartAndHoweverTheyEnd) {
  keep();
  for (const char* name : {"a", "b", "c", "d"}) start_instance(name);
  const Instance last = sample_instance("d");
  ASSERT_TRUE(store().instances().end_instance(sample_instance("a").id).value());
  Revocation one;
  one.scope = RevocationScope::kInstance;
  one.instance = sample_instance("b").id;
  ASSERT_TRUE(succeeded(store().revocations().add(std::vector<Revocation>{one})));
  ASSERT_TRUE(
      succeeded(store().instances().remove_expired(last.expires + std::chrono::hours(1), 1)));
  ASSERT_TRUE(succeeded(store().revocations().add(
      std::vector<Revocation>{identity_revocation(last.identity, at(50))})));
  std::vector<std::string> names;
  for (const char* name : {"a", "b", "c", "d"}) names.push_back(sample_instance(name).id.text());
  std::vector<std::string> started;
  std::multiset<std::string> ended;
  for (const Callback& told : take_all()) {
    EXPECT_EQ(told.user.application, last.application_key);
    EXPECT_EQ(told.user.identity, last.identity);
    if (told.kind == CallbackKind::kInstanceStarted) {
      started.push_back(told.instance);
    } else {
      EXPECT_EQ(told.kind, CallbackKind::kInstanceEnded);
      ended.insert(told.instance);
    }
  }
  EXPECT_EQ(started, names);
  EXPECT_EQ(ended, (std::multiset<std::string>(names.begin(), names.end())));
}

TEST_P(CallbackConformance, AnInstanceIsToldToEndWithItsSession) {
  keep();
  const AccountId cid("account-cid");
  Account account = sample_account("cid");
  account.id = cid;
  ASSERT_TRUE(succeeded(store().accounts().create_account(account, "hash")));
  const SignInSession session = sample_session("one", cid);
  ASSERT_TRUE(succeeded(store().sessions().create_session(session, 10)));
  const Instance instance = sample_instance("one", session.handle);
  ASSERT_TRUE(succeeded(store().instances().create_instance(instance, 10)));
  ASSERT_TRUE(store().sessions().end_session(session.handle, "sign_out", at(50)).value());
  const std::vector<Callback> told = take_all();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].kind, CallbackKind::kInstanceStarted);
  EXPECT_EQ(told[1].kind, CallbackKind::kInstanceEnded);
  EXPECT_EQ(told[1].instance, instance.id.text());
}

TEST_P(CallbackConformance, RowsOfOneUserComeOneByOneInOrder) {
  keep();
  for (int i = 0; i < 5; ++i) send(text("ann", {"bob"}, "m" + std::to_string(i)));
  send(text("bob", {"ann"}, "b0"));
  const std::vector<Callback> due = lease(1'000);
  ASSERT_EQ(due.size(), 2U);
  EXPECT_EQ(due[0].message_id, "m0");
  EXPECT_EQ(due[1].message_id, "b0");
  EXPECT_TRUE(lease(1'000).empty()) << "both users are leased";
  ASSERT_TRUE(succeeded(callbacks().complete(due[0].id)));
  ASSERT_TRUE(succeeded(callbacks().complete(due[0].id))) << "once more does nothing";
  const std::vector<Callback> next = lease(1'000);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_EQ(next[0].message_id, "m1");
}

TEST_P(CallbackConformance, ALeaseThatRanOutIsTakenByTheNext) {
  keep();
  send(text("ann", {"bob"}, "m1"));
  ASSERT_EQ(lease(1'000).size(), 1U);
  EXPECT_TRUE(lease(1'059).empty());
  const std::vector<Callback> again = lease(1'060);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].attempts, 0U);
}

TEST_P(CallbackConformance, AFailedRowWaitsAndHoldsBackThoseBehindIt) {
  keep();
  send(text("ann", {"bob"}, "m1"));
  send(text("ann", {"bob"}, "m2"));
  const Callback first = lease(1'000).at(0);
  ASSERT_TRUE(succeeded(callbacks().fail(first.id, at(1'010), false, "500")));
  EXPECT_TRUE(lease(1'009).empty());
  const std::vector<Callback> again = lease(1'010);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].id, first.id);
  EXPECT_EQ(again[0].key, first.key);
  EXPECT_EQ(again[0].attempts, 1U);
  EXPECT_EQ(again[0].last_error, "500");
}

TEST_P(CallbackConformance, ADeadRowLetsTheNextOneThroughAndCanBeReplayed) {
  keep();
  send(text("ann", {"bob"}, "m1"));
  send(text("ann", {"bob"}, "m2"));
  const Callback first = lease(1'000).at(0);
  ASSERT_TRUE(succeeded(callbacks().fail(first.id, at(1'010), true, "410")));
  EXPECT_EQ(take_all().size(), 1U);
  const std::vector<Callback> dead = callbacks().list_dead(0, 10).value();
  ASSERT_EQ(dead.size(), 1U);
  EXPECT_EQ(dead[0].message_id, "m1");
  EXPECT_EQ(dead[0].last_error, "410");
  EXPECT_TRUE(dead[0].dead);
  EXPECT_TRUE(callbacks().list_dead(dead[0].id, 10).value().empty());
  EXPECT_EQ(callbacks().replay(dead[0].id + 1).value(), 0U);
  EXPECT_EQ(callbacks().replay(dead[0].id).value(), 1U);
  const std::vector<Callback> again = take_all();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].key, first.key);
  EXPECT_EQ(again[0].attempts, 0U);
  EXPECT_EQ(counts().dead, 0U);
}

TEST_P(CallbackConformance, AllDeadRowsComeBackInTheirOrder) {
  keep();
  for (int i = 0; i < 4; ++i) send(text("ann", {"bob"}, "m" + std::to_string(i)));
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(succeeded(callbacks().fail(lease(1'000).at(0).id, at(0), true, "410")));
  }
  EXPECT_EQ(counts().dead, 4U);
  EXPECT_EQ(callbacks().replay(std::nullopt).value(), 4U);
  std::vector<std::string> order;
  for (const Callback& told : take_all()) order.push_back(told.message_id);
  EXPECT_EQ(order, (std::vector<std::string>{"m0", "m1", "m2", "m3"}));
}

TEST_P(CallbackConformance, AFullOutboxGivesUpTheOldestAndFailsNoMessage) {
  keep(3);
  for (int i = 0; i < 10; ++i) send(text("ann", {"bob"}, "m" + std::to_string(i)));
  EXPECT_EQ(counts().waiting, 3U);
  EXPECT_EQ(counts().dead, 3U);
  EXPECT_EQ(counts().given_up, 7U);
  std::vector<std::string> dead;
  const std::vector<Callback> rows = callbacks().list_dead(0, 10).value();
  for (const Callback& row : rows) {
    dead.push_back(row.message_id);
    EXPECT_EQ(row.last_error, "outbox_full");
  }
  EXPECT_EQ(dead, (std::vector<std::string>{"m4", "m5", "m6"}));
  EXPECT_EQ(callbacks().replay(std::nullopt).value(), 0U) << "there is no room";
  EXPECT_EQ(take_all().size(), 3U);
  EXPECT_EQ(callbacks().replay(std::nullopt).value(), 3U);
}

TEST_P(CallbackConformance, WhatWaitedTooLongDiesAndWhatWasDeadTooLongGoes) {
  keep();
  Send early = text("ann", {"bob"}, "early");
  early.now = at(100);
  send(early);
  Send late = text("ann", {"bob"}, "late");
  late.now = at(900);
  send(late);
  EXPECT_EQ(callbacks().remove_old(at(100), at(0), 10).value(), 0U);
  EXPECT_EQ(callbacks().remove_old(at(500), at(0), 10).value(), 1U);
  const std::vector<Callback> dead = callbacks().list_dead(0, 10).value();
  ASSERT_EQ(dead.size(), 1U);
  EXPECT_EQ(dead[0].message_id, "early");
  EXPECT_EQ(dead[0].last_error, "too_old");
  EXPECT_EQ(counts().oldest, std::optional<SystemTime>(at(900)));
  EXPECT_EQ(callbacks().remove_old(at(500), at(500), 10).value(), 1U);
  EXPECT_EQ(counts().dead, 0U);
  EXPECT_EQ(take_all().size(), 1U);
}

TEST_P(CallbackConformance, SurvivesAnotherStart) {
  keep();
  send(text("ann", {"bob"}, "m1"));
  reopen();
  send(text("ann", {"bob"}, "m2"));
  EXPECT_EQ(take_all().size(), 2U);
  EXPECT_FALSE(counts().oldest.has_value());
  ASSERT_TRUE(succeeded(callbacks().keep(0)));
  send(text("ann", {"bob"}, "m3"));
  EXPECT_EQ(counts().waiting, 0U);
}

TEST_P(CallbackConformance, IdsAndKeysAreNeverUsedAgain) {
  keep();
  std::set<std::int64_t> ids;
  std::set<std::string> keys;
  for (int i = 0; i < 5; ++i) {
    send(text("ann", {"bob"}, "m" + std::to_string(i)));
    for (const Callback& told : take_all()) {
      EXPECT_TRUE(ids.insert(told.id).second);
      EXPECT_TRUE(keys.insert(told.key).second);
    }
  }
  EXPECT_EQ(ids.size(), 5U);
}

TEST_P(CallbackConformance, ErasingAUserRemovesWhatWasToBeToldAboutThem) {
  keep();
  send(text("ann", {"bob"}, "m1"));
  send(text("bob", {"ann"}, "b1"));
  while (messages().erase(user("ann"), at(200), 100).value() > 0) {
  }
  const std::vector<Callback> left = take_all();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].message_id, "b1");
}

TEST_P(CallbackConformance, TwoNodesNeverLeaseTheSameRow) {
  keep();
  open_both();
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) names.push_back("user" + std::to_string(i));
  sign_in(store(), names);
  for (const std::string& name : names) send(text(name, {"bob"}, "of-" + name));
  std::vector<std::vector<Callback>> leased(4);
  in_parallel(4, [&](int index) {
    CallbackStore& mine = *store_of(index).callbacks();
    for (int round = 0; round < 20; ++round) {
      const std::vector<Callback> due = mine.lease(at(1'000), at(1'060), 3).value();
      auto& own = leased[static_cast<std::size_t>(index)];
      own.insert(own.end(), due.begin(), due.end());
    }
  });
  std::set<std::int64_t> ids;
  for (const auto& part : leased) {
    for (const Callback& callback : part) EXPECT_TRUE(ids.insert(callback.id).second);
  }
  EXPECT_EQ(ids.size(), names.size());
}

TEST_P(CallbackConformance, WhileMessagesComeTwoNodesTellEachOnceAndInOrder) {
  constexpr int kMessages = 60;
  keep();
  open_both();
  const std::vector<std::string> names = {"ann", "bob", "cid", "dan"};
  sign_in(store(), names);
  std::atomic<int> sending{4};
  std::mutex mutex;
  std::map<std::string, std::vector<std::string>> told;
  in_parallel(8, [&](int index) {
    if (index < 4) {
      const std::string& name = names[static_cast<std::size_t>(index)];
      for (int i = 0; i < kMessages; ++i) {
        const Send send =
            text(name, {names[static_cast<std::size_t>(index + 1) % 4]}, name + std::to_string(i));
        EXPECT_TRUE(succeeded(accept(store_of(index), send)));
      }
      --sending;
      return;
    }
    CallbackStore& mine = *store_of(index).callbacks();
    for (;;) {
      const bool last = sending == 0;
      const std::vector<Callback> due = mine.lease(at(1'000), at(1'060), 2).value();
      for (const Callback& callback : due) {
        {
          const std::lock_guard lock(mutex);
          told[callback.user.identity.endpoint].push_back(callback.message_id);
        }
        EXPECT_TRUE(succeeded(mine.complete(callback.id)));
      }
      if (last && due.empty() && mine.count().value().waiting == 0) return;
    }
  });
  for (const std::string& name : names) {
    std::vector<std::string> sent;
    for (int i = 0; i < kMessages; ++i) sent.push_back(name + std::to_string(i));
    EXPECT_EQ(told[name], sent);
  }
}

}  // namespace
}  // namespace countersign::storage

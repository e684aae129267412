// What every InstanceStore and RevocationStore must do.
#include "storage/conformance/conformance.h"

namespace countersign::storage {
namespace {

const Identity kAnn{IdentityType::kUsername, "Ann Lee"};

TEST_P(StoreConformance, FindsAnInstanceAsItWasMade) {
  const SessionHandle session = create_session("one", create_account("ann"));
  Instance with = sample_instance("with", session);
  with.identity = Identity{IdentityType::kEmail, "ann@example.org"};
  const Instance without = sample_instance("without");
  for (const Instance& instance : {with, without}) {
    ASSERT_TRUE(succeeded(store().instances().create_instance(instance, 5)));
  }
  reopen();
  for (const Instance& instance : {with, without}) {
    const Instance found = store().instances().find_instance(instance.id).value().value();
    EXPECT_EQ(found.id, instance.id);
    EXPECT_EQ(found.application_key, instance.application_key);
    EXPECT_EQ(found.identity, instance.identity);
    EXPECT_EQ(found.device, instance.device);
    EXPECT_EQ(found.session, instance.session);
    EXPECT_EQ(found.generation, instance.generation);
    EXPECT_EQ(found.key_id, instance.key_id);
    EXPECT_EQ(found.ticket_created, instance.ticket_created);
    EXPECT_EQ(found.created, instance.created);
    EXPECT_EQ(found.expires, instance.expires);
  }
  EXPECT_FALSE(instance_exists(InstanceId("unknown")));
}

TEST_P(StoreConformance, ListsTheInstancesOfOneIdentityPageByPage) {
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(succeeded(store().instances().create_instance(sample_instance(name), 5)));
  }
  Instance other = sample_instance("d");
  other.identity.endpoint = "ann lee";
  ASSERT_TRUE(succeeded(store().instances().create_instance(other, 5)));
  const auto page = [this](const std::string& after) {
    std::vector<std::string> ids;
    const std::vector<Instance> listed =
        store().instances().list_instances("application", kAnn, after, 2).value();
    for (const Instance& each : listed) {
      EXPECT_EQ(each.identity, kAnn);
      ids.push_back(each.id.text());
    }
    return ids;
  };
  EXPECT_EQ(page(""), (std::vector<std::string>{"instance-a", "instance-b"}));
  EXPECT_EQ(page("instance-b"), (std::vector<std::string>{"instance-c"}));
  EXPECT_TRUE(store().instances().list_instances("other", kAnn, "", 2).value().empty());
}

TEST_P(StoreConformance, RefusesAnInstanceIdInUse) {
  ASSERT_TRUE(succeeded(store().instances().create_instance(sample_instance("one"), 5)));
  EXPECT_TRUE(failed_with(store().instances().create_instance(sample_instance("one"), 5),
                          ErrorCode::kAlreadyExists));
}

TEST_P(StoreConformance, RefusesAnInstanceOfASessionThatIsNotLive) {
  const AccountId ann = create_account("ann");
  const SessionHandle session = create_session("one", ann);
  EXPECT_TRUE(failed_with(
      store().instances().create_instance(sample_instance("x", SessionHandle("unknown")), 5),
      ErrorCode::kRevoked));
  ASSERT_TRUE(store().sessions().end_session(session, "sign_out", at(80)).value());
  EXPECT_TRUE(failed_with(store().instances().create_instance(sample_instance("x", session), 5),
                          ErrorCode::kRevoked));
}

TEST_P(StoreConformance, RefusesAnInstanceOfASessionBelowItsAccountsEpoch) {
  const AccountId ann = create_account("ann");
  ASSERT_TRUE(succeeded(store().accounts().sign_out_everywhere(ann, {}, "operator", at(1))));
  // A sign-in that was verified before and arrives after.
  const SessionHandle stale = create_session("stale", ann);
  EXPECT_TRUE(failed_with(store().instances().create_instance(sample_instance("x", stale), 5),
                          ErrorCode::kRevoked));
}

TEST_P(StoreConformance, TheWatermarkDoesNotBindTicketsOfALiveSession) {
  // Put ahead of our clock by a producer whose clock is fast; the person has signed in again since.
  ASSERT_TRUE(succeeded(
      store().revocations().add(std::vector<Revocation>{identity_revocation(kAnn, at(100))})));
  const SessionHandle fresh = create_session("fresh", create_account("ann"));
  Instance instance = sample_instance("one", fresh);
  instance.ticket_created = at(60);
  EXPECT_TRUE(succeeded(store().instances().create_instance(instance, 5)));
  EXPECT_TRUE(succeeded(store().instances().refresh_instance(instance.id, fresh, at(70), at(900))));
}

TEST_P(StoreConformance, TheWatermarkRefusesTicketsUpToIt) {
  EXPECT_EQ(store().revocations().watermark("application", kAnn).value(), SystemTime());
  ASSERT_TRUE(succeeded(
      store().revocations().add(std::vector<Revocation>{identity_revocation(kAnn, at(100))})));
  EXPECT_EQ(store().revocations().watermark("application", kAnn).value(), at(100));

  Instance instance = sample_instance("one");
  instance.ticket_created = at(99);
  EXPECT_TRUE(failed_with(store().instances().create_instance(instance, 5), ErrorCode::kRevoked));
  instance.ticket_created = at(100);
  EXPECT_TRUE(failed_with(store().instances().create_instance(instance, 5), ErrorCode::kRevoked));
  instance.ticket_created = at(100) + std::chrono::milliseconds(1);
  EXPECT_TRUE(succeeded(store().instances().create_instance(instance, 5)));
}

TEST_P(StoreConformance, TheWatermarkOfAllRefusesTicketsOfEverybodyUpToIt) {
  Instance before = sample_instance("before");
  before.ticket_created = at(90);
  ASSERT_TRUE(succeeded(store().instances().create_instance(before, 5)));
  ASSERT_TRUE(succeeded(
      store().meta().set(kTicketsAfterName, std::to_string(at(100).time_since_epoch().count()))));
  EXPECT_EQ(store().revocations().watermark("application", kAnn).value(), at(100));
  Instance instance = sample_instance("one");
  instance.ticket_created = at(100);
  EXPECT_TRUE(failed_with(store().instances().create_instance(instance, 5), ErrorCode::kRevoked));
  EXPECT_TRUE(
      failed_with(store().instances().refresh_instance(before.id, std::nullopt, at(100), at(900)),
                  ErrorCode::kRevoked));
  EXPECT_TRUE(
      succeeded(store().instances().refresh_instance(before.id, std::nullopt, at(101), at(900))));
  instance.ticket_created = at(101);
  EXPECT_TRUE(succeeded(store().instances().create_instance(instance, 5)));
  // The identity's own may be the later one; a live session is the stronger check.
  ASSERT_TRUE(succeeded(
      store().revocations().add(std::vector<Revocation>{identity_revocation(kAnn, at(200))})));
  EXPECT_GE(store().revocations().watermark("application", kAnn).value(), at(200));
  Instance signed_in = sample_instance("two", create_session("s", create_account("ann")));
  signed_in.ticket_created = at(50);
  EXPECT_TRUE(succeeded(store().instances().create_instance(signed_in, 5)));
}

TEST_P(StoreConformance, AWatermarkBelongsToOneIdentityOfOneApplication) {
  ASSERT_TRUE(succeeded(
      store().revocations().add(std::vector<Revocation>{identity_revocation(kAnn, at(100))})));
  std::vector<Instance> others(3, sample_instance("one"));
  others[0].application_key = "other";
  others[1].identity = Identity{IdentityType::kEmail, kAnn.endpoint};
  others[2].identity = Identity{IdentityType::kUsername, "ann lee"};
  for (std::size_t i = 0; i < others.size(); ++i) {
    others[i].id = InstanceId("other-" + std::to_string(i));
    EXPECT_TRUE(succeeded(store().instances().create_instance(others[i], 5))) << i;
  }
}

TEST_P(StoreConformance, AWatermarkCoversWhatMayHaveBeenMintedSinceTheLast) {
  const auto mark_after = [this](SystemTime time) {
    EXPECT_TRUE(succeeded(
        store().revocations().add(std::vector<Revocation>{identity_revocation(kAnn, time)})));
    return store().revocations().watermark("application", kAnn).value();
  };
  EXPECT_EQ(mark_after(at(100)), at(100));
  // A ticket minted now is stamped 101 or later.
  EXPECT_EQ(mark_after(at(100) + std::chrono::milliseconds(300)), at(101));
  EXPECT_EQ(mark_after(at(50)), at(102)) << "the clock was set back: it never falls";
  EXPECT_EQ(mark_after(at(110)), at(110));
}

TEST_P(StoreConformance, AWatermarkCoversTicketsFromAClockAhead) {
  Instance ahead = sample_instance("ahead");
  ahead.ticket_created = at(105);
  ASSERT_TRUE(succeeded(store().instances().create_instance(ahead, 5)));
  ASSERT_TRUE(succeeded(
      store().revocations().add(std::vector<Revocation>{identity_revocation(kAnn, at(100))})));
  EXPECT_FALSE(instance_exists(ahead.id));
  EXPECT_TRUE(failed_with(store().instances().create_instance(ahead, 5), ErrorCode::kRevoked));
}

TEST_P(StoreConformance, AnIdentityHasAtMostSoManyLiveInstances) {
  Instance expired = sample_instance("expired");
  expired.expires = at(11);
  ASSERT_TRUE(succeeded(store().instances().create_instance(expired, 2)));
  ASSERT_TRUE(succeeded(store().instances().create_instance(sample_instance("one"), 2)));
  ASSERT_TRUE(succeeded(store().instances().create_instance(sample_instance("two"), 2)));
  EXPECT_TRUE(failed_with(store().instances().create_instance(sample_instance("three"), 2),
                          ErrorCode::kLimitExceeded));
  Instance foreign = sample_instance("foreign");
  foreign.identity.endpoint = "Bob";
  EXPECT_TRUE(succeeded(store().instances().create_instance(foreign, 2)));
  ASSERT_TRUE(store().instances().end_instance(InstanceId("instance-one")).value());
  EXPECT_TRUE(succeeded(store().instances().create_instance(sample_instance("three"), 2)));
}

TEST_P(StoreConformance, RefreshingMovesAnInstanceToTheNewTicket) {
  const AccountId ann = create_account("ann");
  const SessionHandle old_session = create_session("old", ann);
  const SessionHandle new_session = create_session("new", ann);
  const Instance instance = sample_instance("one", old_session);
  ASSERT_TRUE(succeeded(store().instances().create_instance(instance, 5)));

  ASSERT_TRUE(
      succeeded(store().instances().refresh_instance(instance.id, new_session, at(20), at(2000))));

  const Instance refreshed = store().instances().find_instance(instance.id).value().value();
  EXPECT_EQ(refreshed.session, new_session);
  EXPECT_EQ(refreshed.ticket_created, at(20));
  EXPECT_EQ(refreshed.expires, at(2000));
  EXPECT_EQ(refreshed.created, instance.created);
  ASSERT_TRUE(store().sessions().end_session(old_session, "sign_out", at(30)).value());
  EXPECT_TRUE(instance_exists(instance.id));
  ASSERT_TRUE(store().sessions().end_session(new_session, "sign_out", at(30)).value());
  EXPECT_FALSE(instance_exists(instance.id));
}

TEST_P(StoreConformance, RefreshingChecksAsCreatingDoes) {
  const AccountId ann = create_account("ann");
  const SessionHandle session = create_session("one", ann);
  const Instance instance = sample_instance("one");
  EXPECT_TRUE(
      failed_with(store().instances().refresh_instance(instance.id, session, at(20), at(2000)),
                  ErrorCode::kAbsent));
  ASSERT_TRUE(succeeded(
      store().revocations().add(std::vector<Revocation>{identity_revocation(kAnn, at(5))})));
  ASSERT_TRUE(succeeded(store().instances().create_instance(instance, 5)));
  EXPECT_TRUE(
      failed_with(store().instances().refresh_instance(instance.id, std::nullopt, at(5), at(2000)),
                  ErrorCode::kRevoked));
  ASSERT_TRUE(store().sessions().end_session(session, "sign_out", at(30)).value());
  EXPECT_TRUE(
      failed_with(store().instances().refresh_instance(instance.id, session, at(40), at(2000)),
                  ErrorCode::kRevoked));
  EXPECT_EQ(store().instances().find_instance(instance.id).value()->expires, instance.expires);
}

TEST_P(StoreConformance, EndingAnInstanceWritesNoRevocation) {
  ASSERT_TRUE(succeeded(store().instances().create_instance(sample_instance("one"), 5)));
  EXPECT_TRUE(store().instances().end_instance(InstanceId("instance-one")).value());
  EXPECT_FALSE(store().instances().end_instance(InstanceId("instance-one")).value());
  EXPECT_TRUE(revocations().empty());
}

TEST_P(StoreConformance, ExpiredInstancesAreRemovedInPortions) {
  for (int i = 0; i < 5; ++i) {
    Instance instance = sample_instance(std::to_string(i));
    instance.expires = at(100 + i);
    ASSERT_TRUE(succeeded(store().instances().create_instance(instance, 10)));
  }
  EXPECT_EQ(store().instances().remove_expired(at(103), 2).value(), 2u);
  EXPECT_EQ(store().instances().remove_expired(at(103), 10).value(), 1u);
  EXPECT_FALSE(instance_exists(InstanceId("instance-2")));
  EXPECT_TRUE(instance_exists(InstanceId("instance-3")));
}

TEST_P(StoreConformance, RevocationsAreKeptWholeAndInOrder) {
  Revocation of_session;
  of_session.scope = RevocationScope::kSession;
  of_session.session = SessionHandle("handle");
  of_session.reason = "sign_out";
  of_session.time = at(1);
  Revocation of_identity = identity_revocation(kAnn, at(2));
  Revocation of_instance;
  of_instance.scope = RevocationScope::kInstance;
  of_instance.instance = InstanceId("instance");
  of_instance.reason = "operator";
  of_instance.time = at(3);
  EXPECT_EQ(store().revocations().head().value(), 0);
  ASSERT_TRUE(succeeded(
      store().revocations().add(std::vector<Revocation>{of_session, of_identity, of_instance})));
  reopen();

  EXPECT_EQ(store().revocations().head().value(), 3);
  const std::vector<Revocation> log = revocations();
  ASSERT_EQ(log.size(), 3u);
  for (std::size_t i = 0; i < log.size(); ++i) EXPECT_EQ(log[i].id, static_cast<int>(i + 1));
  EXPECT_EQ(log[0].scope, RevocationScope::kSession);
  EXPECT_EQ(log[0].session, of_session.session);
  EXPECT_EQ(log[0].reason, "sign_out");
  EXPECT_EQ(log[0].time, at(1));
  EXPECT_EQ(log[1].scope, RevocationScope::kIdentity);
  EXPECT_EQ(log[1].application_key, "application");
  EXPECT_EQ(log[1].identity, kAnn);
  EXPECT_EQ(log[2].scope, RevocationScope::kInstance);
  EXPECT_EQ(log[2].instance, of_instance.instance);
}

TEST_P(StoreConformance, ARevocationEndsTheInstancesItNames) {
  const SessionHandle session = create_session("one", create_account("ann"));
  const Instance of_session = sample_instance("of-session", session);
  const Instance single = sample_instance("single");
  const Instance second = sample_instance("second");
  Instance foreign = sample_instance("foreign");
  foreign.identity.endpoint = "Bob";
  for (const Instance& instance : {of_session, single, second, foreign}) {
    ASSERT_TRUE(succeeded(store().instances().create_instance(instance, 9)));
  }

  Revocation revocation;
  revocation.scope = RevocationScope::kInstance;
  revocation.instance = single.id;
  ASSERT_TRUE(succeeded(store().revocations().add(std::vector<Revocation>{revocation})));
  EXPECT_FALSE(instance_exists(single.id));
  EXPECT_TRUE(instance_exists(second.id));

  revocation.scope = RevocationScope::kSession;
  revocation.session = session;
  ASSERT_TRUE(succeeded(store().revocations().add(std::vector<Revocation>{revocation})));
  EXPECT_FALSE(instance_exists(of_session.id));
  EXPECT_TRUE(instance_exists(second.id));

  ASSERT_TRUE(succeeded(
      store().revocations().add(std::vector<Revocation>{identity_revocation(kAnn, at(50))})));
  EXPECT_FALSE(instance_exists(second.id));
  EXPECT_TRUE(instance_exists(foreign.id));
}

TEST_P(StoreConformance, PollAnswersWhatComesAfter) {
  for (int i = 1; i <= 5; ++i) {
    ASSERT_TRUE(succeeded(
        store().revocations().add(std::vector<Revocation>{identity_revocation(kAnn, at(i))})));
  }
  const std::vector<Revocation> page = store().revocations().poll(2, 2).value();
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0].id, 3);
  EXPECT_EQ(page[1].id, 4);
  EXPECT_TRUE(store().revocations().poll(5, 10).value().empty());
}

TEST_P(StoreConformance, OldRevocationsGoFromTheFrontAndIdsAreNeverReused) {
  for (const int time : {10, 20, 90, 30}) {
    ASSERT_TRUE(succeeded(
        store().revocations().add(std::vector<Revocation>{identity_revocation(kAnn, at(time))})));
  }
  EXPECT_EQ(store().revocations().remove_older(at(50), 1).value(), 1u);
  EXPECT_EQ(store().revocations().remove_older(at(50), 10).value(), 1u);
  // The fourth is old, but removing it would leave a hole.
  EXPECT_EQ(store().revocations().remove_older(at(50), 10).value(), 0u);
  EXPECT_EQ(revocations().front().id, 3);
  EXPECT_EQ(store().revocations().remove_older(at(500), 10).value(), 2u);
  EXPECT_EQ(store().revocations().head().value(), 4);
  EXPECT_EQ(store().revocations().watermark("application", kAnn).value(), at(91));
  ASSERT_TRUE(succeeded(
      store().revocations().add(std::vector<Revocation>{identity_revocation(kAnn, at(95))})));
  EXPECT_EQ(revocations().front().id, 5);
}

}  // namespace
}  // namespace countersign::storage

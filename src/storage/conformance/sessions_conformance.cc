// What every SessionStore must do.
#include "storage/conformance/conformance.h"

namespace countersign::storage {
namespace {

TEST_P(StoreConformance, FindsASessionWithItsAccount) {
  const AccountId ann = create_account("ann");
  SignInSession session = sample_session("one", ann, at(3));
  session.epoch = 2;
  session.id_hash = std::string("\0\xFF raw bytes, not text \xC3", 24);
  ASSERT_TRUE(succeeded(store().sessions().create_session(session, 10)));
  reopen();
  const SessionView by_id = store().sessions().find_session(session.id_hash).value().value();
  const SessionView by_handle =
      store().sessions().find_session_by_handle(session.handle).value().value();
  for (const SessionView& view : {by_id, by_handle}) {
    EXPECT_EQ(view.session.id_hash, session.id_hash);
    EXPECT_EQ(view.session.handle, session.handle);
    EXPECT_EQ(view.session.account, ann);
    EXPECT_EQ(view.session.created, session.created);
    EXPECT_EQ(view.session.last_seen, session.last_seen);
    EXPECT_EQ(view.session.authenticated, session.authenticated);
    EXPECT_EQ(view.session.factors, session.factors);
    EXPECT_EQ(view.session.address_prefix, session.address_prefix);
    EXPECT_EQ(view.session.agent, session.agent);
    EXPECT_EQ(view.session.epoch, 2u);
    EXPECT_EQ(view.account.id, ann);
    EXPECT_EQ(view.account.user_name, "ann");
    EXPECT_EQ(view.account.email, "ann@Example.org");
    EXPECT_EQ(view.account.created, at(1));
  }
}

TEST_P(StoreConformance, FindsNoSessionWhereThereIsNone) {
  EXPECT_FALSE(store().sessions().find_session("unknown").value().has_value());
  EXPECT_FALSE(store().sessions().find_session("").value().has_value());
  EXPECT_FALSE(session_exists(SessionHandle("unknown")));
}

TEST_P(StoreConformance, RefusesASessionWithoutAccountOrWithAnIdInUse) {
  const AccountId ann = create_account("ann");
  EXPECT_TRUE(
      failed_with(store().sessions().create_session(sample_session("x", AccountId("nobody")), 10),
                  ErrorCode::kAbsent));
  create_session("one", ann);
  SignInSession same_id = sample_session("one", ann);
  same_id.handle = SessionHandle("other");
  EXPECT_TRUE(
      failed_with(store().sessions().create_session(same_id, 10), ErrorCode::kAlreadyExists));
  SignInSession same_handle = sample_session("two", ann);
  same_handle.handle = SessionHandle("handle-one");
  EXPECT_TRUE(
      failed_with(store().sessions().create_session(same_handle, 10), ErrorCode::kAlreadyExists));
}

TEST_P(StoreConformance, TheOldestSessionsEndWhenThereAreTooMany) {
  const AccountId ann = create_account("ann");
  const AccountId bob = create_account("bob");
  const SessionHandle foreign = create_session("foreign", bob, at(0));
  const SessionHandle middle = create_session("middle", ann, at(20));
  const SessionHandle oldest = create_session("oldest", ann, at(10));
  const SessionHandle youngest = create_session("youngest", ann, at(30));
  const Instance instance = sample_instance("one", oldest);
  ASSERT_TRUE(succeeded(store().instances().create_instance(instance, 5)));

  const std::vector<SessionHandle> ended =
      store().sessions().create_session(sample_session("new", ann, at(40)), 2).value();

  EXPECT_EQ(ended.size(), 2u);
  EXPECT_FALSE(session_exists(oldest));
  EXPECT_FALSE(session_exists(middle));
  EXPECT_TRUE(session_exists(youngest));
  EXPECT_TRUE(session_exists(SessionHandle("handle-new")));
  EXPECT_TRUE(session_exists(foreign));
  EXPECT_FALSE(instance_exists(instance.id));
  ASSERT_EQ(revocations().size(), 2u);
  EXPECT_EQ(revocations()[0].time, at(40));
}

TEST_P(StoreConformance, TheNewSessionNeverEndsItselfForTheCap) {
  const AccountId ann = create_account("ann");
  const SessionHandle later = create_session("later", ann, at(100));
  // Created by a node whose clock is behind.
  const std::vector<SessionHandle> ended =
      store().sessions().create_session(sample_session("new", ann, at(50)), 1).value();
  EXPECT_EQ(ended, std::vector<SessionHandle>{later});
  EXPECT_TRUE(session_exists(SessionHandle("handle-new")));
}

TEST_P(StoreConformance, TouchingRaisesLastSeenAndNeverLowersIt) {
  const AccountId ann = create_account("ann");
  const SessionHandle one = create_session("one", ann, at(0));
  const SessionHandle two = create_session("two", ann, at(0));
  const std::vector<SessionHandle> handles{one, SessionHandle("unknown"), two};
  ASSERT_TRUE(succeeded(store().sessions().touch_sessions(handles, at(60))));
  ASSERT_TRUE(succeeded(store().sessions().touch_sessions(handles, at(30))));
  ASSERT_TRUE(succeeded(store().sessions().touch_sessions({}, at(90))));
  for (const SessionHandle& handle : {one, two}) {
    EXPECT_EQ(store().sessions().find_session_by_handle(handle).value()->session.last_seen, at(60));
  }
}

TEST_P(StoreConformance, ARenewedSessionIsFoundByItsNewIdOnly) {
  const AccountId ann = create_account("ann");
  const SignInSession session = sample_session("one", ann);
  const SessionHandle handle = create_session("one", ann);
  const SignInSession other = sample_session("two", ann);
  create_session("two", ann);
  ASSERT_TRUE(succeeded(store().sessions().renew_session(handle, "new id", at(70))));
  EXPECT_FALSE(store().sessions().find_session(session.id_hash).value().has_value());
  const SessionView renewed = store().sessions().find_session("new id").value().value();
  EXPECT_EQ(renewed.session.handle, handle);
  EXPECT_EQ(renewed.session.authenticated, at(70));
  EXPECT_TRUE(failed_with(store().sessions().renew_session(SessionHandle("none"), "x", at(1)),
                          ErrorCode::kAbsent));
  EXPECT_TRUE(failed_with(store().sessions().renew_session(handle, other.id_hash, at(1)),
                          ErrorCode::kAlreadyExists));
}

TEST_P(StoreConformance, EndingASessionEndsItsInstancesAndWritesItsRevocation) {
  const AccountId ann = create_account("ann");
  const SessionHandle ended = create_session("ended", ann);
  const SessionHandle kept = create_session("kept", ann);
  const Instance of_ended = sample_instance("ended", ended);
  const Instance of_kept = sample_instance("kept", kept);
  const Instance of_none = sample_instance("none");
  for (const Instance& instance : {of_ended, of_kept, of_none}) {
    ASSERT_TRUE(succeeded(store().instances().create_instance(instance, 5)));
  }

  EXPECT_TRUE(store().sessions().end_session(ended, "sign_out", at(80)).value());
  reopen();

  EXPECT_FALSE(session_exists(ended));
  EXPECT_FALSE(instance_exists(of_ended.id));
  EXPECT_TRUE(session_exists(kept));
  EXPECT_TRUE(instance_exists(of_kept.id));
  EXPECT_TRUE(instance_exists(of_none.id));
  ASSERT_EQ(revocations().size(), 1u);
  EXPECT_EQ(revocations()[0].id, 1);
  EXPECT_EQ(revocations()[0].scope, RevocationScope::kSession);
  EXPECT_EQ(revocations()[0].session, ended);
  EXPECT_EQ(revocations()[0].reason, "sign_out");
  EXPECT_EQ(revocations()[0].time, at(80));
}

TEST_P(StoreConformance, EndingASessionTwiceWritesOneRevocation) {
  const SessionHandle session = create_session("one", create_account("ann"));
  EXPECT_TRUE(store().sessions().end_session(session, "sign_out", at(80)).value());
  EXPECT_FALSE(store().sessions().end_session(session, "sign_out", at(81)).value());
  EXPECT_EQ(revocations().size(), 1u);
}

TEST_P(StoreConformance, ListsTheSessionsOfAnAccountNewestFirst) {
  const AccountId ann = create_account("ann");
  create_session("foreign", create_account("bob"), at(99));
  create_session("b", ann, at(20));
  create_session("c", ann, at(30));
  create_session("a", ann, at(10));
  const std::vector<SignInSession> sessions = store().sessions().list_sessions(ann).value();
  ASSERT_EQ(sessions.size(), 3u);
  EXPECT_EQ(sessions[0].handle.text(), "handle-c");
  EXPECT_EQ(sessions[1].handle.text(), "handle-b");
  EXPECT_EQ(sessions[2].handle.text(), "handle-a");
  EXPECT_TRUE(store().sessions().list_sessions(AccountId("nobody")).value().empty());
}

TEST_P(StoreConformance, ExpiredSessionsEndInPortions) {
  const AccountId ann = create_account("ann");
  const SessionHandle idle = create_session("idle", ann, at(50));
  const SessionHandle old = create_session("old", ann, at(10));
  const SessionHandle live = create_session("live", ann, at(60));
  ASSERT_TRUE(
      succeeded(store().sessions().touch_sessions(std::vector<SessionHandle>{old, live}, at(100))));

  // Idle since before 90, or created before 20.
  EXPECT_EQ(store().sessions().end_expired_sessions(at(90), at(20), 1, at(200)).value(), 1u);
  EXPECT_EQ(store().sessions().end_expired_sessions(at(90), at(20), 5, at(200)).value(), 1u);
  EXPECT_EQ(store().sessions().end_expired_sessions(at(90), at(20), 5, at(200)).value(), 0u);

  EXPECT_FALSE(session_exists(idle));
  EXPECT_FALSE(session_exists(old));
  EXPECT_TRUE(session_exists(live));
  ASSERT_EQ(revocations().size(), 2u);
  EXPECT_EQ(revocations()[0].time, at(200));
}

TEST_P(StoreConformance, ASessionExactlyAtALimitHasNotExpired) {
  const AccountId ann = create_account("ann");
  SignInSession session = sample_session("one", ann, at(20));
  session.last_seen = at(90);
  ASSERT_TRUE(succeeded(store().sessions().create_session(session, 10)));
  EXPECT_EQ(store().sessions().end_expired_sessions(at(90), at(20), 5, at(200)).value(), 0u);
}

}  // namespace
}  // namespace countersign::storage

#include "sessions/session_service.h"

#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "accounts/testing/account_world.h"
#include "base/encoding.h"

namespace countersign::sessions {
namespace {

using namespace std::chrono_literals;

class SessionServiceTest : public accounts::AccountWorld {
 protected:
  NewSession begin() {
    return *sessions.create(account(), {"192.0.2.7/32", "Firefox", "password"});
  }
  storage::Account account() { return *directory.get("ann"); }
  bool signed_in(const std::string& cookie) {
    const auto view = sessions.resolve(cookie);
    if (!view) {
      EXPECT_EQ(view.code(), ErrorCode::kNotSignedIn);
    }
    return view.ok();
  }
  bool stored(const base::SessionHandle& handle) {
    return store->sessions().find_session_by_handle(handle)->has_value();
  }
  /// What every process does each half second.
  void poll() {
    const auto revocations = store->revocations().poll(0, 100);
    for (const storage::Revocation& revocation : *revocations) sessions.on_revocation(revocation);
  }
  /// A request every `step`, for `length`.
  void stay_active(const std::string& cookie, std::chrono::seconds length,
                   std::chrono::seconds step) {
    for (auto passed = 0s; passed < length; passed += step) {
      clock.advance(step);
      ASSERT_TRUE(signed_in(cookie));
    }
  }

  storage::Account ann = add("ann");
  SessionService sessions{*store, clock, random, metrics, {}};
};

TEST_F(SessionServiceTest, ResolvesTheCookieToTheAccount) {
  const NewSession made = begin();
  EXPECT_EQ(made.cookie_id.size(), 43u) << "32 bytes";
  EXPECT_EQ(made.view->session.handle.text().size(), 22u) << "16 bytes";
  const auto view = sessions.resolve(made.cookie_id);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ((*view)->account.id, ann.id);
  EXPECT_EQ((*view)->session.handle, made.view->session.handle);
  EXPECT_EQ((*view)->session.agent, "Firefox");
}

TEST_F(SessionServiceTest, KeepsTheHashAndNotTheId) {
  const NewSession made = begin();
  EXPECT_EQ(made.view->session.id_hash, base::to_string(base::sha256(made.cookie_id)));
  EXPECT_NE(made.view->session.handle.text(), made.cookie_id);
}

TEST_F(SessionServiceTest, RefusesCookiesThatAreNone) {
  EXPECT_FALSE(signed_in(""));
  EXPECT_FALSE(signed_in(std::string(43, 'A')));
  EXPECT_FALSE(signed_in(std::string(5000, 'A')));
  const NewSession made = begin();
  EXPECT_FALSE(signed_in(made.view->session.handle.text())) << "the handle opens nothing";
}

TEST_F(SessionServiceTest, EndsAfterHalfAnHourWithoutARequest) {
  const NewSession made = begin();
  clock.advance(30min - 1s);
  EXPECT_TRUE(signed_in(made.cookie_id));
  clock.advance(30min);
  EXPECT_FALSE(signed_in(made.cookie_id));
  EXPECT_FALSE(stored(made.view->session.handle)) << "its tickets die with it";
}

TEST_F(SessionServiceTest, EndsAfterTwelveHoursHoweverActive) {
  const NewSession made = begin();
  stay_active(made.cookie_id, 12h - 20min, 20min);
  clock.advance(20min - 1s);
  EXPECT_TRUE(signed_in(made.cookie_id));
  clock.advance(1s);
  EXPECT_FALSE(signed_in(made.cookie_id));
}

TEST_F(SessionServiceTest, WritesActivityAtMostOnceAMinute) {
  const NewSession made = begin();
  const auto last_seen = [&] {
    return (*store->sessions().find_session_by_handle(made.view->session.handle))
        ->session.last_seen;
  };
  const auto began = clock.now();
  clock.advance(59s);
  EXPECT_TRUE(signed_in(made.cookie_id));
  EXPECT_EQ(last_seen(), began);
  clock.advance(1s);
  EXPECT_TRUE(signed_in(made.cookie_id));
  EXPECT_EQ(last_seen(), clock.now());
}

TEST_F(SessionServiceTest, AConnectedInstanceKeepsTheSessionAliveUpToItsAbsoluteLimit) {
  const NewSession made = begin();
  for (int i = 0; i < 71; ++i) {
    clock.advance(10min);
    ASSERT_TRUE(sessions.touch_connected(std::span(&made.view->session.handle, 1)).ok());
  }
  EXPECT_NE(*sessions.find_live(made.view->session.handle), nullptr);
  clock.advance(10min);
  ASSERT_TRUE(sessions.touch_connected(std::span(&made.view->session.handle, 1)).ok());
  EXPECT_EQ(*sessions.find_live(made.view->session.handle), nullptr);
}

TEST_F(SessionServiceTest, CachesALookUpForASecondWithoutTheStore) {
  const NewSession made = begin();
  EXPECT_EQ(sessions.cached(made.cookie_id), nullptr);
  EXPECT_TRUE(signed_in(made.cookie_id));
  const auto view = sessions.cached(made.cookie_id);
  ASSERT_NE(view, nullptr);
  EXPECT_EQ(view->account.id, ann.id);
  clock.advance(1s);
  EXPECT_EQ(sessions.cached(made.cookie_id), nullptr);
}

TEST_F(SessionServiceTest, TheCacheLeavesItToTheStoreWhenActivityIsDue) {
  const NewSession made = begin();
  clock.advance(59'500ms);
  EXPECT_TRUE(signed_in(made.cookie_id));
  EXPECT_NE(sessions.cached(made.cookie_id), nullptr);
  clock.advance(500ms);
  EXPECT_EQ(sessions.cached(made.cookie_id), nullptr);
}

TEST_F(SessionServiceTest, SignOutIsFeltAtOnceAlsoByACopiedCookie) {
  const NewSession made = begin();
  EXPECT_TRUE(signed_in(made.cookie_id));
  EXPECT_TRUE(*sessions.end(made.view->session.handle, "sign_out"));
  EXPECT_EQ(sessions.cached(made.cookie_id), nullptr);
  EXPECT_FALSE(signed_in(made.cookie_id));
  EXPECT_FALSE(*sessions.end(made.view->session.handle, "sign_out"));
}

TEST_F(SessionServiceTest, ARevocationFromAnotherProcessEmptiesTheCache) {
  SessionService other(*store, clock, random, metrics, {});
  const NewSession first = begin();
  const NewSession second = begin();
  EXPECT_TRUE(signed_in(first.cookie_id));
  EXPECT_TRUE(signed_in(second.cookie_id));
  EXPECT_TRUE(*other.end(first.view->session.handle, "sign_out"));
  poll();
  EXPECT_EQ(sessions.cached(first.cookie_id), nullptr);
  EXPECT_NE(sessions.cached(second.cookie_id), nullptr);
}

TEST_F(SessionServiceTest, TheEpochEndsEverySession) {
  const NewSession made = begin();
  EXPECT_TRUE(signed_in(made.cookie_id));
  const std::vector<std::string> apps{"app"};
  ASSERT_TRUE(directory.sign_out("ann", apps).ok());
  poll();
  EXPECT_EQ(sessions.cached(made.cookie_id), nullptr);
  EXPECT_FALSE(signed_in(made.cookie_id));
}

TEST_F(SessionServiceTest, ASessionOfAnEarlierEpochIsDeadThoughItsRowIsThere) {
  const storage::Account before = account();
  ASSERT_TRUE(directory.sign_out("ann", {}).ok());
  // Somebody proved the password just before: the session begins after the epoch was raised.
  const NewSession late = *sessions.create(before, {"p", "Firefox", "password"});
  EXPECT_FALSE(signed_in(late.cookie_id));
}

TEST_F(SessionServiceTest, RenewingGivesANewIdAndKillsTheOldOne) {
  const NewSession made = begin();
  EXPECT_TRUE(signed_in(made.cookie_id));
  const auto renewed = sessions.renew(*made.view);
  ASSERT_TRUE(renewed.ok());
  EXPECT_NE(*renewed, made.cookie_id);
  EXPECT_EQ(sessions.cached(made.cookie_id), nullptr);
  EXPECT_FALSE(signed_in(made.cookie_id));
  EXPECT_EQ((*sessions.resolve(*renewed))->session.handle, made.view->session.handle);
}

TEST_F(SessionServiceTest, TheEleventhSessionEndsTheOldest) {
  std::vector<NewSession> all;
  for (int i = 0; i < 10; ++i) {
    all.push_back(begin());
    EXPECT_EQ(all.back().ended, 0u);
    clock.advance(1s);
  }
  EXPECT_TRUE(signed_in(all[0].cookie_id));
  const NewSession eleventh = begin();
  EXPECT_EQ(eleventh.ended, 1u);
  EXPECT_EQ(sessions.cached(all[0].cookie_id), nullptr);
  EXPECT_FALSE(signed_in(all[0].cookie_id));
  EXPECT_TRUE(signed_in(all[1].cookie_id));
  EXPECT_TRUE(signed_in(eleventh.cookie_id));
}

TEST_F(SessionServiceTest, ListsLiveSessionsOnlyNewestFirst) {
  const NewSession first = begin();
  clock.advance(20min);
  const NewSession second = begin();
  clock.advance(15min);
  const auto list = *sessions.list(account());
  ASSERT_EQ(list.size(), 1u) << "the first is idle";
  EXPECT_EQ(list[0].handle, second.view->session.handle);
}

TEST_F(SessionServiceTest, PeopleEndTheirOwnSessionsAndNobodyElses) {
  const auto bob = add("bob");
  const NewSession of_ann = begin();
  EXPECT_EQ(sessions.end_own(bob.id, of_ann.view->session.handle).code(), ErrorCode::kAbsent);
  EXPECT_TRUE(signed_in(of_ann.cookie_id));
  EXPECT_TRUE(sessions.end_own(ann.id, of_ann.view->session.handle).ok());
  EXPECT_FALSE(signed_in(of_ann.cookie_id));
}

TEST_F(SessionServiceTest, ApiSessionsAreUsedAgainFromTheSamePlace) {
  const auto first = *sessions.api_session(ann, "192.0.2.7/32", 1h);
  clock.advance(10min);
  const auto again = *sessions.api_session(ann, "192.0.2.7/32", 1h);
  EXPECT_EQ(first->session.handle, again->session.handle);
  const auto elsewhere = *sessions.api_session(ann, "198.51.100.9/32", 1h);
  EXPECT_NE(first->session.handle, elsewhere->session.handle);
  EXPECT_EQ(sessions.list(ann)->size(), 2u) << "the person sees and can end them";
}

TEST_F(SessionServiceTest, ApiSessionsNeverStandInForThoseOfABrowser) {
  const NewSession browser = begin();
  const auto api = *sessions.api_session(ann, "192.0.2.7/32", 1h);
  EXPECT_NE(api->session.handle, browser.view->session.handle);
}

TEST_F(SessionServiceTest, AnApiSessionNearItsEndIsNotUsedAgain) {
  const auto first = *sessions.api_session(ann, "p", 1h);
  for (int i = 0; i < 34; ++i) {
    clock.advance(20min);
    ASSERT_TRUE(sessions.touch_connected(std::span(&first->session.handle, 1)).ok());
  }
  EXPECT_NE((*sessions.api_session(ann, "p", 1h))->session.handle, first->session.handle);
}

TEST_F(SessionServiceTest, AnApiSessionThatWasEndedIsNotUsedAgain) {
  const auto first = *sessions.api_session(ann, "p", 1h);
  EXPECT_TRUE(*sessions.end(first->session.handle, "sign_out"));
  EXPECT_NE((*sessions.api_session(ann, "p", 1h))->session.handle, first->session.handle);
}

TEST_F(SessionServiceTest, SweepsWhatHasOutlivedItsLimits) {
  const NewSession idle = begin();
  clock.advance(20min);
  const NewSession live = begin();
  clock.advance(10min + 1s);
  EXPECT_EQ(*sessions.sweep(100), 1u);
  EXPECT_FALSE(stored(idle.view->session.handle));
  EXPECT_TRUE(stored(live.view->session.handle));
}

TEST_F(SessionServiceTest, ASessionOfAClockThatRanAheadDoesNotOutliveItsLimits) {
  clock.jump(24h);
  const NewSession near = begin();
  clock.jump(1s);
  const NewSession far = begin();
  clock.jump(-(24h + 1s));
  EXPECT_TRUE(signed_in(near.cookie_id));
  EXPECT_FALSE(signed_in(far.cookie_id));
  EXPECT_FALSE(stored(far.view->session.handle));

  const NewSession touched = begin();
  clock.jump(48h);
  ASSERT_TRUE(sessions.touch_connected(std::span(&touched.view->session.handle, 1)).ok());
  clock.jump(-48h);
  EXPECT_FALSE(signed_in(touched.cookie_id));
}

TEST_F(SessionServiceTest, IdsDoNotRepeat) {
  std::set<std::string> seen;
  for (int i = 0; i < 20; ++i) {
    const NewSession made = begin();
    EXPECT_TRUE(seen.insert(made.cookie_id).second);
    EXPECT_TRUE(seen.insert(made.view->session.handle.text()).second);
  }
}

}  // namespace
}  // namespace countersign::sessions

#include "accounts/throttle.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "accounts/testing/account_world.h"

namespace countersign::accounts {
namespace {

using namespace std::chrono_literals;

class ThrottleTest : public AccountWorld {
 protected:
  bool admitted(std::string_view name, const std::string& prefix = "p") {
    auto reservation = throttle.reserve(name, prefix);
    EXPECT_TRUE(reservation.ok());
    return reservation->has_value();
  }
  Throttle::Reservation reserve(std::string_view name, const std::string& prefix = "p") {
    auto reservation = throttle.reserve(name, prefix);
    EXPECT_TRUE(reservation.ok() && reservation->has_value());
    return **reservation;
  }
  /// One prefix a try, so that only the account's own counter sees them together.
  void fail_from_everywhere(std::string_view name, int times) {
    for (int i = 0; i < times; ++i) {
      ASSERT_TRUE(admitted(name, "bot" + std::to_string(next_bot++)));
    }
  }
  int next_bot = 0;
};

TEST_F(ThrottleTest, FourFailuresAreFreeThenThePauseDoubles) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(admitted("ann")) << i;
  for (const auto pause : {1s, 2s, 4s, 8s, 16s}) {
    EXPECT_FALSE(admitted("ann"));
    clock.advance(pause - 1ms);
    EXPECT_FALSE(admitted("ann")) << pause.count();
    clock.advance(1ms);
    EXPECT_TRUE(admitted("ann")) << pause.count();
  }
}

TEST_F(ThrottleTest, ThePauseNeverExceedsFifteenMinutes) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(admitted("ann"));
  for (int i = 0; i < 20; ++i) {
    clock.advance(900s);
    EXPECT_TRUE(admitted("ann")) << i;
  }
  clock.advance(899s);
  EXPECT_FALSE(admitted("ann"));
}

TEST_F(ThrottleTest, FailuresAreForgottenTwelveHoursAfterTheLast) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(admitted("ann"));
  clock.advance(12h - 1s);
  EXPECT_TRUE(admitted("ann"));
  EXPECT_FALSE(admitted("ann")) << "the fifth failure was not forgotten yet";
  clock.advance(12h);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(admitted("ann")) << i;
}

TEST_F(ThrottleTest, ARefusedAttemptChangesNoCounter) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(admitted("ann"));
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(admitted("ann"));
  clock.advance(1s);
  EXPECT_TRUE(admitted("ann"));
}

TEST_F(ThrottleTest, CountsBeforeItVerifiesSoThatParallelTriesAreNotFree) {
  std::atomic<int> let_in{0};
  std::vector<std::thread> attackers;
  for (int i = 0; i < 10; ++i) {
    attackers.emplace_back([&] {
      for (int n = 0; n < 10; ++n) {
        auto reservation = throttle.reserve("ann", "p");
        if (reservation && reservation->has_value()) ++let_in;
      }
    });
  }
  for (std::thread& attacker : attackers) attacker.join();
  EXPECT_EQ(let_in, 4);
}

TEST_F(ThrottleTest, ARightPasswordClearsTheAccountAndGivesThePrefixItsTryBack) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(admitted("ann"));
  const auto right = reserve("ann");
  ASSERT_TRUE(throttle.succeeded(right).ok());
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(admitted("ann")) << i;
  EXPECT_FALSE(admitted("ann"));
  // 3 + 4 failures of this minute are the prefix's; three more are left.
  for (const char* name : {"bob", "cat", "dan"}) EXPECT_TRUE(admitted(name));
  EXPECT_FALSE(admitted("eve"));
}

TEST_F(ThrottleTest, OnePrefixFailsTenTimesAMinute) {
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(admitted("name" + std::to_string(i / 4)));
  EXPECT_FALSE(admitted("another"));
  EXPECT_TRUE(admitted("another", "other prefix"));
  clock.advance(1min);
  EXPECT_TRUE(admitted("another"));
}

TEST_F(ThrottleTest, OnePrefixFailsAHundredTimesAnHour) {
  int failures = 0;
  for (int minute = 0; minute < 11; ++minute) {
    // Few accounts and rightful pauses, so that only the rule under test can refuse.
    for (int i = 0; i < 10; ++i) failures += admitted("name" + std::to_string(i)) ? 1 : 0;
    clock.advance(1min);
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(throttle.clear("name" + std::to_string(i), "p").ok());
    }
  }
  EXPECT_EQ(failures, 100);
  clock.advance(50min);
  EXPECT_TRUE(admitted("name0"));
}

TEST_F(ThrottleTest, OnePrefixTriesTwentyAccountsAnHour) {
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(admitted("name" + std::to_string(i))) << i;
    if (i % 5 == 4) clock.advance(1min);
  }
  EXPECT_FALSE(admitted("the twenty-first"));
  EXPECT_TRUE(admitted("name19")) << "one that was tried already";
  clock.advance(1h);
  EXPECT_TRUE(admitted("the twenty-first"));
}

TEST_F(ThrottleTest, SignInsThatSucceedAreNoStuffing) {
  // A school behind one address: many people, each with the right password.
  for (int i = 0; i < 60; ++i) {
    const auto right = reserve("pupil" + std::to_string(i), "school");
    ASSERT_TRUE(throttle.succeeded(right).ok());
  }
  EXPECT_TRUE(admitted("pupil 61", "school"));
}

TEST_F(ThrottleTest, AfterAHundredFailuresFromEverywhereOneStrangerInTenSecondsIsHeard) {
  fail_from_everywhere("ann", 100);
  EXPECT_FALSE(admitted("ann", "fresh 1"));
  clock.advance(10s);
  EXPECT_TRUE(admitted("ann", "fresh 2"));
  EXPECT_FALSE(admitted("ann", "fresh 3"));
  EXPECT_TRUE(admitted("bob", "fresh 3")) << "nobody else pays for it";
  clock.advance(10s);
  EXPECT_TRUE(admitted("ann", "fresh 4"));
}

TEST_F(ThrottleTest, ARightPasswordEndsTheSiege) {
  fail_from_everywhere("ann", 100);
  clock.advance(10s);
  ASSERT_TRUE(throttle.succeeded(reserve("ann", "home")).ok());
  EXPECT_TRUE(admitted("ann", "fresh 1"));
  EXPECT_TRUE(admitted("ann", "fresh 2"));
}

TEST_F(ThrottleTest, WhatWasNotVerifiedIsTakenBack) {
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(throttle.take_back(reserve("ann" + std::to_string(i % 25))).ok());
  }
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(admitted("ann0")) << i;
  EXPECT_FALSE(admitted("ann0"));
}

TEST_F(ThrottleTest, NamesAreNotStoredAsTyped) {
  EXPECT_EQ(throttle.hide("ann").find("ann"), std::string::npos);
  EXPECT_NE(throttle.hide("ann"), throttle.hide("bob"));
  Throttle other(store->throttles(), clock, base::SecretBytes(std::string_view("another key")), {});
  EXPECT_NE(throttle.hide("ann"), other.hide("ann"));
}

TEST_F(ThrottleTest, AnOperatorUnlocksAnAccountFromEverywhere) {
  for (int i = 0; i < 8; ++i) {
    static_cast<void>(admitted("ann", "home"));
    static_cast<void>(admitted("ann", "work"));
  }
  fail_from_everywhere("ann", 92);
  ASSERT_FALSE(admitted("ann", "home"));
  clock.advance(1ms);
  const std::vector<std::string> names{"ann"};
  ASSERT_TRUE(throttle.unlock(names).ok());
  for (int i = 0; i < 4; ++i) {
    clock.advance(1ms);
    EXPECT_TRUE(admitted("ann", "home")) << i;
    EXPECT_TRUE(admitted("ann", "work")) << i;
  }
  EXPECT_FALSE(admitted("ann", "home")) << "unlocked is not exempt";
}

TEST_F(ThrottleTest, ProofsOfThePersonSignedInAreCountedApart) {
  const base::AccountId ann("ann");
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(throttle.reserve_proof(ann)->has_value());
  EXPECT_FALSE(throttle.reserve_proof(ann)->has_value());
  EXPECT_TRUE(admitted("ann"));
  clock.advance(1s);
  auto right = *throttle.reserve_proof(ann);
  ASSERT_TRUE(right.has_value());
  ASSERT_TRUE(throttle.succeeded(*right).ok());
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(throttle.reserve_proof(ann)->has_value());
}

TEST_F(ThrottleTest, OnePrefixSignsUpFiveTimesAnHour) {
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(*throttle.reserve_sign_up("p"));
  EXPECT_FALSE(*throttle.reserve_sign_up("p"));
  EXPECT_TRUE(*throttle.reserve_sign_up("other"));
  clock.advance(1h);
  EXPECT_TRUE(*throttle.reserve_sign_up("p"));
}

TEST_F(ThrottleTest, TakenNamesCanBeAskedForTwentyTimesAnHour) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(*throttle.reserve_sign_up("p")) << i;
    ASSERT_TRUE(throttle.take_back_sign_up("p", true).ok());
  }
  EXPECT_FALSE(*throttle.reserve_sign_up("p"));
  clock.advance(1h);
  EXPECT_TRUE(*throttle.reserve_sign_up("p"));
}

TEST_F(ThrottleTest, RestartsDoNotForget) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(admitted("ann"));
  Throttle restarted(store->throttles(), clock, test_keys().throttle_key, {});
  EXPECT_FALSE(restarted.reserve("ann", "p")->has_value());
}

TEST_F(ThrottleTest, AClockThatRanAheadBlocksNobodyOnceItIsSetRight) {
  clock.jump(24h * 365);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(admitted("ann"));
  fail_from_everywhere("bob", 100);
  EXPECT_FALSE(admitted("ann"));
  EXPECT_FALSE(admitted("bob", "fresh 1"));
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(throttle.reserve_proof(base::AccountId("a"))->has_value());
  clock.jump(-24h * 365);
  EXPECT_TRUE(admitted("ann"));
  EXPECT_TRUE(admitted("bob", "fresh 1"));
  EXPECT_TRUE(throttle.reserve_proof(base::AccountId("a"))->has_value());
  EXPECT_FALSE(admitted("ann")) << "what it did is still counted";
}

TEST_F(ThrottleTest, UnlockingHelpsAfterAClockThatRanAhead) {
  clock.jump(24h);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(admitted("ann"));
  clock.jump(-24h);
  ASSERT_TRUE(throttle.unlock(std::vector<std::string>{"ann"}).ok());
  for (int i = 0; i < 4; ++i) {
    clock.advance(1ms);
    EXPECT_TRUE(admitted("ann")) << i;
  }
  EXPECT_FALSE(admitted("ann"));
}

TEST_F(ThrottleTest, AnUnlockByAClockThatRanAheadExemptsNobody) {
  clock.jump(24h);
  ASSERT_TRUE(throttle.unlock(std::vector<std::string>{"ann"}).ok());
  clock.jump(-24h);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(admitted("ann")) << i;
  EXPECT_FALSE(admitted("ann"));
}

TEST_F(ThrottleTest, WhatIsTakenBackLeavesNoPauseAndNoTime) {
  for (int i = 0; i < 6; ++i) {
    clock.advance(4s);
    EXPECT_TRUE(admitted("ann"));
  }
  clock.advance(6h);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(throttle.take_back(reserve("ann")).ok());
  clock.advance(6h);
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(admitted("ann")) << "forgotten twelve hours after the last";
}

TEST_F(ThrottleTest, SweepsTheCountersOfAWindowWhenItIsOver) {
  EXPECT_TRUE(admitted("ann"));
  EXPECT_TRUE(*throttle.reserve_sign_up("p"));
  EXPECT_EQ(*throttle.sweep(100), 1u) << "the taken names, of which there were none";
  clock.advance(1min);
  EXPECT_EQ(*throttle.sweep(100), 0u);
  clock.advance(1ms);
  EXPECT_EQ(*throttle.sweep(100), 1u);
  clock.advance(59min);
  EXPECT_EQ(*throttle.sweep(2), 2u);
  EXPECT_EQ(*throttle.sweep(100), 1u);
  clock.advance(11h);
  EXPECT_EQ(*throttle.sweep(100), 2u) << "the pair and the account";
}

TEST_F(ThrottleTest, SweepsWhatIsForgotten) {
  EXPECT_TRUE(admitted("ann"));
  EXPECT_EQ(*throttle.sweep(100), 0u);
  clock.advance(12h + 1s);
  EXPECT_EQ(*throttle.sweep(100), 5u);
  EXPECT_EQ(*throttle.sweep(100), 0u);
}

}  // namespace
}  // namespace countersign::accounts

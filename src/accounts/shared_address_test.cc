// Sign-in by an address that several accounts hold (docs/decisions/0004-email-at-sign-up.md): what
// somebody may do with it must not depend on who else holds it.
#include <string>

#include <gtest/gtest.h>

#include "accounts/testing/account_world.h"

namespace countersign::accounts {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kHeld = "held@example.org";  // the victim's, too
constexpr std::string_view kFree = "free@example.org";  // the stranger's alone
constexpr std::string_view kStrangers = "eleven quiet grey herons";

class SharedAddressTest : public AccountWorld {
 protected:
  SharedAddressTest() {
    victim = try_sign_up(sign_up, "victim", kHeld)->account;
    clock.advance(1h);
  }
  storage::Account stranger(std::string_view name, std::string_view email) {
    auto made = try_sign_up(sign_up, name, email, kStrangers);
    EXPECT_TRUE(made.ok());
    return made->account;
  }
  storage::Account victim;
};

TEST_F(SharedAddressTest, ASecondAccountSignsInByTheAddressAsItWouldByAFreeOne) {
  for (const std::string_view address : {kHeld, kFree}) {
    const auto made = stranger("by " + std::string(address.substr(0, 4)), address);
    const auto person = try_sign_in(request(address, kStrangers));
    ASSERT_TRUE(person.ok()) << address;
    EXPECT_EQ(person->account.id, made.id);
  }
  EXPECT_EQ(try_sign_in(request(kHeld, kPassword))->account.id, victim.id)
      << "and the first keeps theirs";
}

TEST_F(SharedAddressTest, SignUpTakesNoAddressFromItsPerson) {
  const auto squatter = stranger("squatter", "later@example.org");
  EXPECT_FALSE((*store->accounts().find_account(squatter.id))->email_key.has_value());
  const auto owner = directory.add("late", "later@example.org", false, secret(kPassword));
  ASSERT_TRUE(owner.ok()) << "an operator gives it to whom it belongs";
  EXPECT_EQ(owner->email_key, "later@example.org");
  EXPECT_EQ(try_sign_in(request("later@example.org", kPassword))->account.id, owner->id);
  EXPECT_EQ(directory.get("later@example.org")->id, owner->id);
}

TEST_F(SharedAddressTest, WithoutAnOwnerAnOperatorNamesTheUser) {
  EXPECT_EQ(directory.get(kHeld)->id, victim.id);
  stranger("stranger", kHeld);
  EXPECT_EQ(directory.get(kHeld).code(), ErrorCode::kAbsent);
}

TEST_F(SharedAddressTest, EightAccountsAreTriedAndNoMore) {
  for (int i = 0; i < 9; ++i) {
    storage::Account account;
    account.id = base::AccountId("id " + std::to_string(i));
    account.user_name = account.user_name_key = "holder " + std::to_string(i);
    account.email = account.email_lookup = "many@example.org";
    account.created = clock.now();
    const auto hash = hasher.hash(secret("words of " + std::to_string(i)), account.id);
    ASSERT_TRUE(store->accounts().create_account(account, *hash).ok());
    clock.advance(1s);
  }
  EXPECT_TRUE(try_sign_in(request("many@example.org", "words of 0")).ok());
  EXPECT_TRUE(try_sign_in(request("many@example.org", "words of 7")).ok());
  EXPECT_FALSE(try_sign_in(request("many@example.org", "words of 8")).ok());
  EXPECT_EQ(SignIn::kMostCandidates, 8u);
}

TEST_F(SharedAddressTest, WhatIsDoneAtSignInIsDoneToTheAccountThatMatched) {
  const auto other = stranger("other", kHeld);
  const PasswordHasher raised =
      *PasswordHasher::create({19 * 1024, 2}, test_keys().password_keys, random);
  Parts with_raised{*store, clock, random, metrics, raised, pool, throttle, devices};
  SignIn door(with_raised, floor);
  const std::string first = *store->accounts().get_password_hash(victim.id);
  const std::string second = *store->accounts().get_password_hash(other.id);
  auto attempt = *door.admit(request(kHeld, kStrangers));
  ASSERT_TRUE(door.prepare(attempt).ok());
  door.hash(attempt);
  ASSERT_TRUE(door.finish(std::move(attempt)).ok());
  EXPECT_EQ(*store->accounts().get_password_hash(victim.id), first);
  EXPECT_NE(*store->accounts().get_password_hash(other.id), second) << "rehashed";

  ASSERT_TRUE(directory.set_disabled("victim", true, {}).ok());
  EXPECT_TRUE(try_sign_in(request(kHeld, kStrangers)).ok());
  EXPECT_EQ(try_sign_in(request(kHeld, kPassword)).code(), ErrorCode::kAccountDisabled);
}

TEST_F(SharedAddressTest, AKnownDeviceExemptsItsOwnAccountAlone) {
  stranger("stranger", kHeld);
  const std::string cookie = *try_sign_in(request("stranger", kStrangers))->device_cookie;
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(throttle.reserve(kHeld, "bot" + std::to_string(i))->has_value());
  }
  EXPECT_TRUE(try_sign_in(request(kHeld, kStrangers, kElsewhere, cookie)).ok());
  EXPECT_FALSE(try_sign_in(request(kHeld, kPassword, kElsewhere, cookie)).ok())
      << "the victim's password is guessed behind the throttle only";
}

TEST_F(SharedAddressTest, AtSomebodyElsesBrowserTheOthersStillSignIn) {
  stranger("sister", kHeld);
  const std::string cookie = *try_sign_in(request("sister", kStrangers))->device_cookie;
  const auto person = try_sign_in(request(kHeld, kPassword, kHome, cookie));
  ASSERT_TRUE(person.ok());
  EXPECT_EQ(person->account.id, victim.id);
  EXPECT_TRUE(person->device_cookie.has_value());
}

TEST_F(SharedAddressTest, RightPasswordsOfOnesOwnBuyNoGuessesAtAnothers) {
  stranger("stranger", kHeld);
  const std::string cookie = *try_sign_in(request("stranger", kStrangers))->device_cookie;
  for (const std::string& shown : {std::string(), cookie}) {
    int heard = 0;
    const ClientPrefix place{shown.empty() ? "one" : "two", "w"};
    for (int i = 0; i < 8; ++i) {
      auto guess = *sign_in.admit(request(kHeld, "a guess", place, shown));
      ASSERT_TRUE(sign_in.prepare(guess).ok());
      for (const SignInCandidate& candidate : guess.candidates) {
        if (candidate.account.id == victim.id) ++heard;
      }
      if (guess.wants_hash()) sign_in.hash(guess);
      EXPECT_FALSE(sign_in.finish(std::move(guess)).ok());
      static_cast<void>(try_sign_in(request(kHeld, kStrangers, place, shown)));
    }
    EXPECT_EQ(heard, 4) << "the free ones, and no more";
  }
}

TEST_F(SharedAddressTest, TheThrottleCountsAlikeWhoeverElseHoldsTheAddress) {
  // The stranger's wrong tries at a known device, then a right one as a stranger: if only an
  // address with other holders came before the throttle, the last would tell.
  for (const std::string_view address : {kHeld, kFree}) {
    const std::string name = "at " + std::string(address.substr(0, 4));
    stranger(name, address);
    const std::string cookie = *try_sign_in(request(name, kStrangers))->device_cookie;
    const ClientPrefix place{"from " + name, "w"};
    for (int i = 0; i < 5; ++i) {
      EXPECT_FALSE(try_sign_in(request(address, "wrong", place, cookie)).ok());
    }
    EXPECT_FALSE(try_sign_in(request(address, kStrangers, place)).ok()) << address;
    EXPECT_TRUE(try_sign_in(request(address, kStrangers, place, cookie)).ok()) << address;
  }
}

TEST_F(SharedAddressTest, ARightPasswordOfAHolderLeavesNoPause) {
  const ClientPrefix place{"p", "w"};
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(try_sign_in(request(kHeld, "wrong", place)).ok());
  clock.advance(1s);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(try_sign_in(request(kHeld, kPassword, place)).ok()) << i;
  }
  clock.advance(12h);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(try_sign_in(request(kHeld, "wrong", place)).ok());
  EXPECT_TRUE(try_sign_in(request(kHeld, kPassword, place)).ok()) << "forgotten all the same";
}

}  // namespace
}  // namespace countersign::accounts

#include "accounts/sign_in.h"

#include <array>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sodium.h>

#include "accounts/testing/account_world.h"
#include "storage/sqlite/connection.h"

namespace countersign::accounts {
namespace {

using namespace std::chrono_literals;

class SignInTest : public AccountWorld {
 protected:
  ErrorCode refusal(SignInRequest made) {
    const auto answer = try_sign_in(std::move(made));
    EXPECT_FALSE(answer.ok());
    return answer ? ErrorCode::kInternal : answer.code();
  }
  /// Fails from so many prefixes that the account is besieged from everywhere.
  void besiege(std::string_view key) {
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(throttle.reserve(key, "bot" + std::to_string(i))->has_value());
    }
  }

  storage::Account ann = add("Ann", "ann@example.org");
};

TEST_F(SignInTest, TakesTheUserNameOrTheAddress) {
  for (const char* typed : {"Ann", "ANN", " ann ", "ann@example.org", "Ann@EXAMPLE.org"}) {
    const auto person = try_sign_in(request(typed, kPassword));
    ASSERT_TRUE(person.ok()) << typed;
    EXPECT_EQ(person->account.id, ann.id);
    EXPECT_EQ(person->account.user_name, "Ann") << "the stored spelling";
  }
}

TEST_F(SignInTest, ComposedAndDecomposedPasswordsAreTheSame) {
  ASSERT_TRUE(directory.add("zoe", "", false, secret("caf\u00E9 at the corner")).ok());
  EXPECT_TRUE(try_sign_in(request("zoe", "cafe\u0301 at the corner")).ok());
}

TEST_F(SignInTest, UnknownAndWrongAndThrottledAreRefusedAlike) {
  EXPECT_EQ(refusal(request("nobody", kPassword)), ErrorCode::kCredentials);
  EXPECT_EQ(refusal(request("ann", "not the password")), ErrorCode::kCredentials);
  EXPECT_EQ(refusal(request("nobody@example.org", kPassword)), ErrorCode::kCredentials);
  EXPECT_EQ(refusal(request("no@body@example", kPassword)), ErrorCode::kCredentials);
  EXPECT_EQ(refusal(request("", "")), ErrorCode::kCredentials);
  for (int i = 0; i < 3; ++i) static_cast<void>(try_sign_in(request("ann", "wrong")));
  EXPECT_EQ(refusal(request("ann", kPassword)), ErrorCode::kCredentials) << "throttled";
}

TEST_F(SignInTest, AnUnknownNameGoesTheSameWayAsAWrongPassword) {
  auto known = *sign_in.admit(request("ann", "wrong"));
  auto unknown = *sign_in.admit(request("nobody", "wrong"));
  for (auto* attempt : {&known, &unknown}) {
    ASSERT_TRUE(sign_in.prepare(*attempt).ok());
    EXPECT_TRUE(attempt->wants_hash());
    EXPECT_TRUE(attempt->reservation.has_value());
    sign_in.hash(*attempt);
    EXPECT_TRUE(attempt->hashed);
    EXPECT_FALSE(attempt->matched.has_value());
  }
  EXPECT_EQ(sign_in.finish(std::move(known)).code(), sign_in.finish(std::move(unknown)).code());
}

TEST_F(SignInTest, UnknownNamesAreThrottledLikeKnownOnes) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(refusal(request("nobody", "x")), ErrorCode::kCredentials);
  auto attempt = *sign_in.admit(request("nobody", "x"));
  ASSERT_TRUE(sign_in.prepare(attempt).ok());
  EXPECT_FALSE(attempt.wants_hash());
}

TEST_F(SignInTest, AThrottledAttemptHashesNothingAndHoldsNoPlace) {
  for (int i = 0; i < 4; ++i) static_cast<void>(try_sign_in(request("ann", "wrong")));
  auto attempt = *sign_in.admit(request("ann", kPassword));
  ASSERT_TRUE(sign_in.prepare(attempt).ok());
  EXPECT_FALSE(attempt.wants_hash());
  EXPECT_EQ(pool.taken(), 0u);
  sign_in.hash(attempt);
  EXPECT_FALSE(attempt.hashed);
  EXPECT_EQ(sign_in.finish(std::move(attempt)).code(), ErrorCode::kCredentials);
}

TEST_F(SignInTest, AHundredParallelWrongPasswordsGetOnlyTheFreeTries) {
  PasswordPool wide({4, 64});
  Parts many{*store, clock, random, metrics, hasher, wide, throttle, devices};
  SignIn door(many, floor);
  std::atomic<int> hashed{0};
  std::vector<std::thread> attackers;
  for (int i = 0; i < 10; ++i) {
    attackers.emplace_back([&] {
      for (int n = 0; n < 10; ++n) {
        auto attempt = door.admit(request("ann", "wrong"));
        ASSERT_TRUE(attempt.ok());
        ASSERT_TRUE(door.prepare(*attempt).ok());
        if (attempt->wants_hash()) {
          ++hashed;
          door.hash(*attempt);
        }
        EXPECT_EQ(door.finish(*std::move(attempt)).code(), ErrorCode::kCredentials);
      }
    });
  }
  for (std::thread& attacker : attackers) attacker.join();
  EXPECT_EQ(hashed, 4);
}

TEST_F(SignInTest, StrangersCannotKeepOutTheOwnerAtAKnownDevice) {
  const auto first = try_sign_in(request("ann", kPassword));
  ASSERT_TRUE(first && first->device_cookie);
  const std::string cookie = *first->device_cookie;

  besiege("ann");
  for (int i = 0; i < 30; ++i)
    static_cast<void>(throttle.reserve("x" + std::to_string(i), kHome.narrow));
  ASSERT_EQ(refusal(request("ann", kPassword)), ErrorCode::kCredentials)
      << "without the token the owner is a stranger like all others";
  const auto owner = try_sign_in(request("ann", kPassword, kHome, cookie));
  ASSERT_TRUE(owner.ok());
  EXPECT_FALSE(owner->device_cookie.has_value()) << "the token stays";
}

TEST_F(SignInTest, AKnownDeviceHasTenTriesThatStrangersDoNotUseUp) {
  const std::string cookie = *try_sign_in(request("ann", kPassword))->device_cookie;
  besiege("ann");
  for (int i = 0; i < 9; ++i) {
    EXPECT_EQ(refusal(request("ann", "mistyped", kHome, cookie)), ErrorCode::kCredentials);
  }
  EXPECT_TRUE(try_sign_in(request("ann", kPassword, kHome, cookie)).ok());
}

TEST_F(SignInTest, ABurntDeviceIsAStranger) {
  const std::string cookie = *try_sign_in(request("ann", kPassword))->device_cookie;
  for (int i = 0; i < 10; ++i) static_cast<void>(devices.reserve(cookie, ann.id));
  const auto person = try_sign_in(request("ann", kPassword, kHome, cookie));
  ASSERT_TRUE(person.ok()) << "and strangers may sign in";
  EXPECT_TRUE(person->device_cookie.has_value());
  besiege("ann");
  EXPECT_EQ(refusal(request("ann", kPassword, kElsewhere, cookie)), ErrorCode::kCredentials);
}

TEST_F(SignInTest, TheTokenOfOnePersonExemptsNoOther) {
  add("bob");
  const std::string cookie = *try_sign_in(request("bob", kPassword))->device_cookie;
  besiege("ann");
  EXPECT_EQ(refusal(request("ann", kPassword, kElsewhere, cookie)), ErrorCode::kCredentials);
}

TEST_F(SignInTest, DoorsThatSetNoCookieMakeNoDevice) {
  auto made = request("ann", kPassword);
  made.wants_device = false;
  EXPECT_FALSE(try_sign_in(std::move(made))->device_cookie.has_value());
}

TEST_F(SignInTest, DisabledIsToldOnlyAfterTheRightPassword) {
  ASSERT_TRUE(directory.set_disabled("ann", true, {}).ok());
  EXPECT_EQ(refusal(request("ann", "wrong")), ErrorCode::kCredentials);
  EXPECT_EQ(refusal(request("ann", kPassword)), ErrorCode::kAccountDisabled);
}

TEST_F(SignInTest, RehashesWhenTheParametersChange) {
  const std::string before = *store->accounts().get_password_hash(ann.id);
  const PasswordHasher raised =
      *PasswordHasher::create({19 * 1024, 2}, test_keys().password_keys, random);
  Parts with_raised{*store, clock, random, metrics, raised, pool, throttle, devices};
  SignIn door(with_raised, floor);
  auto attempt = *door.admit(request("ann", kPassword));
  ASSERT_TRUE(door.prepare(attempt).ok());
  door.hash(attempt);
  ASSERT_TRUE(door.finish(std::move(attempt)).ok());

  const std::string after = *store->accounts().get_password_hash(ann.id);
  EXPECT_NE(before, after);
  const auto verdict = raised.verify(after, ann.id, secret(kPassword));
  EXPECT_TRUE(verdict.matches);
  EXPECT_FALSE(verdict.needs_rehash);
  EXPECT_EQ((*store->accounts().find_account(ann.id))->epoch, 0u) << "nobody is signed out by it";
}

TEST_F(SignInTest, AnImportedHashIsSealedAtTheFirstSignIn) {
  const std::string sealed = *store->accounts().get_password_hash(ann.id);
  ASSERT_EQ(sealed.rfind("v1$k1$", 0), 0u);
  std::array<char, crypto_pwhash_STRBYTES> phc{};
  ASSERT_EQ(crypto_pwhash_str_alg(phc.data(), kPassword.data(), kPassword.size(), 3,
                                  12 * 1024 * 1024, crypto_pwhash_ALG_ARGON2ID13),
            0);
  ASSERT_TRUE(*store->accounts().rehash_password(ann.id, sealed, phc.data()));
  EXPECT_TRUE(try_sign_in(request("ann", kPassword)).ok());
  EXPECT_EQ((*store->accounts().get_password_hash(ann.id)).rfind("v1$k1$", 0), 0u);
}

TEST_F(SignInTest, AFullPoolRefusesBeforeAnythingElse) {
  PasswordPool tiny({1, 4});
  std::vector<PasswordPool::Slot> places;
  for (int i = 0; i < 4; ++i) {
    places.push_back(*tiny.reserve({"h" + std::to_string(i), "n" + std::to_string(i)}, false));
  }
  Parts parts_of_tiny{*store, clock, random, metrics, hasher, tiny, throttle, devices};
  SignIn door(parts_of_tiny, floor);
  EXPECT_EQ(door.admit(request("ann", kPassword)).code(), ErrorCode::kBusy);
  const std::string cookie = *devices.issue("", ann.id);
  EXPECT_TRUE(door.admit(request("ann", kPassword, kHome, cookie)).ok())
      << "a quarter is kept for known devices";
  auto other = *door.admit(request("nobody", kPassword, kHome, cookie));
  EXPECT_EQ(door.prepare(other).code(), ErrorCode::kBusy) << "but not for somebody else's account";
}

TEST_F(SignInTest, AnAttemptThatWasPushedOutIsNotCounted) {
  for (int i = 0; i < 8; ++i) {
    auto attempt = *sign_in.admit(request("ann", kPassword));
    ASSERT_TRUE(sign_in.prepare(attempt).ok());
    ASSERT_TRUE(attempt.wants_hash()) << i;
    EXPECT_EQ(sign_in.finish(std::move(attempt)).code(), ErrorCode::kBusy);
  }
}

TEST_F(SignInTest, AnAttemptThatWasPushedOutGivesTheDeviceItsTryBack) {
  const std::string cookie = *try_sign_in(request("ann", kPassword))->device_cookie;
  for (int i = 0; i < 12; ++i) {
    for (const char* typed : {"ann", "ann@example.org"}) {
      auto attempt = *sign_in.admit(request(typed, kPassword, kHome, cookie));
      ASSERT_TRUE(sign_in.prepare(attempt).ok());
      EXPECT_EQ(sign_in.finish(std::move(attempt)).code(), ErrorCode::kBusy);
    }
  }
  besiege("ann");
  EXPECT_TRUE(try_sign_in(request("ann", kPassword, kHome, cookie)).ok());
}

TEST_F(SignInTest, AnAttemptThatTheStoreFailedIsNotCounted) {
  const std::string cookie = *try_sign_in(request("ann", kPassword))->device_cookie;
  storage::ConnectionSettings settings;
  settings.path = (folder.path() / "test.db").string();
  const auto beside = *storage::Connection::open(settings);
  ASSERT_TRUE(beside->execute("ALTER TABLE password_hashes RENAME TO elsewhere").ok());
  for (int i = 0; i < 12; ++i) {
    for (const std::string& shown : {std::string(), cookie}) {
      auto attempt = *sign_in.admit(request("ann@example.org", kPassword, kHome, shown));
      EXPECT_EQ(sign_in.prepare(attempt).code(), ErrorCode::kStoreFailed);
    }
  }
  ASSERT_TRUE(beside->execute("ALTER TABLE elsewhere RENAME TO password_hashes").ok());
  EXPECT_TRUE(try_sign_in(request("ann@example.org", kPassword)).ok());
  besiege("ann@example.org");
  EXPECT_TRUE(try_sign_in(request("ann@example.org", kPassword, kHome, cookie)).ok());
}

TEST_F(SignInTest, NotesTheWorkOfVerifiedAttemptsOnly) {
  AnswerFloorOptions options;
  options.jitter = 0us;
  AnswerFloor own(options, random);
  SignIn door(parts, own);
  const auto run = [&](std::chrono::milliseconds work, std::string_view name) {
    auto attempt = *door.admit(request(name, "wrong"));
    ASSERT_TRUE(door.prepare(attempt).ok());
    clock.advance(work);
    door.hash(attempt);
    static_cast<void>(door.finish(std::move(attempt)));
  };
  run(600ms, "ann");
  EXPECT_EQ(own.deadline(base::SteadyTime()), base::SteadyTime() + 600ms);
  for (int i = 0; i < 3; ++i) run(600ms, "ann");
  run(0ms, "ann");  // throttled: not a sample
  EXPECT_EQ(own.deadline(base::SteadyTime()), base::SteadyTime() + 600ms);
}

TEST_F(SignInTest, PasswordsThatCannotBeHashedAreWrong) {
  EXPECT_EQ(refusal(request("ann", std::string(5000, 'x'))), ErrorCode::kCredentials);
  EXPECT_EQ(refusal(request("ann", "bad \xFF utf-8")), ErrorCode::kCredentials);
  EXPECT_EQ(refusal(request("ann", std::string_view("a\0b", 3))), ErrorCode::kCredentials);
}

}  // namespace
}  // namespace countersign::accounts

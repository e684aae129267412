#include "accounts/sign_up.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "accounts/testing/account_world.h"

namespace countersign::accounts {
namespace {

class SignUpTest : public AccountWorld {
 protected:
  SignUp with(SignUpOptions options) { return SignUp(parts, policy, floor, options); }
  ErrorCode refusal(SignUp& door, std::string_view name, std::string_view email,
                    std::string_view password = kPassword) {
    const auto answer = try_sign_up(door, name, email, password);
    EXPECT_FALSE(answer.ok());
    return answer ? ErrorCode::kInternal : answer.code();
  }
};

TEST_F(SignUpTest, MakesAnAccountThatCanSignIn) {
  const auto person = try_sign_up(sign_up, "Zo\u00EB", "Zoe@Example.org");
  ASSERT_TRUE(person.ok());
  EXPECT_EQ(person->account.user_name, "Zo\u00EB");
  EXPECT_EQ(person->account.email, "Zoe@example.org");
  EXPECT_EQ(person->account.created, clock.now());
  ASSERT_TRUE(person->device_cookie.has_value());
  EXPECT_TRUE(devices.reserve(*person->device_cookie, person->account.id)->has_value());
  const auto again = try_sign_in(request("zo\u00EB", kPassword));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->account.id, person->account.id);
}

TEST_F(SignUpTest, NamesAreUniqueUnderFolding) {
  ASSERT_TRUE(try_sign_up(sign_up, "Zo\u00EB", "").ok());
  EXPECT_EQ(refusal(sign_up, "ZOE\u0308", ""), ErrorCode::kNameTaken);
}

TEST_F(SignUpTest, AnAddressThatIsNoIdentityIsHeldAndNotOwned) {
  for (const char* name : {"first", "second"}) {
    const auto person = try_sign_up(sign_up, name, "Shared@Example.org");
    ASSERT_TRUE(person.ok()) << "the answer is the same";
    const auto stored = *store->accounts().find_account(person->account.id);
    EXPECT_EQ(stored->email, "Shared@example.org");
    EXPECT_EQ(stored->email_lookup, "shared@example.org");
    EXPECT_FALSE(stored->email_key.has_value());
  }
}

TEST_F(SignUpTest, AnAddressThatIsAnIdentityIsRequiredAndUnique) {
  SignUp door = with({true, true});
  EXPECT_EQ(refusal(door, "ann", ""), ErrorCode::kEmailRequired);
  EXPECT_EQ(refusal(door, "ann", "   "), ErrorCode::kEmailRequired);
  const auto ann = try_sign_up(door, "ann", "ann@example.org");
  ASSERT_TRUE(ann.ok());
  EXPECT_EQ(ann->account.email_key, "ann@example.org");
  EXPECT_EQ(refusal(door, "bob", "ANN@example.org"), ErrorCode::kEmailRefused);
  EXPECT_FALSE(store->accounts().find_account_by_name("bob")->has_value());
}

TEST_F(SignUpTest, NamesTheRuleThatFailed) {
  EXPECT_EQ(refusal(sign_up, "a@b", ""), ErrorCode::kBadUserName);
  EXPECT_EQ(refusal(sign_up, "ann", "nonsense"), ErrorCode::kBadEmail);
  EXPECT_EQ(refusal(sign_up, "ann", "", "short"), ErrorCode::kPasswordTooShort);
  EXPECT_EQ(refusal(sign_up, "ann", "", "passwordpassword"), ErrorCode::kPasswordTooCommon);
  EXPECT_EQ(refusal(sign_up, "anna-lena", "", "my name is Anna-Lena"),
            ErrorCode::kPasswordContainsName);
  EXPECT_EQ(refusal(sign_up, "ann", "", std::string(1025, 'x')), ErrorCode::kPasswordTooLong);
  EXPECT_EQ(refusal(sign_up, "ann", "", "a long and quiet \xFF"), ErrorCode::kBadPasswordText);
}

TEST_F(SignUpTest, ClosedMeansClosed) {
  SignUp door = with({false, false});
  EXPECT_EQ(refusal(door, "ann", ""), ErrorCode::kSignUpClosed);
}

TEST_F(SignUpTest, OnePrefixMakesFiveAccountsAnHour) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(try_sign_up(sign_up, "name" + std::to_string(i), "").ok());
  }
  EXPECT_EQ(refusal(sign_up, "name5", ""), ErrorCode::kTooManyRequests);
  clock.advance(std::chrono::hours(1));
  EXPECT_TRUE(try_sign_up(sign_up, "name5", "").ok());
}

TEST_F(SignUpTest, WhatIsRefusedByARuleDoesNotCount) {
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(refusal(sign_up, "ann", "", "x"), ErrorCode::kPasswordTooShort);
  EXPECT_TRUE(try_sign_up(sign_up, "ann", "").ok());
}

TEST_F(SignUpTest, HashesForATakenNameToo) {
  add("ann");
  SignUpRequest made;
  made.user_name = "ann";
  made.password = secret(kPassword);
  made.prefix = kHome;
  auto draft = *sign_up.admit(std::move(made));
  ASSERT_TRUE(sign_up.prepare(draft).ok());
  EXPECT_TRUE(draft.wants_hash());
  sign_up.hash(draft);
  EXPECT_TRUE(draft.password_hash->ok());
  EXPECT_EQ(sign_up.finish(std::move(draft)).code(), ErrorCode::kNameTaken);
}

TEST_F(SignUpTest, TheStoreDecidesRaces) {
  std::atomic<int> made{0};
  std::vector<std::thread> people;
  for (int i = 0; i < 4; ++i) {
    people.emplace_back([&] { made += try_sign_up(sign_up, "ann", "").ok() ? 1 : 0; });
  }
  for (std::thread& person : people) person.join();
  EXPECT_EQ(made, 1);
}

TEST_F(SignUpTest, ADraftThatWasPushedOutIsNotCounted) {
  for (int i = 0; i < 8; ++i) {
    SignUpRequest made;
    made.user_name = "ann";
    made.password = secret(kPassword);
    made.prefix = kHome;
    auto draft = *sign_up.admit(std::move(made));
    ASSERT_TRUE(sign_up.prepare(draft).ok()) << i;
    EXPECT_EQ(sign_up.finish(std::move(draft)).code(), ErrorCode::kBusy);
  }
}

}  // namespace
}  // namespace countersign::accounts

#include "accounts/password_policy.h"

#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "accounts/common_passwords.h"
#include "base/unicode.h"

namespace countersign::accounts {
namespace {

using base::SecretBytes;

std::optional<ErrorCode> verdict(std::string_view password, std::string_view name = "",
                                 std::string_view email = "", PasswordPolicyOptions options = {}) {
  const auto normalised = normalise_password(SecretBytes(password));
  if (!normalised) return normalised.code();
  const auto allowed = PasswordPolicy(std::move(options)).check(*normalised, name, email);
  if (!allowed) return allowed.code();
  return std::nullopt;
}

TEST(PasswordPolicy, WantsFifteenCodePointsByDefault) {
  EXPECT_EQ(verdict("quiet afternoo"), ErrorCode::kPasswordTooShort);
  EXPECT_EQ(verdict("quiet afternoon"), std::nullopt);
}

TEST(PasswordPolicy, CountsCodePointsNotBytes) {
  std::string fourteen;
  for (int i = 0; i < 14; ++i) fourteen += "\u6F22";
  EXPECT_EQ(verdict(fourteen), ErrorCode::kPasswordTooShort);
  EXPECT_EQ(verdict(fourteen + "\u5B57"), std::nullopt);
}

TEST(PasswordPolicy, TakesTheMinimumFromItsOptions) {
  EXPECT_EQ(verdict("eight888", "", "", {8, {}}), std::nullopt);
  EXPECT_EQ(verdict("seven77", "", "", {8, {}}), ErrorCode::kPasswordTooShort);
}

TEST(PasswordPolicy, AllowsUpTo1024BytesAndNeverCuts) {
  std::string long_one;
  while (long_one.size() < 1024) long_one += "lantern ";
  EXPECT_EQ(verdict(long_one), std::nullopt);
  EXPECT_EQ(verdict(long_one + "x"), ErrorCode::kPasswordTooLong);
  EXPECT_EQ(verdict(std::string(1 << 20, 'x')), ErrorCode::kPasswordTooLong);
}

TEST(PasswordPolicy, RefusesNulAndBrokenUtf8) {
  EXPECT_EQ(verdict(std::string_view("quiet\0afternoon long", 20)), ErrorCode::kBadPasswordText);
  EXPECT_EQ(verdict("quiet afternoon \xC3"), ErrorCode::kBadPasswordText);
}

TEST(PasswordPolicy, AllowsEveryOtherCharacterAndAsksForNoMixture) {
  EXPECT_EQ(verdict("only lower case letters"), std::nullopt);
  EXPECT_EQ(verdict("tab\tand \u2028 emoji \U0001F98A too"), std::nullopt);
}

TEST(PasswordPolicy, NormalisesToTheComposedForm) {
  EXPECT_EQ(normalise_password(SecretBytes("caf\u00E9"))->view(),
            normalise_password(SecretBytes("cafe\u0301"))->view());
}

TEST(PasswordPolicy, RefusesCommonPasswordsInAnyCase) {
  for (const char* common :
       {"passwordpassword", "PasswordPassword", "qwertyuiopasdfg", "123456789012345",
        "aaaaaaaaaaaaaaa", "CorrectHorseBatteryStaple", "correct horse battery staple",
        "iloveyoupassword", "password12345678", "1qaz2wsx3edc4rfv"}) {
    EXPECT_EQ(verdict(common), ErrorCode::kPasswordTooCommon) << common;
  }
}

TEST(PasswordPolicy, ItsListHasThreeThousandEntriesThatTheMinimumWouldAllow) {
  EXPECT_GE(PasswordPolicy({}).common_count(), 3000u);
  std::string_view list = common_passwords();
  EXPECT_LT(list.size(), 120u * 1024);
  while (!list.empty()) {
    const std::string_view entry = list.substr(0, list.find('\n'));
    ASSERT_GE(base::count_code_points(entry).value(), 15u) << entry;
    ASSERT_EQ(base::fold_key(entry), entry) << "compared in folded form";
    list.remove_prefix(entry.size() + 1);
  }
}

TEST(PasswordPolicy, RefusesTheUserNameAnywhereInIt) {
  EXPECT_EQ(verdict("my name is ZO\u00CB-marie", "zo\u00EB-Marie"),
            ErrorCode::kPasswordContainsName);
  EXPECT_EQ(verdict("my name is not said", "zo\u00EB-Marie"), std::nullopt);
}

TEST(PasswordPolicy, RefusesTheLocalPartOfTheAddress) {
  EXPECT_EQ(verdict("hello ann.lee hello", "x1y2", "Ann.Lee@example.org"),
            ErrorCode::kPasswordContainsName);
  EXPECT_EQ(verdict("example.org is quiet", "x1y2", "Ann.Lee@example.org"), std::nullopt);
}

TEST(PasswordPolicy, ShortNamesMayOccurButNotMakeThePassword) {
  EXPECT_EQ(verdict("a bobsleigh in winter", "bob"), std::nullopt);
  EXPECT_EQ(verdict("bobbobbobbobbob", "bob"), ErrorCode::kPasswordContainsName);
  EXPECT_EQ(verdict("b-b-b-b-b-b-b-b-b", "b-"), ErrorCode::kPasswordContainsName);
}

TEST(PasswordPolicy, RefusesTheWordsOfTheSite) {
  EXPECT_EQ(verdict("welcome to Wonderchat", "", "", {15, {"WonderChat"}}),
            ErrorCode::kPasswordContainsName);
}

TEST(PasswordPolicy, NamesTheFirstRuleThatFails) {
  EXPECT_EQ(verdict("annlee", "annlee"), ErrorCode::kPasswordTooShort);
  EXPECT_EQ(verdict("passwordpassword", "password"), ErrorCode::kPasswordTooCommon);
}

}  // namespace
}  // namespace countersign::accounts

#include "accounts/user_name.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "countersign/identity.h"

#include "base/unicode.h"

namespace countersign::accounts {
namespace {

bool accepted(std::string_view typed) { return parse_user_name(typed).ok(); }

TEST(UserName, KeepsTheSpellingAndFoldsTheKey) {
  const auto name = parse_user_name("Ann Lee");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->text, "Ann Lee");
  EXPECT_EQ(name->key, "ann lee");
}

TEST(UserName, ComposedAndDecomposedAccentsAreOneName) {
  const auto composed = parse_user_name("Zo\u00EB");
  const auto decomposed = parse_user_name("Zoe\u0308");
  ASSERT_TRUE(composed && decomposed);
  EXPECT_EQ(composed->text, decomposed->text);
  EXPECT_EQ(parse_user_name("ZO\u00CB")->key, composed->key);
}

TEST(UserName, SharpSFoldsToTwoLetters) {
  EXPECT_EQ(parse_user_name("stra\u00DFe")->key, parse_user_name("STRASSE")->key);
}

TEST(UserName, RefusesWhatCannotBeTyped) {
  EXPECT_FALSE(accepted(""));
  EXPECT_FALSE(accepted("ann@example.org"));
  EXPECT_FALSE(accepted(" ann"));
  EXPECT_FALSE(accepted("ann "));
  EXPECT_FALSE(accepted("ann\u00A0"));
  EXPECT_FALSE(accepted("\u3000ann"));
  EXPECT_FALSE(accepted("an\nn"));
  EXPECT_FALSE(accepted("an\x7Fn"));
  EXPECT_FALSE(accepted("an\u0085n"));
  EXPECT_FALSE(accepted(std::string_view("an\0n", 4)));
  EXPECT_FALSE(accepted("an\xFFn"));
  EXPECT_FALSE(accepted("an\u202En"));
  EXPECT_FALSE(accepted("an\u2028n"));
  EXPECT_FALSE(accepted("\uFEFFann"));
}

TEST(UserName, HasAtMost255Bytes) {
  EXPECT_TRUE(accepted(std::string(255, 'a')));
  EXPECT_FALSE(accepted(std::string(256, 'a')));
}

TEST(UserName, RefusesANameThatGrowsBeyondTheLimitInNormalForm) {
  // U+0958 decomposes and is excluded from composition: three bytes become six.
  std::string typed;
  for (int i = 0; i < 80; ++i) typed += "\u0958";
  ASSERT_LE(typed.size(), 255u);
  EXPECT_FALSE(accepted(typed));
}

TEST(UserName, WhateverIsAcceptedIsAnIdentityAndItsOwnSpelling) {
  EXPECT_TRUE(rc::check([](const std::string& typed) {
    const auto name = parse_user_name(typed);
    if (!name) return;
    RC_ASSERT(name->text.find('@') == std::string::npos);
    RC_ASSERT(validate_identity({IdentityType::kUsername, name->text}, UserNameRule::kUtf8).ok());
    const auto again = parse_user_name(name->text);
    RC_ASSERT(again.ok());
    RC_ASSERT(again->text == name->text);
    RC_ASSERT(again->key == name->key);
  }));
}

}  // namespace
}  // namespace countersign::accounts

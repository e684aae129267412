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

TEST(UserName, RefusesWhatIsNotSeen) {
  for (const char* trap : {
           "vic\u00ADtim",  // soft hyphen
           "vic\u034Ftim",  // combining grapheme joiner
           "vic\u115Ftim",     "vic\u1160tim", "vic\u3164tim",
           "vic\uFFA0tim",  // Hangul fillers
           "vic\u17B4tim",     "vic\u180Btim", "vic\u180Etim",     "vic\u200Btim",
           "vic\u200Ctim",     "vic\u200Dtim",
           "vic\u200Ftim",  // zero width
           "vic\u202Atim",     "vic\u2060tim", "vic\u2064tim",     "vic\u2066tim",
           "vic\u206Ftim",     "vic\u061Ctim", "victim\uFE0F",     "\uFEFFvictim",
           "vic\uFFF9tim",     "vic\u2029tim", "vic\U0001D173tim", "vic\U000E0041tim",
           "vic\U000E0100tim",
       }) {
    EXPECT_FALSE(accepted(trap)) << trap;
  }
}

TEST(UserName, RefusesWhatMeansNothingOrSomethingElseToEverybody) {
  EXPECT_FALSE(accepted("vic\u0378tim")) << "unassigned";
  EXPECT_FALSE(accepted("vic\U0003FFFEtim")) << "never assigned";
  EXPECT_FALSE(accepted("vic\uE000tim")) << "private use";
  EXPECT_FALSE(accepted("vic\U0010FFFDtim")) << "private use";
  EXPECT_FALSE(accepted("vic\xED\xA0\x80tim")) << "a surrogate";
}

TEST(UserName, AcceptsWhatPeopleAreCalled) {
  for (const char* name : {"Ann Lee", "O'Brien-Smith", "Zo\u00EB", "\u0141ukasz",
                           "\u738B\u5C0F\u660E", "\uAE40\uCCA0\uC218", "\u0639\u0644\u064A",
                           "\u0938\u0940\u0924\u093E", "ann_1.2", "\U0001F600"}) {
    EXPECT_TRUE(accepted(name)) << name;
  }
}

TEST(UserName, CompatibilityFormsAreOneNameKeptAsTyped) {
  const auto wide = parse_user_name("\uFF36ictim");  // full-width V
  ASSERT_TRUE(wide);
  EXPECT_EQ(wide->text, "\uFF36ictim");
  EXPECT_EQ(wide->key, parse_user_name("victim")->key);
  EXPECT_EQ(parse_user_name("\uFB01n")->key, parse_user_name("fin")->key) << "a ligature";
  EXPECT_EQ(parse_user_name("\U0001D4CBictim")->key, wide->key) << "a mathematical letter";
  EXPECT_EQ(parse_user_name("ann\u00A0lee")->key, parse_user_name("ann lee")->key);
  EXPECT_NE(parse_user_name("v\u0456ctim")->key, wide->key) << "a Cyrillic letter is another";
}

TEST(UserName, RefusesAnAddressInAnotherWidth) {
  EXPECT_FALSE(accepted("ann\uFF20example.org"));
  EXPECT_FALSE(accepted("ann\uFE6Bexample.org"));
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

#include "accounts/email.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "countersign/identity.h"

namespace countersign::accounts {
namespace {

bool accepted(std::string_view typed) { return parse_email(typed).ok(); }

TEST(EmailAddress, KeepsTheLocalPartAndLowersTheDomain) {
  const auto email = parse_email("Ann.Lee@Example.ORG");
  ASSERT_TRUE(email);
  EXPECT_EQ(email->text, "Ann.Lee@example.org");
  EXPECT_EQ(email->key, "ann.lee@example.org");
  EXPECT_EQ(email->local_part(), "Ann.Lee");
}

TEST(EmailAddress, WritesTheDomainAsALabels) {
  EXPECT_EQ(parse_email("ann@m\u00FCnchen.example")->text, "ann@xn--mnchen-3ya.example");
  EXPECT_EQ(parse_email("ann@M\u00DCNCHEN.example")->text, "ann@xn--mnchen-3ya.example");
}

TEST(EmailAddress, DropsBlanksAroundIt) {
  EXPECT_EQ(parse_email(" \tann@example.org ")->text, "ann@example.org");
}

TEST(EmailAddress, RefusesWhatIsNone) {
  for (const char* typed : {"",
                            " ",
                            "ann",
                            "@",
                            "ann@",
                            "@example.org",
                            "a@b@c",
                            "an n@example.org",
                            "ann@exa mple.org",
                            "ann@example.org\r\nBcc: x@y.z",
                            "ann\n@example.org",
                            "\"ann\"@example.org",
                            "<ann@example.org>",
                            "Ann <ann@example.org>",
                            ".ann@example.org",
                            "ann.@example.org",
                            "a..b@example.org",
                            "ann@-example.org",
                            "ann@example-.org",
                            "ann@exa_mple.org",
                            "ann@example..org",
                            "ann@[192.0.2.1]",
                            "ann@exam>ple.org",
                            "ann@b\uFF20c.org",
                            "\u00E4nn@example.org",
                            "ann@exam\xFFple.org"}) {
    EXPECT_FALSE(accepted(typed)) << typed;
  }
  EXPECT_FALSE(accepted(std::string_view("ann@example.org\0.evil", 21)));
}

TEST(EmailAddress, HasAtMost254Bytes) {
  const std::string label(62, 'a');
  const std::string domain = label + "." + label + "." + label + ".org";  // 192
  EXPECT_TRUE(accepted(std::string(254 - 1 - domain.size(), 'x') + "@" + domain));
  EXPECT_FALSE(accepted(std::string(255 - 1 - domain.size(), 'x') + "@" + domain));
  EXPECT_FALSE(accepted(std::string(65, 'x') + "@example.org"));
}

/// Text that is nearly an address, so that the property is not vacuous.
rc::Gen<std::string> nearly_addresses() {
  return rc::gen::container<std::string>(rc::gen::element('a', 'Z', '9', '.', '-', '_', '@', '+',
                                                          ' ', '\r', '\n', '<', '>', '"', '\0',
                                                          '\xC3', '\xBC', '\xE2', '\x80', '\x8B'));
}

void check_invariants(const std::string& typed) {
  const auto email = parse_email(typed);
  if (!email) return;
  const std::string& text = email->text;
  RC_ASSERT(text.find_first_of(std::string_view("\r\n <>\"\0", 7)) == std::string::npos);
  RC_ASSERT(std::count(text.begin(), text.end(), '@') == 1);
  RC_ASSERT(text.size() <= 254u);
  RC_ASSERT(validate_identity({IdentityType::kEmail, text}, UserNameRule::kUtf8).ok());
  const auto again = parse_email(text);
  RC_ASSERT(again.ok());
  RC_ASSERT(again->text == text);
  RC_ASSERT(again->key == email->key);
}

TEST(EmailAddress, WhateverIsAcceptedIsSafeInAHeaderAndItsOwnSpelling) {
  EXPECT_TRUE(rc::check([](const std::string& typed) { check_invariants(typed); }));
  EXPECT_TRUE(rc::check(
      [] { check_invariants("a" + *nearly_addresses() + "@" + *nearly_addresses() + "b"); }));
}

}  // namespace
}  // namespace countersign::accounts

#include "countersign/identity.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace countersign {
namespace {

bool user_name(std::string name, UserNameRule rule = UserNameRule::kUtf8) {
  return validate_identity({IdentityType::kUsername, std::move(name)}, rule).ok();
}
bool email(std::string address) {
  return validate_identity({IdentityType::kEmail, std::move(address)}, UserNameRule::kUtf8).ok();
}
bool number(std::string digits) {
  return validate_identity({IdentityType::kNumber, std::move(digits)}, UserNameRule::kUtf8).ok();
}

TEST(Identity, AcceptsAnyTextWithoutControlsAsUserName) {
  for (const char* name : {"a", "john smith", "ren\xC3\xA9", "\xE6\xBC\xA2", "\xF0\x9F\x98\x80",
                           "a\xC2\xA0z", "+46700"}) {
    EXPECT_TRUE(user_name(name)) << name;
  }
}

TEST(Identity, RefusesControlsAndIllFormedUserNames) {
  for (const char* name :
       {"", "a\tb", "a\x7f", "a\xC2\x80", "a\xC2\x9F", "\xC3", "\xED\xA0\x80", "a\xFF"}) {
    EXPECT_FALSE(user_name(name)) << name;
  }
  EXPECT_FALSE(user_name(std::string("a\0b", 3)));
}

TEST(Identity, CountsTheLengthOfUserNamesInBytes) {
  EXPECT_TRUE(user_name(std::string(255, 'n')));
  EXPECT_FALSE(user_name(std::string(256, 'n')));
  std::string accents;
  for (int i = 0; i < 127; ++i) accents += "\xC3\xA5";
  EXPECT_TRUE(user_name(accents + "x"));
  EXPECT_FALSE(user_name(accents + "xx"));
}

TEST(Identity, StrictUserNamesArePrintableAsciiWithoutBlank) {
  EXPECT_TRUE(user_name("!~\"\\<>", UserNameRule::kPrintable));
  EXPECT_FALSE(user_name("john smith", UserNameRule::kPrintable));
  EXPECT_FALSE(user_name("ren\xC3\xA9", UserNameRule::kPrintable));
}

TEST(Identity, AcceptsDotAtomAddressesAtLdhDomains) {
  for (const char* address :
       {"a@b", "first.last+tag@example.com", "x!#$%&'*+-/=?^_`{|}~@a-b.c1.org"}) {
    EXPECT_TRUE(email(address)) << address;
  }
  EXPECT_TRUE(email(std::string(64, 'a') + "@example.com"));
}

TEST(Identity, RefusesOtherAddresses) {
  for (const char* address : {"",
                              "@",
                              "a",
                              "a@",
                              "@b",
                              "a@@b",
                              "a@b@c",
                              ".a@b",
                              "a.@b",
                              "a..b@c",
                              "a@.b",
                              "a@b.",
                              "a@b..c",
                              "a@-b",
                              "a@b-",
                              "a@b_c",
                              "\"a\"@b",
                              "a b@c",
                              "Ann <a@b>",
                              "a@b\n",
                              "jos\xC3\xA9@b",
                              "a@\xC3\xA9.org",
                              "a@[127.0.0.1]"}) {
    EXPECT_FALSE(email(address)) << address;
  }
  EXPECT_FALSE(email(std::string(65, 'a') + "@example.com"));
  EXPECT_FALSE(email("a@" + std::string(64, 'b') + ".org"));
  const std::string label(63, 'b');
  const std::string longest = "a@" + label + '.' + label + '.' + label + '.' + std::string(60, 'b');
  EXPECT_EQ(longest.size(), 254U);
  EXPECT_TRUE(email(longest));
  EXPECT_FALSE(email(longest + "b"));
}

TEST(Identity, AcceptsE164NumbersOfSevenToFifteenDigits) {
  EXPECT_TRUE(number("+1234567"));
  EXPECT_TRUE(number("+123456789012345"));
  for (const char* digits :
       {"", "+", "1234567", "+123456", "+1234567890123456", "+0234567", "+123 4567", "+123-4567",
        "++1234567", "+123456\xD9\xA0", "+1234567\n"}) {
    EXPECT_FALSE(number(digits)) << digits;
  }
}

TEST(Identity, ReadsTypesCaseSensitively) {
  EXPECT_EQ(parse_identity_type("email"), IdentityType::kEmail);
  for (const char* name : {"Email", "phone", "did", "conference", ""}) {
    EXPECT_EQ(parse_identity_type(name), std::nullopt) << name;
  }
  EXPECT_EQ(*parse_identity("username:a:b"), (Identity{IdentityType::kUsername, "a:b"}));
  EXPECT_EQ(parse_identity("username").code(), ErrorCode::kBadIdentityType);
  EXPECT_EQ(parse_identity("user:a").code(), ErrorCode::kBadIdentityType);
}

TEST(NameNotes, TellWhichSdkRefusesAName) {
  const auto notes = [](std::string name) {
    return name_notes({IdentityType::kUsername, std::move(name)});
  };
  EXPECT_EQ(notes("alice_1"), (NameNotes{false, false}));
  EXPECT_EQ(notes("alice@example.org"), (NameNotes{false, true}));
  EXPECT_EQ(notes(std::string(40, 'a')), (NameNotes{false, false}));
  EXPECT_EQ(notes(std::string(41, 'a')), (NameNotes{true, false}));
  EXPECT_EQ(notes("ren\xC3\xA9"), (NameNotes{true, true}));
  EXPECT_EQ(name_notes({IdentityType::kEmail, "a@b"}), NameNotes{});
}

TEST(EncodedUserName, IsUrlSafeAndComesBackForAnyName) {
  EXPECT_TRUE(rc::check([] {
    const auto size = *rc::gen::inRange<std::size_t>(1, 192);
    const auto name = *rc::gen::container<std::string>(size, rc::gen::arbitrary<char>());
    const Result<std::string> text = encode_user_name(name);
    RC_ASSERT(text.ok());
    RC_ASSERT(!name_notes({IdentityType::kUsername, *text}).outside_url_safe_set);
    RC_ASSERT(*decode_user_name(*text) == name);
  }));
  EXPECT_FALSE(encode_user_name(""));
  EXPECT_FALSE(encode_user_name(std::string(192, 'n')));
  EXPECT_FALSE(decode_user_name("YQ=="));
  EXPECT_FALSE(decode_user_name(""));
}

}  // namespace
}  // namespace countersign

#include <set>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bus/bus.h"

namespace countersign::bus {
namespace {

TEST(SubjectToken, IsTheLowerCaseBase32OfTheDigestOfLengthAndText) {
  // python3: base64.b32encode(sha256(struct.pack(">Q", 1) + b"a").digest()).lower().rstrip(b"=")
  EXPECT_EQ(subject_token({"a"}), "hmmw7veqppw7khbqsduygxzpps3b47xbwiuz5i5y73m3igb2qiva");
  EXPECT_EQ(subject_token({"a"}).size(), 52u);
}

TEST(SubjectToken, IsASubjectWhateverThePersonIsCalled) {
  for (const std::string_view name : {">", "*", "a.b", "", " ", "a b", "A", "countersign.>",
                                      "\r\nPUB x 0\r\n", "\xff\xfe", "ü"}) {
    EXPECT_TRUE(is_subject(subject_token({"app", "username", name}))) << name;
  }
  EXPECT_TRUE(is_subject(subject_token({})));
  EXPECT_TRUE(is_subject(subject_token({std::string(100'000, '>')})));
  EXPECT_TRUE(is_subject(subject_token({std::string_view("\0", 1)})));
}

TEST(SubjectToken, KeepsPartsApart) {
  const std::set<std::string> tokens = {
      subject_token({}),         subject_token({""}),       subject_token({"", ""}),
      subject_token({"ab"}),     subject_token({"a", "b"}), subject_token({"", "ab"}),
      subject_token({"ab", ""}), subject_token({"b", "a"}), subject_token({"A", "b"})};
  EXPECT_EQ(tokens.size(), 9u);
}

TEST(Subject, IsTokensOfLettersAndDigitsJoinedBySingleDots) {
  for (const std::string_view good : {"a", "0", "presence", "inbox.a1", "a.b.c.d"}) {
    EXPECT_TRUE(is_subject(good)) << good;
  }
  EXPECT_TRUE(is_subject(std::string(255, 'a')));
  EXPECT_FALSE(is_subject(std::string(256, 'a')));
  for (const std::string_view bad :
       {"", ".", ".a", "a.", "a..b", ">", "*", "a.>", "a.*", "a.*.b", "A", "a b", "a\tb", "a\r\nb",
        "a_b", "a-b", "$KV.a", "ä", "a\x80"}) {
    EXPECT_FALSE(is_subject(bad)) << bad;
  }
  EXPECT_FALSE(is_subject(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace countersign::bus

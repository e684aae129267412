#include "countersign/turn_credential.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace countersign {
namespace {

using std::chrono::seconds;
using std::chrono::sys_seconds;

constexpr sys_seconds kNowSeconds{seconds{1767232800}};
constexpr Instant kNow{kNowSeconds};

std::vector<TurnSecret> secrets(std::initializer_list<std::string_view> texts) {
  std::vector<TurnSecret> result;
  for (const std::string_view text : texts) result.push_back(*TurnSecret::from_text(text));
  return result;
}

TEST(TurnCredential, MintsWhatCoturnAccepts) {
  const auto north = secrets({"north"});
  const auto credential = mint_turn_credential(north[0], "alice", sys_seconds{seconds{1767319200}});
  ASSERT_TRUE(credential);
  EXPECT_EQ(credential->username, "1767319200:alice");
  EXPECT_EQ(credential->password, "i9q4rqaCcQPr2CvVNQ0nEhxZYnU=");
}

TEST(TurnCredential, IsGoodInItsLastSecondAndNotAfter) {
  const auto north = secrets({"north"});
  const TurnCredential credential = *mint_turn_credential(north[0], "alice", kNowSeconds);
  EXPECT_TRUE(verify_turn_credential(north, credential, kNow));
  EXPECT_TRUE(verify_turn_credential(north, credential, kNow + std::chrono::milliseconds{999}));
  EXPECT_EQ(verify_turn_credential(north, credential, kNow + seconds{1}).code(),
            ErrorCode::kExpired);
}

TEST(TurnCredential, OnlyTheFirstSeparatorCounts) {
  const auto north = secrets({"north"});
  const TurnCredential credential = *mint_turn_credential(north[0], "sip:alice", kNowSeconds);
  EXPECT_EQ(verify_turn_credential(north, credential, kNow)->user, "sip:alice");
}

TEST(TurnCredential, AcceptsEveryActiveSecret) {
  const auto both = secrets({"old", "new"});
  const TurnCredential credential = *mint_turn_credential(both[1], "a", kNowSeconds);
  EXPECT_TRUE(verify_turn_credential(both, credential, kNow));
  EXPECT_EQ(verify_turn_credential(secrets({"old"}), credential, kNow).code(),
            ErrorCode::kBadPassword);
  EXPECT_EQ(verify_turn_credential({}, credential, kNow).code(), ErrorCode::kBadPassword);
}

TEST(TurnCredential, RefusesNamesThatAreNoExpiryAndUser) {
  const auto north = secrets({"north"});
  for (const char* name : {"", ":", ":alice", "-1:alice", "+1:alice", "alice:1767319200", " 1:a",
                           "1x:a", "0000000000000000001:a", "1:a\nb"}) {
    EXPECT_EQ(verify_turn_credential(north, {name, "x"}, kNow).code(), ErrorCode::kBadUsername)
        << name;
  }
  EXPECT_EQ(mint_turn_credential(north[0], "a\nb", kNowSeconds).code(), ErrorCode::kBadUsername);
  EXPECT_EQ(mint_turn_credential(north[0], std::string(256, 'u'), kNowSeconds).code(),
            ErrorCode::kBadUsername);
  EXPECT_EQ(mint_turn_credential(north[0], "a", kNowSeconds, "").code(), ErrorCode::kBadUsername);
  EXPECT_EQ(mint_turn_credential(north[0], "a", kNowSeconds, "7").code(), ErrorCode::kBadUsername);
}

TEST(TurnCredential, MintThenVerifyIsIdentity) {
  EXPECT_TRUE(rc::check([] {
    const auto north = secrets({"north"});
    const auto user = *rc::gen::container<std::string>(rc::gen::inRange<char>(0x20, 0x7F));
    const sys_seconds end{seconds{*rc::gen::inRange<std::int64_t>(0, 99999999999)}};
    const std::string separator = *rc::gen::elementOf(std::vector<std::string>{":", "|", "::"});
    const auto credential = mint_turn_credential(north[0], user, end, separator);
    RC_PRE(user.size() <= 255U);
    const auto verified = verify_turn_credential(north, *credential, Instant{}, separator);
    RC_ASSERT(verified.ok());
    RC_ASSERT(verified->user == user);
    RC_ASSERT(verified->expires_at == end);
  }));
}

}  // namespace
}  // namespace countersign

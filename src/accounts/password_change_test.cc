#include "accounts/password_change.h"

#include <string>

#include <gtest/gtest.h>

#include "accounts/testing/account_world.h"

namespace countersign::accounts {
namespace {

constexpr std::string_view kNew = "an even longer winter evening";

class PasswordChangeTest : public AccountWorld {
 protected:
  base::SessionHandle begin_session(const std::string& name) {
    storage::SignInSession session;
    session.id_hash = std::string(32, name[0]);
    session.handle = base::SessionHandle(name);
    session.account = ann.id;
    session.created = session.last_seen = session.authenticated = clock.now();
    EXPECT_TRUE(store->sessions().create_session(session, 10).ok());
    return session.handle;
  }
  Result<Authenticated> change(std::string_view current, std::string_view chosen) {
    Result<PasswordChangeDraft> draft =
        password_change.admit({ann, mine, secret(current), secret(chosen), kHome, "request"});
    if (!draft) return draft.failure();
    if (Result<void> prepared = password_change.prepare(*draft); !prepared) {
      return prepared.failure();
    }
    if (draft->wants_hash()) password_change.hash(*draft);
    return password_change.finish(*std::move(draft));
  }

  storage::Account ann = add("ann", "ann@example.org");
  base::SessionHandle mine = begin_session("mine");
  base::SessionHandle other = begin_session("other");
};

TEST_F(PasswordChangeTest, ReplacesThePassword) {
  ASSERT_TRUE(change(kPassword, kNew).ok());
  EXPECT_FALSE(try_sign_in(request("ann", kPassword)).ok());
  EXPECT_TRUE(try_sign_in(request("ann", kNew)).ok());
}

TEST_F(PasswordChangeTest, EndsTheOtherSessionsAndKeepsThisOne) {
  ASSERT_TRUE(change(kPassword, kNew).ok());
  EXPECT_FALSE(store->sessions().find_session_by_handle(other)->has_value());
  const auto kept = *store->sessions().find_session_by_handle(mine);
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(kept->account.epoch, 1u);
  EXPECT_EQ(kept->session.epoch, 1u);
}

TEST_F(PasswordChangeTest, ForgetsAllDevicesButThisOne) {
  const std::string elsewhere = *devices.issue("", ann.id);
  const auto changed = change(kPassword, kNew);
  ASSERT_TRUE(changed && changed->device_cookie);
  EXPECT_FALSE(devices.reserve(elsewhere, ann.id)->has_value());
  EXPECT_TRUE(devices.reserve(*changed->device_cookie, ann.id)->has_value());
}

TEST_F(PasswordChangeTest, WantsTheCurrentPassword) {
  EXPECT_EQ(change("not the password", kNew).code(), ErrorCode::kCredentials);
  EXPECT_TRUE(try_sign_in(request("ann", kPassword)).ok());
  EXPECT_TRUE(store->sessions().find_session_by_handle(other)->has_value());
}

TEST_F(PasswordChangeTest, GuessesAtTheCurrentPasswordAreThrottled) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(change("wrong", kNew).code(), ErrorCode::kCredentials);
  EXPECT_EQ(change(kPassword, kNew).code(), ErrorCode::kCredentials) << "throttled";
  clock.advance(std::chrono::seconds(1));
  EXPECT_TRUE(change(kPassword, kNew).ok());
}

TEST_F(PasswordChangeTest, TheNewPasswordFollowsThePolicy) {
  EXPECT_EQ(change(kPassword, "short").code(), ErrorCode::kPasswordTooShort);
  EXPECT_EQ(change(kPassword, "passwordpassword").code(), ErrorCode::kPasswordTooCommon);
}

TEST_F(PasswordChangeTest, OfTwoAtOnceOneWins) {
  auto first = *password_change.admit({ann, mine, secret(kPassword), secret(kNew), kHome, ""});
  auto second = *password_change.admit(
      {ann, mine, secret(kPassword), secret("a third sentence, quite different"), kHome, ""});
  for (auto* draft : {&first, &second}) {
    ASSERT_TRUE(password_change.prepare(*draft).ok());
    password_change.hash(*draft);
  }
  EXPECT_TRUE(password_change.finish(std::move(first)).ok());
  EXPECT_EQ(password_change.finish(std::move(second)).code(), ErrorCode::kCredentials);
  EXPECT_TRUE(try_sign_in(request("ann", kNew)).ok());
}

}  // namespace
}  // namespace countersign::accounts

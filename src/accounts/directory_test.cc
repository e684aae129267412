#include "accounts/directory.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "accounts/testing/account_world.h"
#include "base/encoding.h"

namespace countersign::accounts {
namespace {

class DirectoryTest : public AccountWorld {
 protected:
  base::SessionHandle begin_session(const storage::Account& account) {
    storage::SignInSession session;
    session.id_hash = base::to_string(base::sha256(account.id.text()));
    session.handle = base::SessionHandle("of-" + account.user_name_key);
    session.account = account.id;
    session.created = session.last_seen = session.authenticated = clock.now();
    EXPECT_TRUE(store->sessions().create_session(session, 10).ok());
    return session.handle;
  }
  const std::vector<std::string> apps{"app-1", "app-2"};
};

TEST_F(DirectoryTest, AddsAccountsByTheRulesOfSignUp) {
  EXPECT_TRUE(directory.add("ann", "ann@example.org", false, secret(kPassword)).ok());
  EXPECT_EQ(directory.add("ANN", "", false, secret(kPassword)).code(), ErrorCode::kNameTaken);
  EXPECT_EQ(directory.add("bob", "ann@example.org", false, secret(kPassword)).code(),
            ErrorCode::kEmailRefused);
  EXPECT_EQ(directory.add("bob", "", true, secret(kPassword)).code(), ErrorCode::kEmailRequired);
  EXPECT_EQ(directory.add("bob", "", false, secret("short")).code(), ErrorCode::kPasswordTooShort);
}

TEST_F(DirectoryTest, ListsInPages) {
  for (const char* name : {"cat", "Ann", "bob"}) add(name);
  const auto first = *directory.list("", 2);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].user_name, "Ann");
  const auto second = *directory.list(first[1].user_name_key, 2);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].user_name, "cat");
}

TEST_F(DirectoryTest, FindsByNameOrAddress) {
  const auto ann = add("ann", "ann@example.org");
  EXPECT_EQ(directory.get("Ann")->id, ann.id);
  EXPECT_EQ(directory.get("ANN@example.org")->id, ann.id);
  EXPECT_EQ(directory.get("nobody").code(), ErrorCode::kAbsent);
  EXPECT_EQ(directory.get("not@an@address").code(), ErrorCode::kAbsent);
}

TEST_F(DirectoryTest, NamesEveryIdentityThatTicketsMayCarry) {
  const auto ann = add("Ann", "Ann@example.org");
  EXPECT_EQ(possible_identities(ann),
            (std::vector<Identity>{{IdentityType::kUsername, "Ann"},
                                   {IdentityType::kEmail, "Ann@example.org"},
                                   {IdentityType::kUsername, "Ann@example.org"}}));
  auto unowned = ann;
  unowned.email_key.reset();
  EXPECT_EQ(possible_identities(unowned).size(), 1u) << "the address is somebody else's";
}

TEST_F(DirectoryTest, SigningOutEndsSessionsAndRevokesEveryIdentity) {
  const auto ann = add("ann", "ann@example.org");
  const auto handle = begin_session(ann);
  clock.advance(std::chrono::seconds(5));
  EXPECT_EQ(*directory.sign_out("ann", apps), 1u);
  EXPECT_FALSE(store->sessions().find_session_by_handle(handle)->has_value());
  EXPECT_EQ(directory.get("ann")->epoch, 1u);
  for (const std::string& app : apps) {
    for (const Identity& identity : possible_identities(ann)) {
      EXPECT_EQ(*store->revocations().watermark(app, identity), clock.now());
    }
  }
  EXPECT_EQ(directory.sign_out("nobody", apps).code(), ErrorCode::kAbsent);
}

TEST_F(DirectoryTest, DisablingEndsEverythingAndEnablingLetsTheOwnerBackIn) {
  const auto ann = add("ann");
  const auto handle = begin_session(ann);
  ASSERT_TRUE(directory.set_disabled("ann", true, apps).ok());
  EXPECT_FALSE(store->sessions().find_session_by_handle(handle)->has_value());
  EXPECT_EQ(*store->revocations().watermark("app-1", {IdentityType::kUsername, "ann"}),
            clock.now());
  EXPECT_EQ(try_sign_in(request("ann", kPassword)).code(), ErrorCode::kAccountDisabled);
  ASSERT_TRUE(directory.set_disabled("ann", false, apps).ok());
  EXPECT_TRUE(try_sign_in(request("ann", kPassword)).ok());
}

TEST_F(DirectoryTest, UnlockingLetsTheOwnerTryAtOnce) {
  add("ann", "ann@example.org");
  for (const char* typed : {"ann", "ann@example.org"}) {
    for (int i = 0; i < 4; ++i) static_cast<void>(try_sign_in(request(typed, "wrong")));
  }
  ASSERT_FALSE(try_sign_in(request("ann", kPassword, kHome)).ok());
  ASSERT_TRUE(directory.unlock("ann").ok());
  EXPECT_TRUE(try_sign_in(request("ann", kPassword)).ok());
  EXPECT_TRUE(try_sign_in(request("ann@example.org", kPassword)).ok());
}

}  // namespace
}  // namespace countersign::accounts

#include "web/account_pages.h"

#include <gtest/gtest.h>

#include "web/testing/site_world.h"

namespace countersign::web {
namespace {

class AccountPagesTest : public SiteWorld {
 protected:
  static constexpr std::string_view kForm = "username=alice&password=a+long+and+quiet+afternoon";
  static constexpr std::string_view kChange =
      "current_password=a+long+and+quiet+afternoon&new_password=another+quiet+evening+walk";

  /// The handle of the session whose End button comes first.
  static std::string handle_in(const std::string& page) {
    static constexpr std::string_view kMark = "action=\"/users/sessions/";
    const std::size_t start = page.find(kMark);
    if (start == std::string::npos) return {};
    const std::size_t from = start + kMark.size();
    return page.substr(from, page.find('/', from) - from);
  }
};

TEST_F(AccountPagesTest, IsForSignedInPeople) {
  EXPECT_EQ(get("/users/account").status, 303);
  EXPECT_EQ(post("/users/password", kChange).status, 303);
  RequestBuilder builder("POST", "/users/sign_out_everywhere");
  builder.same_origin().json("{}");
  EXPECT_EQ(send(builder).status, 401);
}

TEST_F(AccountPagesTest, ChangingThePasswordEndsTheOtherSessionsAndRenewsThisOne) {
  sign_up_as("alice");
  const CookieJar first = jar;
  jar = {};
  ASSERT_EQ(post("/users/sign_in", kForm).status, 303);
  const CookieJar before = jar;
  const net::Response changed = post("/users/password", kChange);
  EXPECT_EQ(changed.status, 303);
  EXPECT_EQ(ask_for_ticket().status, 200);
  const CookieJar after = jar;
  EXPECT_NE(after.get("__Host-cs_session"), before.get("__Host-cs_session"));
  jar = before;
  EXPECT_EQ(ask_for_ticket().status, 401) << "the old id is dead at once";
  jar = first;
  EXPECT_EQ(ask_for_ticket().status, 401) << "the other session has ended";
  jar = {};
  EXPECT_EQ(post("/users/sign_in", kForm).status, 422);
  EXPECT_EQ(post("/users/sign_in", "username=alice&password=another+quiet+evening+walk").status,
            303);
}

TEST_F(AccountPagesTest, WantsThePresentPasswordAndAGoodNewOne) {
  sign_up_as("alice");
  const net::Response wrong = post(
      "/users/password", "current_password=not+the+password&new_password=another+quiet+evening");
  EXPECT_EQ(wrong.status, 422);
  EXPECT_NE(wrong.body.find("href=\"#current_password\""), std::string::npos);
  const net::Response weak =
      post("/users/password", "current_password=a+long+and+quiet+afternoon&new_password=short");
  EXPECT_EQ(weak.status, 422);
  EXPECT_NE(weak.body.find("href=\"#new_password\""), std::string::npos);
  EXPECT_EQ(post("/users/password", "new_password=x").status, 400);
}

TEST_F(AccountPagesTest, ShowsAndEndsOtherSessions) {
  sign_up_as("alice");
  const CookieJar first = jar;
  jar = {};
  ASSERT_EQ(post("/users/sign_in", kForm).status, 303);
  const net::Response page = get("/users/account");
  const std::string handle = handle_in(page.body);
  ASSERT_FALSE(handle.empty());
  EXPECT_NE(page.body.find("this one"), std::string::npos);
  EXPECT_EQ(post("/users/sessions/" + handle + "/end", "x=1").status, 303);
  EXPECT_EQ(handle_in(get("/users/account").body), "");
  jar = first;
  EXPECT_EQ(ask_for_ticket().status, 401);
}

TEST_F(AccountPagesTest, CannotEndSomebodyElsesSession) {
  sign_up_as("mallory");
  const CookieJar mallory = jar;
  jar = {};
  sign_up_as("alice");
  const CookieJar alice = jar;
  const auto view = sessions.resolve(alice.get("__Host-cs_session"));
  ASSERT_TRUE(view.ok());
  jar = mallory;
  post("/users/sessions/" + (*view)->session.handle.text() + "/end", "x=1");
  jar = alice;
  EXPECT_EQ(ask_for_ticket().status, 200);
}

TEST_F(AccountPagesTest, AsksForThePasswordAgainAfterAWhile) {
  sign_up_as("alice");
  jar = {};
  ASSERT_EQ(post("/users/sign_in", kForm).status, 303);
  clock.advance(std::chrono::minutes(16));
  const net::Response page = get("/users/account");
  const std::string path = "/users/sessions/" + handle_in(page.body) + "/end";
  EXPECT_NE(page.body.find("Your password"), std::string::npos);
  EXPECT_EQ(post(path, "x=1").status, 422);
  const net::Response wrong = post(path, "password=not+the+password");
  EXPECT_EQ(wrong.status, 422);
  const std::string field = "password-" + handle_in(page.body);
  EXPECT_NE(wrong.body.find("href=\"#" + field + '"'), std::string::npos);
  EXPECT_NE(wrong.body.find("id=\"" + field + '"'), std::string::npos);
  EXPECT_EQ(wrong.body.find("aria-invalid"), std::string::npos) << "not the other form's field";
  EXPECT_NE(handle_in(get("/users/account").body), "");
  EXPECT_EQ(post(path, "password=a+long+and+quiet+afternoon").status, 303);
  EXPECT_EQ(handle_in(get("/users/account").body), "");
}

TEST_F(AccountPagesTest, KeepsTheSessionWhoseIdWasRenewedForAnActThatThenFailed) {
  sign_up_as("alice");
  jar = {};
  ASSERT_EQ(post("/users/sign_in", kForm).status, 303);
  clock.advance(std::chrono::minutes(16));
  const std::string path = "/users/sessions/" + handle_in(get("/users/account").body) + "/end";
  const std::string before = jar.get("__Host-cs_session");
  hooked.end_session_fails = ErrorCode::kStoreFull;
  const net::Response refused = post(path, "password=a+long+and+quiet+afternoon");
  EXPECT_EQ(refused.status, 503);
  EXPECT_NE(jar.get("__Host-cs_session"), before);
  EXPECT_EQ(ask_for_ticket().status, 200) << "nobody was signed out by a failure";
  EXPECT_EQ(refused.body.find("Your password"), std::string::npos) << "it was given just now";

  // The forms of that page go with the new id.
  hooked.end_session_fails.reset();
  const std::string mark = "action=\"" + path + "\">";
  const std::size_t form = refused.body.find(mark);
  ASSERT_NE(form, std::string::npos);
  static constexpr std::string_view kToken = "name=\"csrf_token\" value=\"";
  const std::size_t token = refused.body.find(kToken, form) + kToken.size();
  RequestBuilder again("POST", path);
  again.form("csrf_token=" + refused.body.substr(token, refused.body.find('"', token) - token));
  EXPECT_EQ(browse(std::move(again)).status, 303);
}

TEST_F(AccountPagesTest, ASessionThatEndedMeanwhileIsToldToSignInAgain) {
  sign_up_as("alice");
  const auto session = *sessions.resolve(jar.get("__Host-cs_session"));
  ASSERT_TRUE(*store->sessions().end_session(session->session.handle, "test", clock.now()));
  ASSERT_NE(sessions.cached(jar.get("__Host-cs_session")), nullptr);
  const net::Response changed = post("/users/password", kChange);
  EXPECT_EQ(changed.status, 303);
  EXPECT_EQ(header_of(changed, "Location"), "/users/sign_in");
  EXPECT_EQ(jar.get("__Host-cs_session"), "");
  EXPECT_NE(jar.get("__Host-cs_device"), "") << "the browser proved the password";
  EXPECT_EQ(post("/users/sign_in", "username=alice&password=another+quiet+evening+walk").status,
            303);
}

TEST_F(AccountPagesTest, SignsOutEverywhere) {
  sign_up_as("alice");
  const CookieJar first = jar;
  jar = {};
  ASSERT_EQ(post("/users/sign_in", kForm).status, 303);
  const CookieJar second = jar;
  const net::Response out = post("/users/sign_out_everywhere", "x=1");
  EXPECT_EQ(out.status, 303);
  EXPECT_EQ(header_of(out, "Location"), "/users/sign_in");
  for (const CookieJar& each : {first, second}) {
    jar = each;
    EXPECT_EQ(ask_for_ticket().status, 401);
  }
}

TEST_F(AccountPagesTest, RefusesOtherSites) {
  sign_up_as("alice");
  RequestBuilder builder("POST", "/users/sign_out_everywhere");
  builder.header("sec-fetch-site", "cross-site").form("x=1");
  EXPECT_EQ(browse(std::move(builder)).status, 403);
  EXPECT_EQ(ask_for_ticket().status, 200);
}

}  // namespace
}  // namespace countersign::web

#include "web/sign_in_pages.h"

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "web/testing/site_world.h"

namespace countersign::web {
namespace {

class SignInPagesTest : public SiteWorld {
 protected:
  static constexpr std::string_view kForm = "username=alice&password=a+long+and+quiet+afternoon";

  /// The csrf_token of the form that posts to `path`.
  static std::string token_in(const std::string& page, std::string_view path) {
    const std::size_t form = page.find("action=\"" + std::string(path) + '"');
    static constexpr std::string_view kMark = "name=\"csrf_token\" value=\"";
    const std::size_t start = page.find(kMark, form) + kMark.size();
    return page.substr(start, page.find('"', start) - start);
  }
};

TEST_F(SignInPagesTest, SendsWhoeverIsNotSignedInToTheForm) {
  const net::Response response = get("/");
  EXPECT_EQ(response.status, 303);
  EXPECT_EQ(header_of(response, "Location"), "/users/sign_in");
}

TEST_F(SignInPagesTest, SignsUpAndIn) {
  const net::Response made = post("/users/sign_up", kForm);
  EXPECT_EQ(made.status, 303);
  EXPECT_EQ(header_of(made, "Location"), "/");
  const std::string cookies = header_of(made, "Set-Cookie");
  EXPECT_NE(cookies.find("__Host-cs_session="), std::string::npos);
  EXPECT_NE(cookies.find("; Path=/; Secure; HttpOnly; SameSite=Lax"), std::string::npos);
  EXPECT_NE(cookies.find("__Host-cs_device="), std::string::npos);
  const net::Response page = get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.body.find("<h1>alice</h1>"), std::string::npos);
  EXPECT_NE(page.body.find("data-application-key=\"app-1\""), std::string::npos);

  jar = {};
  EXPECT_EQ(post("/users/sign_in", kForm).status, 303);
  EXPECT_EQ(get("/").status, 200);
}

TEST_F(SignInPagesTest, AnAccountThatWasMadeIsNotDeniedWhenItsSessionCannotBe) {
  hooked.create_session_fails = ErrorCode::kStoreFull;
  const net::Response made = post("/users/sign_up", kForm);
  EXPECT_EQ(made.status, 303);
  EXPECT_EQ(header_of(made, "Location"), "/users/sign_in");
  EXPECT_EQ(jar.get("__Host-cs_session"), "");
  EXPECT_EQ(post("/users/sign_in", kForm).status, 503);
  hooked.create_session_fails.reset();
  EXPECT_EQ(post("/users/sign_in", kForm).status, 303);
}

TEST_F(SignInPagesTest, TakesJsonOnTheSameAddresses) {
  RequestBuilder up("POST", "/users/sign_up");
  up.same_origin().json(R"({"username":"bob","password":"a long and quiet afternoon"})");
  EXPECT_EQ(send(up).status, 303);
  RequestBuilder in("POST", "/users/sign_in");
  in.same_origin().json(R"({"username":"bob","password":"a long and quiet afternoon"})");
  EXPECT_EQ(send(in).status, 303);
}

TEST_F(SignInPagesTest, RefusesInHtmlWith422AndInJsonWith401) {
  add("alice");
  const net::Response page = post("/users/sign_in", "username=alice&password=wrong+password+123");
  EXPECT_EQ(page.status, 422);
  EXPECT_NE(page.body.find("role=\"alert\""), std::string::npos);
  EXPECT_NE(page.body.find("value=\"alice\""), std::string::npos);
  EXPECT_EQ(page.body.find("wrong password"), std::string::npos);
  EXPECT_EQ(header_of(page, "WWW-Authenticate"), "");

  RequestBuilder builder("POST", "/users/sign_in");
  builder.same_origin().json(R"({"username":"alice","password":"wrong"})");
  const net::Response refused = send(builder);
  EXPECT_EQ(refused.status, 401);
  EXPECT_NE(header_of(refused, "WWW-Authenticate"), "");
  EXPECT_NE(refused.body.find("urn:countersign:error:credentials"), std::string::npos);
  EXPECT_EQ(header_of(refused, "Set-Cookie"), "");
}

TEST_F(SignInPagesTest, SaysTheSameOfUnknownNamesAndWrongPasswords) {
  add("alice");
  const auto attempt = [this](std::string_view body) {
    RequestBuilder builder("POST", "/users/sign_in");
    builder.same_origin().json(body);
    return send(builder);
  };
  const net::Response wrong = attempt(R"({"username":"alice","password":"wrong"})");
  const net::Response unknown = attempt(R"({"username":"nobody","password":"wrong"})");
  EXPECT_EQ(wrong.status, unknown.status);
  EXPECT_EQ(wrong.body, unknown.body);
  EXPECT_EQ(wrong.headers, unknown.headers);
}

TEST_F(SignInPagesTest, EscapesWhatWasTyped) {
  const net::Response page =
      post("/users/sign_in", "username=%22%3E%3Cscript%3E&password=wrong+password");
  EXPECT_EQ(page.body.find("\"><script>"), std::string::npos);
  EXPECT_NE(page.body.find("&quot;&gt;&lt;script&gt;"), std::string::npos);
}

TEST_F(SignInPagesTest, TellsWhichFieldOfASignUpWasWrong) {
  const net::Response shorter =
      post("/users/sign_up", "username=carol&email=c%40x.org&password=no");
  EXPECT_EQ(shorter.status, 422);
  EXPECT_NE(shorter.body.find("href=\"#password\""), std::string::npos);
  EXPECT_NE(shorter.body.find("aria-describedby=\"problem password-hint\""), std::string::npos);
  EXPECT_NE(shorter.body.find("value=\"c@x.org\""), std::string::npos);
  add("dave");
  const net::Response taken =
      post("/users/sign_up", "username=Dave&password=a+long+and+quiet+afternoon");
  EXPECT_EQ(taken.status, 422);
  EXPECT_NE(taken.body.find("href=\"#username\""), std::string::npos);
}

TEST_F(SignInPagesTest, RefusesOtherSitesBeforeLookingAtThePassword) {
  add("alice");
  RequestBuilder builder("POST", "/users/sign_in");
  builder.header("sec-fetch-site", "cross-site").header("origin", "https://evil.example");
  builder.form(kForm);
  const net::Response refused = send(builder);
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(header_of(refused, "Set-Cookie"), "");
  // Also a listed origin: the route is not CORS-enabled.
  RequestBuilder partner("POST", "/users/sign_in");
  partner.header("sec-fetch-site", "cross-site").header("origin", kPartner).form(kForm);
  EXPECT_EQ(send(partner).status, 403);
}

TEST_F(SignInPagesTest, WantsTheFormTokenFromBrowsersThatSayNothing) {
  add("alice");
  RequestBuilder bare("POST", "/users/sign_in");
  bare.form(kForm);
  EXPECT_EQ(browse(std::move(bare)).status, 403);

  const net::Response page = get("/users/sign_in");
  const std::string token = token_in(page.body, "/users/sign_in");
  ASSERT_FALSE(token.empty());
  const std::string form = std::string(kForm) + "&csrf_token=" + token;
  RequestBuilder elsewhere("POST", "/users/sign_in");
  elsewhere.form(form);
  EXPECT_EQ(send(elsewhere).status, 403) << "the token belongs to another browser";
  RequestBuilder other_door("POST", "/users/sign_up");
  other_door.form(form);
  EXPECT_EQ(browse(std::move(other_door)).status, 403) << "the token belongs to another form";
  RequestBuilder good("POST", "/users/sign_in");
  good.form(form);
  EXPECT_EQ(browse(std::move(good)).status, 303);
}

TEST_F(SignInPagesTest, SigningOutEndsTheSessionForCopiesOfTheCookieToo) {
  sign_up_as("alice");
  const CookieJar copy = jar;
  ASSERT_EQ(ask_for_ticket().status, 200);
  const net::Response out = post("/users/sign_out", "_method=delete");
  EXPECT_EQ(out.status, 303);
  EXPECT_EQ(header_of(out, "Location"), "/users/sign_in");
  EXPECT_EQ(header_of(out, "Clear-Site-Data"), "\"cache\"");
  EXPECT_EQ(jar.get("__Host-cs_session"), "");
  EXPECT_NE(jar.get("__Host-cs_device"), "") << "the device stays known";
  jar = copy;
  EXPECT_EQ(ask_for_ticket().status, 401);
  EXPECT_EQ(get("/").status, 303);
}

TEST_F(SignInPagesTest, SignsOutByDeleteAndOnlyByNamedPosts) {
  sign_up_as("alice");
  EXPECT_EQ(post("/users/sign_out", "x=1").status, 400);
  RequestBuilder builder("DELETE", "/users/sign_out");
  builder.same_origin();
  EXPECT_EQ(browse(std::move(builder)).status, 303);
  EXPECT_EQ(get("/").status, 303);
}

TEST_F(SignInPagesTest, SaysThatASignInHasEnded) {
  sign_up_as("alice");
  clock.advance(std::chrono::hours(13));
  EXPECT_EQ(get("/").status, 303);
  const net::Response page = get("/users/sign_in");
  EXPECT_NE(page.body.find("Your sign-in has ended"), std::string::npos);
  EXPECT_EQ(jar.get("__Host-cs_session"), "");
}

TEST_F(SignInPagesTest, SigningInAgainReplacesTheEarlierSession) {
  sign_up_as("alice");
  const CookieJar earlier = jar;
  EXPECT_EQ(post("/users/sign_in", kForm).status, 303);
  const CookieJar later = jar;
  jar = earlier;
  EXPECT_EQ(ask_for_ticket().status, 401);
  jar = later;
  EXPECT_EQ(ask_for_ticket().status, 200);
}

TEST_F(SignInPagesTest, KeepsTheDoorShutWhereSignUpIsClosed) {
  Setup setup;
  setup.sign_up.open = false;
  build(std::move(setup));
  EXPECT_EQ(get("/users/sign_up").status, 403);
  EXPECT_EQ(post("/users/sign_up", kForm).status, 403);
  EXPECT_EQ(get("/users/sign_in").body.find("/users/sign_up"), std::string::npos);
}

TEST_F(SignInPagesTest, AsksForTheAddressWhereItIsTheIdentity) {
  Setup setup;
  setup.sign_up.email_is_identity = true;
  setup.identity = issuing::IdentityMode::kEmailAsUsername;
  build(std::move(setup));
  const net::Response form = get("/users/sign_up");
  EXPECT_EQ(form.body.find("name=\"username\""), std::string::npos);
  EXPECT_NE(form.body.find("E-mail address</label>"), std::string::npos);
  const net::Response without = post("/users/sign_up", "password=a+long+and+quiet+afternoon");
  EXPECT_EQ(without.status, 422);
  EXPECT_NE(without.body.find("href=\"#email\""), std::string::npos);
  const net::Response made =
      post("/users/sign_up", "email=eve%40example.org&password=a+long+and+quiet+afternoon");
  EXPECT_EQ(made.status, 303);
  EXPECT_NE(get("/").body.find("<h1>eve@example.org</h1>"), std::string::npos);
}

TEST_F(SignInPagesTest, RefusesWith503WhileTheHashPoolIsFull) {
  add("alice");
  std::vector<accounts::PasswordPool::Slot> taken;
  while (true) {
    auto slot = pool.reserve(kElsewhere, false);
    if (!slot) break;
    taken.push_back(*std::move(slot));
  }
  const net::Response page = post("/users/sign_in", kForm);
  EXPECT_EQ(page.status, 503);
  EXPECT_EQ(header_of(page, "Retry-After"), "1");
}

TEST_F(SignInPagesTest, AnswersNoEarlierThanTheFloor) {
  add("alice");
  constexpr std::chrono::milliseconds kFloor{60};
  accounts::AnswerFloor slow({kFloor, std::chrono::microseconds(0), std::chrono::seconds(1), 50},
                             random);
  Site slow_site(SiteContext{{},
                             *origin,
                             sign_in,
                             slow,
                             sign_in,
                             slow,
                             *door,
                             slow,
                             password_change,
                             pool,
                             policy,
                             directory,
                             sessions,
                             *issuer,
                             workers,
                             clock,
                             random});
  const auto time = [&](std::string_view path, std::string_view body) {
    RequestBuilder builder("POST", path);
    builder.same_origin().json(body);
    const auto start = std::chrono::steady_clock::now();
    shard.run(slow_site.handle(builder.request(), shard));
    return std::chrono::steady_clock::now() - start;
  };
  EXPECT_GE(time("/users/sign_in", R"({"username":"nobody","password":"x"})"), kFloor);
  EXPECT_GE(time("/api/auth", R"({"username":"alice","password":"x"})"), kFloor);
  EXPECT_GE(
      time("/users/sign_up", R"({"username":"alice","password":"a long and quiet afternoon"})"),
      kFloor);
}

TEST_F(SignInPagesTest, SetsNoCookieThatBrowsersWouldDrop) {
  Setup setup;
  setup.public_url = "http://192.0.2.7:8080";
  build(setup);
  const net::Response page = get("/users/sign_in");
  EXPECT_EQ(header_of(page, "Set-Cookie"), "");
  EXPECT_NE(page.body.find("plain http"), std::string::npos);
  setup.insecure_cookies = true;
  build(setup);
  EXPECT_TRUE(header_of(get("/users/sign_in"), "Set-Cookie").starts_with("cs_pre="));
}

}  // namespace
}  // namespace countersign::web

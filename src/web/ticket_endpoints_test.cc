#include "web/ticket_endpoints.h"

#include <gtest/gtest.h>

#include "countersign/user_ticket.h"

#include "web/testing/site_world.h"

namespace countersign::web {
namespace {

class TicketEndpointsTest : public SiteWorld {
 protected:
  static constexpr std::string_view kJson =
      R"({"username":"alice","password":"a long and quiet afternoon"})";

  static std::string member(const std::string& body, std::string_view name) {
    const std::string mark = '"' + std::string(name) + "\":\"";
    const std::size_t start = body.find(mark);
    if (start == std::string::npos) return {};
    const std::size_t from = start + mark.size();
    return body.substr(from, body.find('"', from) - from);
  }
  net::Response api_auth(std::string_view path = "/api/auth") {
    RequestBuilder builder("POST", path);
    builder.json(kJson);
    return send(builder);
  }
};

TEST_F(TicketEndpointsTest, GivesASignedInPersonATicketOfTheirOwn) {
  sign_up_as("Alice");
  const net::Response response = ask_for_ticket();
  ASSERT_EQ(response.status, 200);
  EXPECT_EQ(header_of(response, "Content-Type"), "application/json");
  EXPECT_EQ(header_of(response, "Cache-Control"), "no-store");
  const std::string ticket = member(response.body, "userTicket");
  EXPECT_EQ(response.body, "{\"userTicket\":\"" + ticket + "\",\"expiresAt\":\"" +
                               member(response.body, "expiresAt") + "\"}");
  const auto inspected = inspect_user_ticket(ticket);
  ASSERT_TRUE(inspected.ok());
  EXPECT_NE(response.body.find("2026-01-01T01:00:"), std::string::npos) << response.body;
}

TEST_F(TicketEndpointsTest, TakesAnEmptyBodyWhateverTypeItNames) {
  sign_up_as("alice");
  for (const std::string_view type :
       {"", "application/json", "application/x-www-form-urlencoded"}) {
    RequestBuilder builder("POST", "/v1/tickets");
    builder.same_origin().header("cookie", jar.header());
    if (!type.empty()) builder.header("content-type", type);
    EXPECT_EQ(send(builder).status, 200) << type;
  }
}

TEST(ClientPrefix, CountsIpv4ByItsSettingAndIpv6BySixtyFour) {
  struct Case {
    std::string_view address;
    int bits;
    std::string_view narrow;
    std::string_view wide;
  };
  for (const Case& c : {Case{"203.0.113.77", 32, "203.0.113.77/32", "203.0.113.0/24"},
                        Case{"203.0.113.77", 24, "203.0.113.0/24", "203.0.113.0/24"},
                        Case{"2001:db8:1:2:3:4:5:6", 32, "2001:db8:1:2::/64", "2001:db8:1::/48"}}) {
    net::Request request;
    request.client = *net::IpAddress::parse(c.address);
    const accounts::ClientPrefix prefix = client_prefix(request, c.bits);
    EXPECT_EQ(prefix.narrow, c.narrow);
    EXPECT_EQ(prefix.wide, c.wide);
  }
}

TEST_F(TicketEndpointsTest, AnswersFromTheCacheForASecondWithoutTheStore) {
  sign_up_as("alice");
  ASSERT_EQ(ask_for_ticket().status, 200);
  workers.stop();  // from here on whatever wants the store is refused
  EXPECT_EQ(ask_for_ticket().status, 200);
  clock.advance(std::chrono::milliseconds(1001));
  EXPECT_EQ(ask_for_ticket().status, 503);
}

TEST_F(TicketEndpointsTest, RefusesWhoeverIsNotSignedInWith401) {
  RequestBuilder bare("POST", "/v1/tickets");
  const net::Response refused = send(bare);
  EXPECT_EQ(refused.status, 401);
  EXPECT_NE(header_of(refused, "WWW-Authenticate"), "");
  RequestBuilder made_up("POST", "/v1/tickets");
  made_up.same_origin().header("cookie", "__Host-cs_session=AAAA");
  EXPECT_EQ(send(made_up).status, 401);
}

TEST_F(TicketEndpointsTest, RefusesOtherSitesWith403) {
  sign_up_as("alice");
  const auto ask = [this](std::string_view site_word, std::string_view from, bool json) {
    RequestBuilder builder("POST", "/v1/tickets");
    builder.header("cookie", jar.header());
    if (!site_word.empty()) builder.header("sec-fetch-site", site_word);
    if (!from.empty()) builder.header("origin", from);
    if (json) builder.json("{}");
    return send(builder);
  };
  EXPECT_EQ(ask("cross-site", "https://evil.example", true).status, 403);
  EXPECT_EQ(ask("same-site", "https://other.example.org", true).status, 403);
  EXPECT_EQ(ask("cross-site", kPartner, false).status, 403) << "no preflight was needed for this";
  EXPECT_EQ(ask("", "null", true).status, 403);
  EXPECT_EQ(ask("", "", true).status, 403) << "a browser that says nothing needs the form token";
  EXPECT_EQ(ask("", kOrigin, true).status, 200);
  EXPECT_EQ(ask("same-origin", "", false).status, 200);
  const net::Response partner = ask("same-site", kPartner, true);
  EXPECT_EQ(partner.status, 200);
  EXPECT_EQ(header_of(partner, "Access-Control-Allow-Origin"), kPartner);
  EXPECT_EQ(header_of(partner, "Access-Control-Allow-Credentials"), "true");
}

TEST_F(TicketEndpointsTest, MintsOnAWorkerWhereTheStoreHasToBeAsked) {
  Setup setup;
  setup.session_member = false;
  build(std::move(setup));
  sign_up_as("alice");
  const net::Response response = ask_for_ticket();
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(member(response.body, "userTicket"), "");
}

TEST_F(TicketEndpointsTest, WithoutTheSessionMemberSignOutElsewhereStopsTicketsAtOnce) {
  Setup setup;
  setup.session_member = false;
  build(std::move(setup));
  sign_up_as("alice");
  ASSERT_EQ(ask_for_ticket().status, 200);
  // Another process: the cache of this one goes on believing in the session.
  const std::vector<std::string> applications{std::string(kApplication)};
  ASSERT_TRUE(directory.sign_out("alice", applications).ok());
  ASSERT_NE(sessions.cached(jar.get("__Host-cs_session")), nullptr);
  EXPECT_EQ(ask_for_ticket().status, 401);
}

TEST_F(TicketEndpointsTest, WithoutTheSessionMemberApiAuthMintsNothingForWhomIsDisabledMeanwhile) {
  Setup setup;
  setup.session_member = false;
  build(std::move(setup));
  add("alice");
  hooked.after_watermark = [this] {
    const std::vector<std::string> applications{std::string(kApplication)};
    EXPECT_TRUE(directory.set_disabled("alice", true, applications).ok());
  };
  EXPECT_EQ(api_auth().status, 403);
}

TEST_F(TicketEndpointsTest, ApiAuthTakesJsonAndForms) {
  add("alice");
  for (const std::string_view path : {"/api/auth", "/api/auth/", "/SinchBackend/Api/Auth/"}) {
    const net::Response response = api_auth(path);
    ASSERT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(response.body, "{\"userTicket\":\"" + member(response.body, "userTicket") + "\"}");
    EXPECT_EQ(header_of(response, "Content-Type"), "application/json");
  }
  RequestBuilder form("POST", "/api/auth/");
  form.form("username=alice&password=a+long+and+quiet+afternoon");
  EXPECT_EQ(send(form).status, 200);
}

TEST_F(TicketEndpointsTest, ApiAuthRefusesWith403) {
  add("alice");
  RequestBuilder wrong("POST", "/api/auth");
  wrong.json(R"({"username":"alice","password":"wrong"})");
  const net::Response refused = send(wrong);
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(header_of(refused, "Content-Type"), "application/problem+json");
  EXPECT_NE(refused.body.find("\"code\":600"), std::string::npos);
  RequestBuilder unknown("POST", "/api/auth");
  unknown.json(R"({"username":"nobody","password":"wrong"})");
  const net::Response other = send(unknown);
  EXPECT_EQ(other.body, refused.body);
  EXPECT_EQ(other.headers, refused.headers);
}

TEST_F(TicketEndpointsTest, ApiAuthReadsAndSetsNoCookie) {
  sign_up_as("alice");
  RequestBuilder with_cookie("POST", "/api/auth");
  with_cookie.header("cookie", jar.header()).json("{}");
  EXPECT_EQ(send(with_cookie).status, 400);
  EXPECT_EQ(header_of(api_auth(), "Set-Cookie"), "");
}

TEST_F(TicketEndpointsTest, ApiAuthAnswersListedOriginsOnly) {
  add("alice");
  const auto ask = [this](std::string_view from) {
    RequestBuilder builder("POST", "/api/auth");
    builder.json(kJson).header("origin", from).header("sec-fetch-site", "cross-site");
    return send(builder);
  };
  const net::Response listed = ask(kPartner);
  EXPECT_EQ(listed.status, 200);
  EXPECT_EQ(header_of(listed, "Access-Control-Allow-Origin"), kPartner);
  EXPECT_EQ(header_of(listed, "Access-Control-Allow-Credentials"), "");
  EXPECT_EQ(header_of(listed, "Vary"), "Origin");
  EXPECT_EQ(header_of(ask("https://evil.example"), "Access-Control-Allow-Origin"), "");
}

TEST_F(TicketEndpointsTest, ApiAuthTakesQueryCredentialsOnlyIfTold) {
  add("alice");
  constexpr std::string_view kQuery =
      "/api/auth/?username=alice&password=a%20long%20and%20quiet%20afternoon";
  RequestBuilder off("POST", kQuery);
  const net::Response refused = send(off);
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.body.find("query_credentials"), std::string::npos);
  RequestBuilder both("POST", "/api/auth/?password=x");
  both.json(kJson);
  EXPECT_EQ(send(both).status, 400);

  Setup setup;
  setup.options.query_credentials = true;
  build(std::move(setup));
  RequestBuilder on("POST", kQuery);
  EXPECT_EQ(send(on).status, 200);
}

TEST_F(TicketEndpointsTest, ApiAuthTellsADisabledAccountOnlyAfterTheRightPassword) {
  add("alice");
  ASSERT_TRUE(directory.set_disabled("alice", true, {}).ok());
  const net::Response right = api_auth();
  EXPECT_EQ(right.status, 403);
  EXPECT_NE(right.body.find("account_disabled"), std::string::npos);
  RequestBuilder wrong("POST", "/api/auth");
  wrong.json(R"({"username":"alice","password":"wrong"})");
  EXPECT_NE(send(wrong).body.find("error:credentials"), std::string::npos);
}

}  // namespace
}  // namespace countersign::web

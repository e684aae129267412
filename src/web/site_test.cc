#include "web/site.h"

#include <regex>

#include <gtest/gtest.h>

#include "web/testing/site_world.h"

namespace countersign::web {
namespace {

class SiteTest : public SiteWorld {};

void expect_common_headers(const net::Response& response) {
  EXPECT_EQ(header_of(response, "X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(header_of(response, "Referrer-Policy"), "no-referrer");
  EXPECT_EQ(header_of(response, "Cross-Origin-Opener-Policy"), "same-origin");
  EXPECT_EQ(header_of(response, "Strict-Transport-Security"), "max-age=31536000");
  EXPECT_NE(header_of(response, "Permissions-Policy"), "");
  EXPECT_NE(header_of(response, "Cross-Origin-Resource-Policy"), "");
  EXPECT_NE(header_of(response, "Cache-Control"), "");
  const std::string policy = header_of(response, "Content-Security-Policy");
  EXPECT_TRUE(policy.starts_with("default-src 'none'")) << policy;
  EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
  EXPECT_NE(policy.find("base-uri 'none'"), std::string::npos);
  EXPECT_NE(policy.find("form-action 'self'"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
}

TEST_F(SiteTest, EveryAnswerCarriesTheSecurityHeaders) {
  for (const Route& route : Site::routes()) {
    RequestBuilder plain(route.method, route.path);
    expect_common_headers(send(plain));
    RequestBuilder hostile(route.method, route.path);
    hostile.header("sec-fetch-site", "cross-site").body("text/plain", "\xff").from_browser();
    expect_common_headers(send(hostile));
  }
  RequestBuilder unknown("GET", "/nowhere");
  expect_common_headers(send(unknown));
  RequestBuilder method("PATCH", "/");
  expect_common_headers(send(method));
  expect_common_headers(site->refuse(ErrorCode::kMalformedRequest));
}

TEST_F(SiteTest, AnswersThatDependOnTheSessionAreNeverKept) {
  const net::Response page = get("/users/sign_in");
  EXPECT_EQ(header_of(page, "Cache-Control"), "no-store");
  EXPECT_EQ(header_of(page, "Vary"), "Cookie");
  RequestBuilder ticket("POST", "/v1/tickets");
  ticket.same_origin();
  EXPECT_EQ(header_of(send(ticket), "Vary"), "Cookie, Origin");
}

TEST_F(SiteTest, TellsUnknownPathsAndMethods) {
  RequestBuilder unknown("GET", "/nowhere");
  const net::Response missing = send(unknown);
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(header_of(missing, "Content-Type"), "application/problem+json");
  EXPECT_EQ(missing.body,
            "{\"type\":\"urn:countersign:error:not_found\",\"title\":\"There is nothing here.\","
            "\"status\":404,\"code\":630,\"requestId\":\"test-request\"}");

  RequestBuilder wrong("DELETE", "/users/sign_in");
  const net::Response refused = send(wrong);
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(header_of(refused, "Allow"), "GET, HEAD, OPTIONS, POST");
}

TEST_F(SiteTest, ShowsPeopleAPageInsteadOfAProblem) {
  const net::Response page = get("/nowhere/<script>");
  EXPECT_EQ(page.status, 404);
  EXPECT_EQ(header_of(page, "Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(page.body.find("/nowhere"), std::string::npos);
}

TEST_F(SiteTest, AnswersOptionsOnKnownPaths) {
  RequestBuilder builder("OPTIONS", "/users/sign_in");
  const net::Response response = send(builder);
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(header_of(response, "Allow"), "GET, HEAD, OPTIONS, POST");
  EXPECT_EQ(header_of(response, "Access-Control-Allow-Origin"), "");
}

TEST_F(SiteTest, AllowsPreflightsOfListedOriginsOnly) {
  const auto preflight = [this](std::string_view path, std::string_view from) {
    RequestBuilder builder("OPTIONS", path);
    builder.header("origin", from).header("access-control-request-method", "POST");
    return send(builder);
  };
  const net::Response listed = preflight("/api/auth", kPartner);
  EXPECT_EQ(listed.status, 204);
  EXPECT_EQ(header_of(listed, "Access-Control-Allow-Origin"), kPartner);
  EXPECT_EQ(header_of(listed, "Access-Control-Allow-Methods"), "POST");
  EXPECT_EQ(header_of(listed, "Access-Control-Allow-Credentials"), "");
  EXPECT_EQ(header_of(preflight("/v1/tickets", kPartner), "Access-Control-Allow-Credentials"),
            "true");
  EXPECT_EQ(
      header_of(preflight("/api/auth", "https://evil.example"), "Access-Control-Allow-Origin"), "");
  EXPECT_EQ(header_of(preflight("/users/sign_in", kPartner), "Access-Control-Allow-Origin"), "");
}

TEST_F(SiteTest, ServesTheSdkToEverybody) {
  for (const std::string_view path : {"/sdk/countersign.js", "/sdk/countersign.mjs"}) {
    RequestBuilder builder("GET", path);
    const net::Response response = send(builder);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(header_of(response, "Access-Control-Allow-Origin"), "*");
    EXPECT_EQ(header_of(response, "Cross-Origin-Resource-Policy"), "cross-origin");
    EXPECT_EQ(header_of(response, "Content-Type"), "text/javascript; charset=utf-8");
    EXPECT_EQ(header_of(response, "Set-Cookie"), "");
    EXPECT_GT(response.body.size(), 1000U);

    RequestBuilder again("GET", path);
    again.header("if-none-match", header_of(response, "ETag"));
    const net::Response same = send(again);
    EXPECT_EQ(same.status, 304);
    EXPECT_EQ(same.body, "");
  }
}

TEST_F(SiteTest, NamesAssetsByTheirContentAndLetsThemBeKept) {
  const net::Response page = get("/users/sign_in");
  const std::size_t start = page.body.find("/assets/style-");
  ASSERT_NE(start, std::string::npos);
  const std::string path = page.body.substr(start, page.body.find('"', start) - start);
  const net::Response style = get(path);
  EXPECT_EQ(style.status, 200);
  EXPECT_EQ(header_of(style, "Content-Type"), "text/css; charset=utf-8");
  EXPECT_EQ(header_of(style, "Cache-Control"), "public, max-age=31536000, immutable");
  EXPECT_EQ(header_of(style, "Cross-Origin-Resource-Policy"), "same-origin");
  EXPECT_EQ(get("/assets/style-0000000000000000.css").status, 404);
}

TEST_F(SiteTest, PagesHoldNoInlineScriptOrStyle) {
  sign_up_as("alice");
  for (const std::string_view path : {"/", "/chat", "/users/account"}) {
    const net::Response page = get(path);
    ASSERT_EQ(page.status, 200);
    EXPECT_EQ(page.body.find("style="), std::string::npos);
    EXPECT_EQ(page.body.find("<style"), std::string::npos);
    EXPECT_FALSE(std::regex_search(page.body, std::regex(R"(\son[a-z]+\s*=)")))
        << "an event handler attribute";
    EXPECT_EQ(page.body.find("javascript:"), std::string::npos);
  }
}

TEST_F(SiteTest, ReportsHealthAndReadiness) {
  RequestBuilder alive("GET", "/healthz");
  EXPECT_EQ(send(alive).status, 200);
  RequestBuilder ready("GET", "/readyz");
  EXPECT_EQ(send(ready).status, 200);
  Setup setup;
  setup.options.ready = [] { return Result<void>(fail(ErrorCode::kNotReady, "poller is behind")); };
  build(std::move(setup));
  RequestBuilder draining("GET", "/readyz");
  const net::Response refused = send(draining);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(header_of(refused, "Retry-After"), "1");
  EXPECT_EQ(refused.body.find("poller"), std::string::npos);
}

TEST_F(SiteTest, TellsPlainRequestsThatTheGatewayIsAWebSocket) {
  RequestBuilder builder("GET", "/v1/gateway");
  const net::Response response = send(builder);
  EXPECT_EQ(response.status, 426);
  EXPECT_EQ(header_of(response, "Upgrade"), "websocket");
}

TEST_F(SiteTest, RefusesBodiesOfOtherTypes) {
  RequestBuilder multipart("POST", "/users/sign_in");
  multipart.same_origin().body("multipart/form-data; boundary=x", "--x--");
  EXPECT_EQ(send(multipart).status, 415);
  RequestBuilder malformed("POST", "/users/sign_in");
  malformed.same_origin().form("username=a&username=b");
  EXPECT_EQ(send(malformed).status, 400);
}

TEST(MetricsSite, ServesMetricsAndNothingElse) {
  base::Metrics metrics;
  metrics.counter("countersign_test_total", "A test").add();
  MetricsSite site(metrics);
  TestShard shard;
  RequestBuilder builder("GET", "/metrics");
  const net::Response response = shard.run(site.handle(builder.request(), shard));
  EXPECT_EQ(response.status, 200);
  EXPECT_NE(response.body.find("countersign_test_total 1"), std::string::npos);
  RequestBuilder other("GET", "/");
  EXPECT_EQ(shard.run(site.handle(other.request(), shard)).status, 404);
  RequestBuilder write("POST", "/metrics");
  EXPECT_EQ(shard.run(site.handle(write.request(), shard)).status, 405);
}

}  // namespace
}  // namespace countersign::web

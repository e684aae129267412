#include "web/routes.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "web/testing/openapi_operations.h"

namespace countersign::web {
namespace {

TEST(Routes, FindsTheRouteOfMethodAndPath) {
  EXPECT_EQ(find_route("GET", "/").route->endpoint, Endpoint::kClientPage);
  EXPECT_EQ(find_route("POST", "/users/sign_in").route->endpoint, Endpoint::kSignIn);
  EXPECT_EQ(find_route("GET", "/users/sign_in").route->endpoint, Endpoint::kSignInPage);
  EXPECT_EQ(find_route("DELETE", "/users/sign_out").route->endpoint, Endpoint::kSignOut);
}

TEST(Routes, AnswersHeadWhereGetIs) {
  EXPECT_EQ(find_route("HEAD", "/healthz").route->endpoint, Endpoint::kHealth);
  EXPECT_EQ(find_route("HEAD", "/v1/tickets").route, nullptr);
}

TEST(Routes, TellsUnknownPathsFromUnknownMethods) {
  EXPECT_FALSE(find_route("GET", "/nowhere").path_known);
  EXPECT_FALSE(find_route("GET", "/users/sign_in/").path_known);
  EXPECT_FALSE(find_route("GET", "/Users/sign_in").path_known);
  const RouteMatch wrong = find_route("PUT", "/users/sign_in");
  EXPECT_TRUE(wrong.path_known);
  EXPECT_EQ(wrong.route, nullptr);
  EXPECT_EQ(allowed_methods("/users/sign_in"), "GET, HEAD, OPTIONS, POST");
  EXPECT_EQ(allowed_methods("/users/sign_out"), "DELETE, OPTIONS, POST");
}

TEST(Routes, ServesApiAuthAsTheTutorialsWriteIt) {
  for (const std::string_view path : {"/api/auth", "/api/auth/", "/Api/Auth/", "/API/AUTH",
                                      "/SinchBackend/Api/Auth/", "/sinchbackend/api/auth"}) {
    const RouteMatch match = find_route("POST", path);
    ASSERT_NE(match.route, nullptr) << path;
    EXPECT_EQ(match.route->endpoint, Endpoint::kApiAuth);
  }
  EXPECT_FALSE(find_route("POST", "/api/auth//").path_known);
  EXPECT_FALSE(find_route("POST", "/other/api/auth").path_known);
}

TEST(Routes, TakesOneSegmentForAParameter) {
  const RouteMatch match = find_route("POST", "/users/sessions/abc_-1/end");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.parameters[0], "abc_-1");
  EXPECT_FALSE(find_route("POST", "/users/sessions//end").path_known);
  EXPECT_FALSE(find_route("POST", "/users/sessions/a/b/end").path_known);
}

TEST(Routes, TakesSeveralParametersEachOneSegmentAndUndecoded) {
  const RouteMatch match =
      find_route("GET", "/v1/app/users/username/a%2Fb/conversations/c-1/history");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.route->endpoint, Endpoint::kAppHistory);
  EXPECT_EQ(match.parameters, (PathParameters{"username", "a%2Fb", "c-1"}));
  EXPECT_FALSE(find_route("GET", "/v1/app/users/username/a/b/presence").path_known);
  EXPECT_FALSE(find_route("GET", "/v1/app/users//a/presence").path_known);
  EXPECT_FALSE(find_route("GET", "/v1/app/users/username/a/presence/").path_known);
}

TEST(Routes, GuardsEveryUnsafeMethodThatCookiesAuthenticate) {
  for (const Route& route : routes()) {
    if (route.method == "GET") continue;
    const bool own_credential =
        route.access == Access::kCredential || route.access == Access::kApplication;
    EXPECT_EQ(route.guard, own_credential ? Guard::kNone : Guard::kCrossSite)
        << route.method << ' ' << route.path;
    EXPECT_GT(route.body_limit, 0U);
    EXPECT_LE(route.body_limit, (own_credential ? 64U : 16U) * 1024);
  }
}

TEST(Routes, AreTheOnesThatOpenapiYamlDescribes) {
  std::set<std::string> served;
  for (const Route& route : routes()) {
    served.insert(std::string(route.method) + ' ' + std::string(route.path));
  }
  EXPECT_EQ(served, described_operations().site);
}

TEST(Routes, NamesEveryPairOnce) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const Route& route : routes()) {
    EXPECT_TRUE(seen.emplace(route.method, route.path).second) << route.path;
    EXPECT_FALSE(route.path.ends_with('/') && route.path != "/");
  }
}

}  // namespace
}  // namespace countersign::web

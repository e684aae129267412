#include "web/classic/classic_routes.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "web/testing/openapi_operations.h"

namespace countersign::web::classic {
namespace {

TEST(ClassicRoutes, AreTheOnesThatOpenapiYamlDescribes) {
  std::set<std::string> served;
  for (const RestRoute& route : rest_routes()) {
    served.insert(std::string(route.method) + ' ' + std::string(route.path));
  }
  std::set<std::string> described;
  for (std::string operation : described_operations().classic) {
    if (operation.find(kRestPrefix) == std::string::npos) continue;  // of the plane
    if (operation.ends_with('/')) operation.pop_back();
    described.insert(operation);
  }
  EXPECT_EQ(served, described);
}

TEST(ClassicRoutes, TakeASlashMoreOrLess) {
  const RestMatch with = find_rest_route("GET", "/sinch/v1/timestamp/");
  const RestMatch without = find_rest_route("GET", "/sinch/v1/timestamp");
  ASSERT_NE(with.route, nullptr);
  EXPECT_EQ(with.route, without.route);
}

TEST(ClassicRoutes, TellUnknownPathsFromUnknownMethods) {
  EXPECT_FALSE(find_rest_route("GET", "/sinch/v1/nowhere").path_known);
  const RestMatch wrong = find_rest_route("DELETE", "/sinch/v1/instance");
  EXPECT_TRUE(wrong.path_known);
  EXPECT_EQ(wrong.route, nullptr);
}

}  // namespace
}  // namespace countersign::web::classic

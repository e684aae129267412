#include "web/classic/classic_routes.h"

#include <array>

namespace countersign::web::classic {
namespace {

using E = RestEndpoint;
using S = RestScheme;

constexpr std::array kRoutes = {
    RestRoute{"GET", "/sinch/v1/timestamp", E::kTimestamp, S::kAny},
    RestRoute{"POST", "/sinch/v1/instance", E::kCreateInstance, S::kUser},
    RestRoute{"PUT", "/sinch/v1/instances/id/{id}/authorization", E::kRenewInstance, S::kUser},
    RestRoute{"GET", "/sinch/v1/configuration/user", E::kConfiguration},
    RestRoute{"POST", "/sinch/v1/transport", E::kOpenTransport},
    RestRoute{"GET", "/sinch/v1/transport", E::kFindTransport},
    RestRoute{"POST", "/sinch/v1/report/im", E::kReport},
    RestRoute{"POST", "/sinch/v1/users", E::kSignUp, S::kApplication},
    RestRoute{"POST", "/sinch/v1/users/{type}/{value}/authentication", E::kSignIn, S::kApplication},
    RestRoute{"GET", "/sinch/v1/user/profile", E::kProfile},
    RestRoute{"PATCH", "/sinch/v1/user/profile", E::kNotOffered},
    RestRoute{"PUT", "/sinch/v1/user/password", E::kNotOffered},
    RestRoute{"POST", "/sinch/v1/calls/{domain}", E::kNotOffered},
    RestRoute{"PUT", "/sinch/v1/calls/{domain}/id/{call}", E::kNotOffered},
    RestRoute{"POST", "/sinch/v1/push", E::kNotOffered},
    RestRoute{"POST", "/sinch/v1/push/messages", E::kNotOffered},
    RestRoute{"POST", "/sinch/v1/media", E::kNotOffered},
    RestRoute{"POST", "/sinch/verification/v1/verifications", E::kNotOffered, S::kApplication},
    RestRoute{"PUT", "/sinch/verification/v1/verifications/number/{number}", E::kNotOffered,
              S::kApplication},
    RestRoute{"GET", "/sinch/verification/v1/verifications/callout/number/{number}", E::kNotOffered,
              S::kApplication},
};

}  // namespace

std::span<const RestRoute> rest_routes() { return kRoutes; }

RestMatch find_rest_route(std::string_view method, std::string_view path) {
  if (path.ends_with('/')) path.remove_suffix(1);
  RestMatch match;
  for (const RestRoute& route : kRoutes) {
    PathParameters parameters;
    if (!matches_pattern(route.path, path, parameters)) continue;
    match.path_known = true;
    if (route.method != method) continue;
    match.route = &route;
    match.parameters = parameters;
    return match;
  }
  return match;
}

}  // namespace countersign::web::classic

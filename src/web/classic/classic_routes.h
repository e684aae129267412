// Classic routes: every REST address that the classic SDK asks, with who may ask.
//
// The addresses are the SDK's own, below the prefixes that pages give it. What the SDK can ask and
// we do not offer (calls, push, verification) stands here too, so that it is refused in words.
// Thread-safety: constants and pure functions. Source: docs/reference/classic-door.md, "REST".
#ifndef COUNTERSIGN_WEB_CLASSIC_CLASSIC_ROUTES_H_
#define COUNTERSIGN_WEB_CLASSIC_CLASSIC_ROUTES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "web/routes.h"

namespace countersign::web::classic {

/// Everything of the door's REST side lies below.
inline constexpr std::string_view kRestPrefix = "/sinch/";

enum class RestEndpoint : std::uint8_t {
  kTimestamp,
  kCreateInstance,
  kRenewInstance,
  kConfiguration,
  kOpenTransport,
  kFindTransport,
  kReport,
  kSignUp,
  kSignIn,
  kProfile,
  kNotOffered,  ///< the SDK knows it, this server does not have it
};

/// What Authorization has to say.
enum class RestScheme : std::uint8_t {
  kAny,          ///< nothing is looked at
  kApplication,  ///< `application KEY`
  kUser,         ///< `user TICKET`
  kInstance,     ///< `instance ID:SIGNATURE`
};

struct RestRoute {
  std::string_view method;
  std::string_view path;  ///< each `{name}` stands for one segment
  RestEndpoint endpoint;
  RestScheme scheme = RestScheme::kInstance;
};

std::span<const RestRoute> rest_routes();

struct RestMatch {
  const RestRoute* route = nullptr;  ///< null: no such method here
  bool path_known = false;
  PathParameters parameters;  ///< not decoded; views into the path
};

/// Finds the route. One trailing slash more or less makes no difference: the SDK's own addresses
/// come in both forms.
RestMatch find_rest_route(std::string_view method, std::string_view path);

/// The largest body of any of them, in bytes.
inline constexpr std::size_t kRestBodyBytes = 64 * 1024;

}  // namespace countersign::web::classic

#endif  // COUNTERSIGN_WEB_CLASSIC_CLASSIC_ROUTES_H_

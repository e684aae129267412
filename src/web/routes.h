// The route table: every address of the site, with what is demanded of a request before its handler
// runs. api/openapi.yaml describes the same table; a test holds the two together.
// Thread-safety: constants and pure functions.
#ifndef COUNTERSIGN_WEB_ROUTES_H_
#define COUNTERSIGN_WEB_ROUTES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace countersign::web {

/// What answers.
enum class Endpoint : std::uint8_t {
  kClientPage,
  kChatPage,
  kSignUpPage,
  kSignUp,
  kSignInPage,
  kSignIn,
  kSignOut,
  kAccountPage,
  kChangePassword,
  kEndSession,
  kSignOutEverywhere,
  kApiAuth,
  kTickets,
  kGateway,
  kAppSend,
  kAppConversations,
  kAppHistory,
  kAppPresence,
  kAppInbox,
  kAppInstances,
  kAppSignOut,
  kAppEndInstance,
  kAppRevokeDevice,
  kAppExport,
  kAppErase,
  kAsset,
  kHealth,
  kReady,
};

/// Who may ask.
enum class Access : std::uint8_t {
  kAnybody,
  kSignedIn,     ///< else pages answer 303 to the sign-in form, and JSON 401
  kCredential,   ///< the body proves who asks; cookies are neither read nor set
  kApplication,  ///< signed by an application; likewise without cookies
};

/// Whether the cross-site rule binds the request (web/cross_site.h).
enum class Guard : std::uint8_t { kNone, kCrossSite };

/// What other origins may do with the answer.
enum class Cors : std::uint8_t {
  kNone,
  kListed,             ///< server.allowed_origins may read it; without cookies
  kListedWithCookies,  ///< they may also send cookies, with JSON bodies only
  kAnyOrigin,          ///< anybody may load it
};

struct Route {
  std::string_view method;
  std::string_view path;  ///< each `{name}` stands for one segment
  Endpoint endpoint;
  Access access = Access::kAnybody;
  Guard guard = Guard::kNone;
  Cors cors = Cors::kNone;
  std::size_t body_limit = 0;  ///< bytes
  bool quiet = false;          ///< asked so often that its access log line is a debug line
};

/// All routes. HEAD is answered where GET is, OPTIONS everywhere.
std::span<const Route> routes();

/// What the `{name}`s of a route stand for, in their order; not decoded. Views into the path.
using PathParameters = std::array<std::string_view, 3>;

/// True if `path` has the pattern's form; `parameters` becomes what each `{…}` stands for.
bool matches_pattern(std::string_view pattern, std::string_view path, PathParameters& parameters);

struct RouteMatch {
  const Route* route = nullptr;  ///< null: no such method here
  bool path_known = false;
  PathParameters parameters;
};

/// Finds the route. Paths are compared byte by byte, except that of /api/auth: the C# tutorial
/// writes it `/SinchBackend/Api/Auth/`, so case and that prefix do not matter there.
RouteMatch find_route(std::string_view method, std::string_view path);
/// The methods of a known path, for Allow: `GET, HEAD, OPTIONS, POST`.
std::string allowed_methods(std::string_view path);
/// The largest body that `method path` takes; for unknown ones a little, so that they are told 404.
std::size_t body_limit(std::string_view method, std::string_view path);

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_ROUTES_H_

#include "web/routes.h"

#include <algorithm>
#include <array>
#include <set>

namespace countersign::web {
namespace {

// Name, address and password of at most 1024 bytes, each byte escaped as %XX, with room to spare.
constexpr std::size_t kFormBytes = 16 * 1024;
constexpr std::size_t kSmallBodyBytes = 4 * 1024;
/// A message as large as one may be at the gateway.
constexpr std::size_t kSendBytes = 64 * 1024;

constexpr std::string_view kApiAuthPath = "/api/auth";
constexpr std::string_view kApiAuthTutorialPath = "/sinchbackend/api/auth";

constexpr std::array kRoutes = {
    // Tickets: first, because they are asked for most.
    Route{"POST", "/v1/tickets", Endpoint::kTickets, Access::kSignedIn, Guard::kCrossSite,
          Cors::kListedWithCookies, kSmallBodyBytes, true},
    Route{"POST", kApiAuthPath, Endpoint::kApiAuth, Access::kCredential, Guard::kNone,
          Cors::kListed, kFormBytes},
    // The pages.
    Route{"GET", "/", Endpoint::kClientPage, Access::kSignedIn},
    Route{"GET", "/chat", Endpoint::kChatPage, Access::kSignedIn},
    Route{"GET", "/users/sign_up", Endpoint::kSignUpPage},
    Route{"POST", "/users/sign_up", Endpoint::kSignUp, Access::kAnybody, Guard::kCrossSite,
          Cors::kNone, kFormBytes},
    Route{"GET", "/users/sign_in", Endpoint::kSignInPage},
    Route{"POST", "/users/sign_in", Endpoint::kSignIn, Access::kAnybody, Guard::kCrossSite,
          Cors::kNone, kFormBytes},
    Route{"DELETE", "/users/sign_out", Endpoint::kSignOut, Access::kAnybody, Guard::kCrossSite,
          Cors::kNone, kSmallBodyBytes},
    Route{"POST", "/users/sign_out", Endpoint::kSignOut, Access::kAnybody, Guard::kCrossSite,
          Cors::kNone, kSmallBodyBytes},
    Route{"GET", "/users/account", Endpoint::kAccountPage, Access::kSignedIn},
    Route{"POST", "/users/password", Endpoint::kChangePassword, Access::kSignedIn,
          Guard::kCrossSite, Cors::kNone, kFormBytes},
    Route{"POST", "/users/sessions/{handle}/end", Endpoint::kEndSession, Access::kSignedIn,
          Guard::kCrossSite, Cors::kNone, kFormBytes},
    Route{"POST", "/users/sign_out_everywhere", Endpoint::kSignOutEverywhere, Access::kSignedIn,
          Guard::kCrossSite, Cors::kNone, kSmallBodyBytes},
    // The gateway: requests that are no WebSocket handshake end here.
    Route{"GET", "/v1/gateway", Endpoint::kGateway, Access::kCredential},
    // The server API, for the team's own backend.
    Route{"POST", "/v1/app/messages", Endpoint::kAppSend, Access::kApplication, Guard::kNone,
          Cors::kNone, kSendBytes},
    Route{"GET", "/v1/app/users/{type}/{endpoint}/conversations", Endpoint::kAppConversations,
          Access::kApplication},
    Route{"GET", "/v1/app/users/{type}/{endpoint}/conversations/{conv}/history",
          Endpoint::kAppHistory, Access::kApplication},
    Route{"GET", "/v1/app/users/{type}/{endpoint}/presence", Endpoint::kAppPresence,
          Access::kApplication},
    Route{"GET", "/v1/app/users/{type}/{endpoint}/inbox", Endpoint::kAppInbox,
          Access::kApplication},
    Route{"GET", "/v1/app/users/{type}/{endpoint}/instances", Endpoint::kAppInstances,
          Access::kApplication},
    Route{"DELETE", "/v1/app/users/{type}/{endpoint}/instances/{id}", Endpoint::kAppEndInstance,
          Access::kApplication, Guard::kNone, Cors::kNone, kSmallBodyBytes},
    Route{"POST", "/v1/app/users/{type}/{endpoint}/sign-out", Endpoint::kAppSignOut,
          Access::kApplication, Guard::kNone, Cors::kNone, kSmallBodyBytes},
    Route{"POST", "/v1/app/instances/revoke-device", Endpoint::kAppRevokeDevice,
          Access::kApplication, Guard::kNone, Cors::kNone, kSmallBodyBytes},
    Route{"GET", "/v1/app/users/{type}/{endpoint}/export", Endpoint::kAppExport,
          Access::kApplication},
    Route{"POST", "/v1/app/users/{type}/{endpoint}/erase", Endpoint::kAppErase,
          Access::kApplication, Guard::kNone, Cors::kNone, kSmallBodyBytes},
    // Files.
    Route{"GET", "/sdk/countersign.js", Endpoint::kAsset, Access::kAnybody, Guard::kNone,
          Cors::kAnyOrigin, 0, true},
    Route{"GET", "/sdk/countersign.mjs", Endpoint::kAsset, Access::kAnybody, Guard::kNone,
          Cors::kAnyOrigin, 0, true},
    Route{"GET", "/assets/{file}", Endpoint::kAsset, Access::kAnybody, Guard::kNone, Cors::kNone, 0,
          true},
    // Operations.
    Route{"GET", "/healthz", Endpoint::kHealth, Access::kAnybody, Guard::kNone, Cors::kNone, 0,
          true},
    Route{"GET", "/readyz", Endpoint::kReady, Access::kAnybody, Guard::kNone, Cors::kNone, 0, true},
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view text, std::string_view lower_case) {
  return text.size() == lower_case.size() &&
         std::equal(text.begin(), text.end(), lower_case.begin(),
                    [](char a, char b) { return lower(a) == b; });
}

bool is_api_auth(std::string_view path) {
  if (path.ends_with('/')) path.remove_suffix(1);
  return equal_ignoring_case(path, kApiAuthPath) || equal_ignoring_case(path, kApiAuthTutorialPath);
}

bool route_serves(const Route& route, std::string_view path, PathParameters& parameters) {
  if (route.endpoint == Endpoint::kApiAuth) return is_api_auth(path);
  return matches_pattern(route.path, path, parameters);
}

}  // namespace

std::span<const Route> routes() { return kRoutes; }

bool matches_pattern(std::string_view pattern, std::string_view path, PathParameters& parameters) {
  std::size_t count = 0;
  for (;;) {
    const std::size_t open = pattern.find('{');
    if (open == std::string_view::npos) return pattern == path;
    if (!path.starts_with(pattern.substr(0, open))) return false;
    path.remove_prefix(open);
    pattern.remove_prefix(pattern.find('}') + 1);
    const std::size_t end = std::min(path.find('/'), path.size());
    if (end == 0 || count == parameters.size()) return false;
    parameters[count++] = path.substr(0, end);
    path.remove_prefix(end);
  }
}

RouteMatch find_route(std::string_view method, std::string_view path) {
  const std::string_view wanted = method == "HEAD" ? std::string_view("GET") : method;
  RouteMatch match;
  for (const Route& route : kRoutes) {
    PathParameters parameters;
    if (!route_serves(route, path, parameters)) continue;
    match.path_known = true;
    if (route.method != wanted) continue;
    match.route = &route;
    match.parameters = parameters;
    return match;
  }
  return match;
}

std::string allowed_methods(std::string_view path) {
  std::set<std::string_view> methods = {"OPTIONS"};
  for (const Route& route : kRoutes) {
    PathParameters parameters;
    if (!route_serves(route, path, parameters)) continue;
    methods.insert(route.method);
    if (route.method == "GET") methods.insert("HEAD");
  }
  std::string list;
  for (const std::string_view method : methods) {
    if (!list.empty()) list += ", ";
    list += method;
  }
  return list;
}

std::size_t body_limit(std::string_view method, std::string_view path) {
  const RouteMatch match = find_route(method, path);
  return match.route == nullptr || match.route->body_limit == 0 ? kSmallBodyBytes
                                                                : match.route->body_limit;
}

}  // namespace countersign::web

#include "web/site.h"

#include <chrono>
#include <exception>
#include <utility>

#include "base/log.h"
#include "sessions/form_token.h"
#include "web/answers.h"
#include "web/cookies.h"
#include "web/cross_site.h"
#include "web/refusal.h"
#include "web/server_api.h"

namespace countersign::web {
namespace {

constexpr std::size_t kMaxLoggedPath = 100;  // bytes
constexpr std::string_view kForEver = "public, max-age=31536000, immutable";
constexpr std::string_view kAskAgain = "public, max-age=300";

/// What form tokens of this route are bound to: the session or, before there is one, the
/// pre-session. Never both: without TLS a neighbour can plant a pre-session cookie.
std::string_view token_secret(const Call& call, bool secure) {
  const bool before_sign_in =
      call.route.endpoint == Endpoint::kSignIn || call.route.endpoint == Endpoint::kSignUp;
  if (!before_sign_in) return call.session_cookie;
  const std::string_view value = read_cookie(call.request, Cookie::kPreSession, secure);
  return sessions::is_pre_session(value) ? value : std::string_view();
}

/// What may end sessions or instances.
bool may_revoke(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::kSignOut:
    case Endpoint::kChangePassword:
    case Endpoint::kEndSession:
    case Endpoint::kSignOutEverywhere:
    case Endpoint::kAppSignOut:
    case Endpoint::kAppEndInstance:
    case Endpoint::kAppRevokeDevice:
      return true;
    default:
      return false;
  }
}

/// The route that a CORS preflight asks about, or null.
const Route* preflight_route(const net::Request& request) {
  return find_route(request.header("access-control-request-method"), request.path).route;
}

}  // namespace

Site::Site(SiteContext context)
    : context_(std::move(context)),
      pages_(assets_),
      sign_in_pages_(context_, pages_),
      account_pages_(context_, pages_),
      client_pages_(context_, pages_),
      ticket_endpoints_(context_) {}

std::size_t Site::body_limit(std::string_view method, std::string_view path) const {
  return web::body_limit(method, path);
}

net::Response Site::refuse(ErrorCode code) const {
  net::Response response = problem(code, {});
  add_common_headers(response, nullptr, nullptr, context_.origin);
  return response;
}

net::Awaitable<net::Response> Site::handle(net::Request& request, net::Shard& shard) {
  const base::SteadyTime began = context_.clock.steady();
  const RouteMatch match = find_route(request.method, request.path);
  net::Response response;
  try {
    response = co_await answer(request, shard, match, began);
  } catch (const std::exception& thrown) {
    base::log_error("handler_threw", {{"request_id", request.id}, {"what", thrown.what()}});
    response = problem(ErrorCode::kInternal, request.id);
  }
  if (match.route != nullptr && response.status < 400 && may_revoke(match.route->endpoint)) {
    context_.options.revoked();
  }
  const Route* route = request.method == "OPTIONS" ? preflight_route(request) : match.route;
  add_common_headers(response, &request, route, context_.origin);
  note(request, match.route, response, began);
  co_return response;
}

net::Awaitable<net::Response> Site::answer(const net::Request& request, net::Shard& shard,
                                           const RouteMatch& match, base::SteadyTime began) {
  if (match.route == nullptr) co_return unmatched(request, match);
  Call call{request, shard, *match.route, match.parameters, began, {}, {}, nullptr};
  if (call.route.access == Access::kApplication) {
    if (context_.server_api == nullptr) co_return problem(ErrorCode::kNotFound, request.id);
    // A node that is cut off from the store, or about to end, accepts nothing.
    if (!context_.options.ready()) co_return api_problem(ErrorCode::kNotReady, request.id);
    co_return co_await context_.server_api->answer(call);
  }
  // Whose credential is in the body has no cookie, even if the browser sent one.
  if (call.route.access != Access::kCredential) {
    call.session_cookie =
        read_cookie(request, Cookie::kSession, context_.origin.facts().secure_cookies);
  }
  std::optional<net::Response> refused = guard(call);
  if (refused) co_return *std::move(refused);
  if (call.route.access == Access::kSignedIn) {
    // The hot path of tickets goes on without another coroutine.
    if (!call.session_cookie.empty()) call.session = context_.sessions.cached(call.session_cookie);
    if (call.session == nullptr) {
      Result<sessions::SessionCache::View> session =
          co_await find_session(context_, shard, std::string(call.session_cookie));
      if (!session) co_return refuse_call(call, session.code());
      if (*session == nullptr) co_return not_signed_in(call);
      call.session = *std::move(session);
    }
    if (call.route.endpoint == Endpoint::kTickets && !context_.issuer.needs_store()) {
      co_return ticket_endpoints_.issue(call.session, request);
    }
  }
  co_return co_await dispatch(call);
}

net::Awaitable<net::Response> Site::dispatch(Call& call) {
  switch (call.route.endpoint) {
    case Endpoint::kClientPage:
      co_return client_pages_.show_client(call);
    case Endpoint::kChatPage:
      co_return client_pages_.show_chat(call);
    case Endpoint::kSignUpPage:
      co_return co_await sign_in_pages_.show_sign_up(call);
    case Endpoint::kSignUp:
      co_return co_await sign_in_pages_.sign_up(call);
    case Endpoint::kSignInPage:
      co_return co_await sign_in_pages_.show_sign_in(call);
    case Endpoint::kSignIn:
      co_return co_await sign_in_pages_.sign_in(call);
    case Endpoint::kSignOut:
      co_return co_await sign_in_pages_.sign_out(call);
    case Endpoint::kAccountPage:
      co_return co_await account_pages_.show_account(call);
    case Endpoint::kChangePassword:
      co_return co_await account_pages_.change_password(call);
    case Endpoint::kEndSession:
      co_return co_await account_pages_.end_session(call);
    case Endpoint::kSignOutEverywhere:
      co_return co_await account_pages_.sign_out_everywhere(call);
    case Endpoint::kApiAuth:
      co_return co_await ticket_endpoints_.api_auth(call);
    case Endpoint::kTickets:
      co_return co_await ticket_endpoints_.tickets(call);
    case Endpoint::kGateway: {
      net::Response response = problem(ErrorCode::kUpgradeRequired, call.request.id);
      response.set("Upgrade", "websocket");
      co_return response;
    }
    case Endpoint::kAsset:
      co_return asset(call.request);
    case Endpoint::kAppSend:
    case Endpoint::kAppConversations:
    case Endpoint::kAppHistory:
    case Endpoint::kAppPresence:
    case Endpoint::kAppInbox:
    case Endpoint::kAppInstances:
    case Endpoint::kAppSignOut:
    case Endpoint::kAppEndInstance:
    case Endpoint::kAppRevokeDevice:
    case Endpoint::kAppExport:
    case Endpoint::kAppErase:
      break;  // answered before
    case Endpoint::kHealth:
      co_return health(call.request, false);
    case Endpoint::kReady:
      co_return health(call.request, true);
  }
  co_return problem(ErrorCode::kNotFound, call.request.id);
}

std::optional<net::Response> Site::guard(Call& call) const {
  const net::Request& request = call.request;
  if (call.route.method == "GET") return std::nullopt;  // changes nothing; the body is not read
  const Result<BodyType> type = body_type(request);
  CrossSiteVerdict verdict = CrossSiteVerdict::kPass;
  if (call.route.guard == Guard::kCrossSite) {
    const bool cors_json = call.route.cors == Cors::kListedWithCookies && type == BodyType::kJson;
    verdict = judge_cross_site(source_of(request), context_.origin, cors_json);
  }
  if (verdict == CrossSiteVerdict::kRefuse) return refuse_call(call, ErrorCode::kCrossSite);

  // SDKs post `{}` for a ticket: nothing to decode.
  const bool empty_object = request.body == "{}" && type == BodyType::kJson;
  if (!empty_object) {
    Result<Fields> fields = type.ok() ? read_fields(*type, request.body) : type.failure();
    if (!fields) {
      base::log_info("body_refused",
                     {{"request_id", request.id}, {"detail", fields.error().detail}});
      return refuse_call(call, fields.code());
    }
    call.fields = *std::move(fields);
  }

  if (verdict == CrossSiteVerdict::kNeedsToken) {
    // Without a cookie nobody's authority is at stake, and "not signed in" is the better answer.
    const bool by_cookie =
        call.route.access == Access::kSignedIn || call.route.endpoint == Endpoint::kSignOut;
    if (by_cookie && call.session_cookie.empty()) return std::nullopt;
    const std::string_view secret = token_secret(call, context_.origin.facts().secure_cookies);
    if (!sessions::verify_form_token(secret, request.path, call.fields.get("csrf_token"))) {
      return refuse_call(call, ErrorCode::kFormToken);
    }
  }
  return std::nullopt;
}

net::Response Site::unmatched(const net::Request& request, const RouteMatch& match) const {
  if (!match.path_known) {
    return refusal(pages_, request, nullptr, ErrorCode::kNotFound);
  }
  if (request.method == "OPTIONS") {
    return options_answer(request, preflight_route(request));
  }
  net::Response response = problem(ErrorCode::kMethodNotAllowed, request.id);
  response.set("Allow", allowed_methods(request.path));
  return response;
}

net::Response Site::not_signed_in(const Call& call) const {
  const bool page = call.route.method == "GET" || reads_pages(call.request, &call.route);
  return page ? see_other("/users/sign_in") : problem(ErrorCode::kNotSignedIn, call.request.id);
}

net::Response Site::refuse_call(const Call& call, ErrorCode code) const {
  return refusal(pages_, call.request, &call.route, code);
}

net::Response Site::asset(const net::Request& request) const {
  const Asset* found = assets_.find(request.path);
  if (found == nullptr) return problem(ErrorCode::kNotFound, request.id);
  net::Response response;
  response.set("Content-Type", std::string(found->content_type));
  response.set("ETag", found->etag);
  response.set("Cache-Control",
               std::string(found->path.starts_with("/assets/") ? kForEver : kAskAgain));
  const std::string_view have = request.header("if-none-match");
  if (have == "*" || have.find(found->etag) != std::string_view::npos) {
    response.status = 304;
    return response;
  }
  response.body = found->content;
  return response;
}

net::Response Site::health(const net::Request& request, bool ready) const {
  if (!ready) return json(200, "{\"status\":\"alive\"}");
  const Result<void> state = context_.options.ready();
  if (state.ok()) return json(200, "{\"status\":\"ready\"}");
  base::log_warning("not_ready", {{"request_id", request.id}, {"detail", state.error().detail}});
  return problem(ErrorCode::kNotReady, request.id);
}

void Site::note(const net::Request& request, const Route* route, const net::Response& response,
                base::SteadyTime began) const {
  const bool quiet = route != nullptr && route->quiet && response.status < 500;
  const base::LogLevel level = quiet ? base::LogLevel::kDebug : base::LogLevel::kInfo;
  if (!base::log_enabled(level)) return;
  const std::chrono::duration<double, std::milli> took = context_.clock.steady() - began;
  // Routes are named by their pattern; what matched none is cut, so that it cannot flood the log.
  const std::string_view path =
      route != nullptr ? route->path : request.path.substr(0, kMaxLoggedPath);
  base::log(level, "http_request",
            {{"method", request.method.substr(0, 16)},
             {"path", path},
             {"status", response.status},
             {"ms", took.count()},
             {"request_id", request.id},
             {"client", request.client.prefix(context_.options.throttle_ipv4_bits, 64)}});
}

std::size_t MetricsSite::body_limit(std::string_view, std::string_view) const { return 0; }

net::Response MetricsSite::refuse(ErrorCode code) const {
  net::Response response = problem(code, {});
  response.set("Cache-Control", "no-store");
  return response;
}

net::Awaitable<net::Response> MetricsSite::handle(net::Request& request, net::Shard&) {
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (request.path != "/metrics") co_return refuse(ErrorCode::kNotFound);
  if (!reads) {
    net::Response response = refuse(ErrorCode::kMethodNotAllowed);
    response.set("Allow", "GET, HEAD");
    co_return response;
  }
  net::Response response;
  response.set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
  response.set("Cache-Control", "no-store");
  response.set("X-Content-Type-Options", "nosniff");
  response.body = metrics_.expose();
  co_return response;
}

}  // namespace countersign::web

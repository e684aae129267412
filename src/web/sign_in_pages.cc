#include "web/sign_in_pages.h"

#include <utility>

#include "base/log.h"
#include "sessions/form_token.h"
#include "web/answers.h"
#include "web/refusal.h"

namespace countersign::web {
namespace {

/// Browsers keep no cookie longer.
constexpr std::chrono::seconds kDeviceCookieAge = std::chrono::hours(24 * 400);

constexpr std::string_view kCookiesRefused =
    "This server is reached over plain http, so browsers do not keep its cookies and nobody can "
    "sign in. Its operator has to set up TLS, or for development server.insecure_cookies.";
constexpr std::string_view kSessionEnded = "Your sign-in has ended. Sign in again.";

std::string notice_of(const SiteContext& site) {
  return std::string(site.origin.facts().cookies_work ? std::string_view() : kCookiesRefused);
}

}  // namespace

std::string ensure_pre_session(const SiteContext& site, const net::Request& request,
                               net::Response& response) {
  const bool secure = site.origin.facts().secure_cookies;
  const std::string_view present = read_cookie(request, Cookie::kPreSession, secure);
  if (sessions::is_pre_session(present)) return std::string(present);
  std::string fresh = sessions::make_pre_session(site.random);
  give_cookie(site, response, Cookie::kPreSession, fresh);
  return fresh;
}

void forget_session(const SiteContext& site, net::Response& response) {
  response.set("Set-Cookie", delete_cookie(Cookie::kSession, site.origin.facts().secure_cookies));
  // Not "storage": that would delete messages that wait to be sent.
  response.set("Clear-Site-Data", "\"cache\"");
}

void give_cookie(const SiteContext& site, net::Response& response, Cookie cookie,
                 std::string_view value) {
  const SiteOrigin::Facts& facts = site.origin.facts();
  if (!facts.cookies_work) return;
  std::optional<std::chrono::seconds> age;
  if (cookie == Cookie::kDevice) age = kDeviceCookieAge;
  response.set("Set-Cookie", set_cookie(cookie, value, facts.secure_cookies, age));
}

bool SignInPages::email_is_name() const {
  return issuing::email_is_identity(site_.issuer.options().identity);
}

/// What finishes a sign-in or a sign-up, in the worker task of its last step.
auto SignInPages::begin_session(const Call& call) const {
  sessions::SessionOrigin origin;
  origin.address_prefix = client_prefix(call.request, site_.options.throttle_ipv4_bits).narrow;
  origin.agent = agent_family(call.request.header("user-agent"));
  std::string earlier(call.session_cookie);
  return [&site = site_, origin = std::move(origin),
          earlier = std::move(earlier)](accounts::Authenticated person) -> Result<Begun> {
    if (!earlier.empty()) {
      // This browser forgets the earlier session's id now, so nobody else should go on with it.
      const Result<sessions::SessionCache::View> old = site.sessions.resolve(earlier);
      if (old.ok()) {
        const Result<bool> ended = site.sessions.end((*old)->session.handle, "sign_in");
        if (!ended) return ended.failure();
      }
    }
    Result<sessions::NewSession> begun = site.sessions.create(person.account, origin);
    if (!begun) return begun.failure();
    return Begun{std::move(begun->cookie_id), std::move(person.device_cookie)};
  };
}

net::Response SignInPages::welcome(const Begun& begun) const {
  net::Response response = see_other("/");
  give_cookie(site_, response, Cookie::kSession, begun.session_cookie);
  if (begun.device_cookie) give_cookie(site_, response, Cookie::kDevice, *begun.device_cookie);
  response.set("Set-Cookie",
               delete_cookie(Cookie::kPreSession, site_.origin.facts().secure_cookies));
  return response;
}

net::Response SignInPages::sign_in_form(const Call& call, int status, SignInView view) const {
  net::Response response = html(status, {});
  const std::string secret = ensure_pre_session(site_, call.request, response);
  view.form_token = sessions::form_token(secret, "/users/sign_in");
  view.sign_up_open = site_.sign_up.open();
  view.email_is_name = email_is_name();
  if (view.notice.empty()) view.notice = notice_of(site_);
  response.body = pages_.sign_in(view);
  return response;
}

net::Response SignInPages::sign_up_form(const Call& call, int status, SignUpView view) const {
  net::Response response = html(status, {});
  const std::string secret = ensure_pre_session(site_, call.request, response);
  view.form_token = sessions::form_token(secret, "/users/sign_up");
  view.email_is_name = email_is_name();
  view.minimum_length = site_.password_policy.minimum_length();
  view.notice = notice_of(site_);
  response.body = pages_.sign_up(view);
  return response;
}

net::Response SignInPages::refuse_sign_in(const Call& call, ErrorCode code) const {
  net::Response plain = problem(code, call.request.id);
  if (!reads_pages(call.request, &call.route)) return plain;
  // 401 would want an authentication dialog; the form is the dialog.
  const int status = code == ErrorCode::kCredentials ? 422 : plain.status;
  SignInView view;
  view.problem = code;
  view.username = call.fields.get("username");
  net::Response form = sign_in_form(call, status, std::move(view));
  if (status == 503) form.set("Retry-After", "1");
  return form;
}

net::Response SignInPages::refuse_sign_up(const Call& call, ErrorCode code) const {
  if (code == ErrorCode::kSignUpClosed) return closed(call);
  net::Response plain = problem(code, call.request.id);
  const bool too_many = code == ErrorCode::kTooManyRequests;
  if (!reads_pages(call.request, &call.route)) {
    if (too_many) plain.set("Retry-After", "3600");
    return plain;
  }
  SignUpView view;
  view.problem = code;
  view.username = call.fields.get("username");
  view.email = call.fields.get("email");
  net::Response form = sign_up_form(call, plain.status, std::move(view));
  if (too_many) form.set("Retry-After", "3600");
  if (plain.status == 503) form.set("Retry-After", "1");
  return form;
}

net::Response SignInPages::closed(const Call& call) const {
  if (!reads_pages(call.request, &call.route)) {
    return problem(ErrorCode::kSignUpClosed, call.request.id);
  }
  return html(403, pages_.message({.heading = "Sign-up is closed",
                                   .text = "This server takes no new accounts. Ask whoever runs "
                                           "it to make one for you.",
                                   .link = "/users/sign_in",
                                   .link_text = "Sign in",
                                   .request_id = {}}));
}

net::Response SignInPages::refuse(const Call& call, ErrorCode code) const {
  return refusal(pages_, call.request, &call.route, code);
}

net::Awaitable<net::Response> SignInPages::show_sign_in(const Call& call) const {
  const Result<sessions::SessionCache::View> session =
      co_await find_session(site_, call.shard, std::string(call.session_cookie));
  if (!session) co_return refuse(call, session.code());
  if (*session != nullptr) co_return see_other("/");
  SignInView view;
  const bool cookie_of_the_dead = !call.session_cookie.empty();
  if (cookie_of_the_dead) view.notice = kSessionEnded;
  net::Response response = sign_in_form(call, 200, std::move(view));
  if (cookie_of_the_dead) {
    response.set("Set-Cookie",
                 delete_cookie(Cookie::kSession, site_.origin.facts().secure_cookies));
  }
  co_return response;
}

net::Awaitable<net::Response> SignInPages::sign_in(Call& call) const {
  if (!call.fields.has("username") || !call.fields.has("password")) {
    co_return refuse_sign_in(call, ErrorCode::kBadRequest);
  }
  accounts::SignInRequest typed;
  typed.name = call.fields.get("username");
  typed.password = call.fields.secret("password");
  typed.prefix = client_prefix(call.request, site_.options.throttle_ipv4_bits);
  typed.device_cookie =
      read_cookie(call.request, Cookie::kDevice, site_.origin.facts().secure_cookies);
  typed.request_id = call.request.id;
  Result<accounts::SignInAttempt> attempt = site_.sign_in.admit(std::move(typed));
  if (!attempt) co_return refuse_sign_in(call, attempt.code());

  auto begin = begin_session(call);
  const Result<Begun> begun = co_await run_steps<Begun>(site_, call.shard, site_.sign_in,
                                                        *std::move(attempt), std::move(begin));
  co_await wait_for_floor(site_, call.shard, site_.sign_in_floor, call.began);
  if (!begun) co_return refuse_sign_in(call, begun.code());
  co_return welcome(*begun);
}

net::Awaitable<net::Response> SignInPages::show_sign_up(const Call& call) const {
  if (!site_.sign_up.open()) co_return closed(call);
  const Result<sessions::SessionCache::View> session =
      co_await find_session(site_, call.shard, std::string(call.session_cookie));
  if (!session) co_return refuse(call, session.code());
  if (*session != nullptr) co_return see_other("/");
  co_return sign_up_form(call, 200, {});
}

net::Awaitable<net::Response> SignInPages::sign_up(Call& call) const {
  accounts::SignUpRequest typed;
  typed.user_name = call.fields.get("username");
  typed.email = call.fields.get("email");
  if (typed.user_name.empty() && email_is_name()) {
    // The address is the name that counts; the account still needs one of its own, and one made
    // from the address would show it to everybody.
    typed.user_name = "user-" + site_.random.token(9);
  }
  typed.password = call.fields.secret("password");
  typed.prefix = client_prefix(call.request, site_.options.throttle_ipv4_bits);
  typed.device_cookie =
      read_cookie(call.request, Cookie::kDevice, site_.origin.facts().secure_cookies);
  typed.request_id = call.request.id;
  Result<accounts::SignUpDraft> draft = site_.sign_up.admit(std::move(typed));
  if (!draft) co_return refuse_sign_up(call, draft.code());

  auto begin = [sign_in = begin_session(call), id = std::string(call.request.id)](
                   accounts::Authenticated person) -> Result<Begun> {
    Result<Begun> begun = sign_in(std::move(person));
    if (begun) return begun;
    // The account is made all the same: whoever made it can sign in when the store works again.
    base::log_warning("signed_up_without_session",
                      {{"request_id", id}, {"detail", begun.error().detail}});
    return Begun{};
  };
  const Result<Begun> begun = co_await run_steps<Begun>(site_, call.shard, site_.sign_up,
                                                        *std::move(draft), std::move(begin));
  co_await wait_for_floor(site_, call.shard, site_.sign_up_floor, call.began);
  if (!begun) co_return refuse_sign_up(call, begun.code());
  if (begun->session_cookie.empty()) co_return see_other("/users/sign_in");
  co_return welcome(*begun);
}

net::Awaitable<net::Response> SignInPages::sign_out(Call& call) const {
  // Browsers' forms know no DELETE: the Rails tutorial's link posts _method=delete instead.
  if (call.route.method == "POST" && call.fields.get("_method") != "delete") {
    co_return refuse(call, ErrorCode::kBadRequest);
  }
  if (!call.session_cookie.empty()) {
    auto end = [&site = site_, id = std::string(call.session_cookie)]() -> Result<bool> {
      const Result<sessions::SessionCache::View> view = site.sessions.resolve(id);
      if (view.ok()) return site.sessions.end((*view)->session.handle, "sign_out");
      if (view.code() == ErrorCode::kNotSignedIn) return false;
      return view.failure();
    };
    const Result<bool> ended = co_await net::offload(call.shard, site_.workers, std::move(end));
    // Not knowing whether the session has ended must not look like success.
    if (!ended) co_return refuse(call, ended.code());
  }
  net::Response response = see_other("/users/sign_in");
  forget_session(site_, response);
  co_return response;
}

}  // namespace countersign::web

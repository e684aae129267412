#include "web/account_pages.h"

#include <utility>

#include "web/answers.h"
#include "web/cookies.h"
#include "web/refusal.h"
#include "web/sign_in_pages.h"

namespace countersign::web {
namespace {

/// How long a password that was given counts as given just now.
constexpr std::chrono::minutes kFreshFor{15};

}  // namespace

bool AccountPages::is_fresh(const storage::SignInSession& session) const {
  return site_.clock.now() - session.authenticated <= kFreshFor;
}

net::Awaitable<net::Response> AccountPages::show_account(const Call& call) const {
  co_return co_await account_page(call, 200, std::nullopt, {}, call.session_cookie);
}

net::Awaitable<net::Response> AccountPages::account_page(const Call& call, int status,
                                                         std::optional<ErrorCode> shown,
                                                         std::string_view notice,
                                                         std::string_view cookie) const {
  auto list = [&site = site_, session = call.session] {
    return site.sessions.list(session->account);
  };
  Result<std::vector<storage::SignInSession>> sessions =
      co_await net::offload(call.shard, site_.workers, std::move(list));
  if (!sessions) co_return refusal(pages_, call.request, &call.route, sessions.code());
  AccountView view;
  view.notice = notice;
  view.problem = shown;
  view.account = &call.session->account;
  view.current = &call.session->session;
  view.sessions = *std::move(sessions);
  const bool just_proved = cookie != call.session_cookie;
  if (call.route.endpoint == Endpoint::kEndSession) view.refused_end = call.parameters[0];
  view.fresh = just_proved || is_fresh(call.session->session);
  view.minimum_length = site_.password_policy.minimum_length();
  view.tokens.session_cookie = cookie;
  co_return html(status, pages_.account(view));
}

net::Awaitable<net::Response> AccountPages::refuse(const Call& call, ErrorCode code,
                                                   std::string_view cookie) const {
  net::Response plain = problem(code, call.request.id);
  if (!reads_pages(call.request, &call.route)) co_return plain;
  const int status = code == ErrorCode::kCredentials ? 422 : plain.status;
  net::Response page = co_await account_page(call, status, code, {}, cookie);
  if (status == 503) page.set("Retry-After", "1");
  co_return page;
}

net::Awaitable<net::Response> AccountPages::refuse(const Call& call, ErrorCode code) const {
  return refuse(call, code, call.session_cookie);
}

net::Response AccountPages::sign_in_again() const {
  net::Response response = see_other("/users/sign_in");
  forget_session(site_, response);
  return response;
}

net::Awaitable<net::Response> AccountPages::change_password(Call& call) const {
  if (!call.fields.has("current_password") || !call.fields.has("new_password")) {
    co_return co_await refuse(call, ErrorCode::kBadRequest);
  }
  accounts::PasswordChangeRequest change;
  change.account = call.session->account;
  change.session = call.session->session.handle;
  change.current_password = call.fields.secret("current_password");
  change.new_password = call.fields.secret("new_password");
  change.prefix = client_prefix(call.request, site_.options.throttle_ipv4_bits);
  change.request_id = call.request.id;
  Result<accounts::PasswordChangeDraft> draft = site_.password_change.admit(std::move(change));
  if (!draft) co_return co_await refuse(call, draft.code());

  struct Changed {
    std::optional<std::string> session_cookie;  ///< none: the session ended meanwhile
    std::optional<std::string> device_cookie;
  };
  auto renew = [&site = site_,
                view = call.session](accounts::Authenticated person) -> Result<Changed> {
    site.sessions.forget_cached();
    Result<std::string> id = site.sessions.renew(*view);
    if (id) return Changed{*std::move(id), std::move(person.device_cookie)};
    if (id.code() != ErrorCode::kAbsent) return id.failure();
    return Changed{std::nullopt, std::move(person.device_cookie)};
  };
  const Result<Changed> changed = co_await run_steps<Changed>(
      site_, call.shard, site_.password_change, *std::move(draft), std::move(renew));
  co_await wait_for_floor(site_, call.shard, site_.sign_in_floor, call.began);
  if (!changed) co_return co_await refuse(call, changed.code());
  net::Response response = changed->session_cookie ? see_other("/users/account") : sign_in_again();
  if (changed->session_cookie) {
    give_cookie(site_, response, Cookie::kSession, *changed->session_cookie);
  }
  if (changed->device_cookie) {
    give_cookie(site_, response, Cookie::kDevice, *changed->device_cookie);
  }
  co_return response;
}

net::Awaitable<Result<std::string>> AccountPages::prove(Call& call) const {
  accounts::SignInRequest typed;
  typed.name = call.session->account.user_name;
  typed.password = call.fields.secret("password");
  typed.prefix = client_prefix(call.request, site_.options.throttle_ipv4_bits);
  typed.device_cookie =
      read_cookie(call.request, Cookie::kDevice, site_.origin.facts().secure_cookies);
  typed.wants_device = false;
  typed.request_id = call.request.id;
  Result<accounts::SignInAttempt> attempt = site_.sign_in.admit(std::move(typed));
  if (!attempt) co_return attempt.failure();
  auto renew = [&site = site_,
                view = call.session](accounts::Authenticated person) -> Result<std::string> {
    if (person.account.id != view->account.id) return fail(ErrorCode::kCredentials);
    return site.sessions.renew(*view);
  };
  Result<std::string> cookie = co_await run_steps<std::string>(
      site_, call.shard, site_.sign_in, *std::move(attempt), std::move(renew));
  co_await wait_for_floor(site_, call.shard, site_.sign_in_floor, call.began);
  co_return cookie;
}

net::Awaitable<net::Response> AccountPages::end_session(Call& call) const {
  std::optional<std::string> renewed;
  if (!is_fresh(call.session->session)) {
    Result<std::string> proof = co_await prove(call);
    if (!proof && proof.code() == ErrorCode::kAbsent) co_return sign_in_again();
    if (!proof) co_return co_await refuse(call, proof.code());
    renewed = *std::move(proof);
  }
  auto end = [&site = site_, account = call.session->account.id,
              handle = base::SessionHandle(std::string(call.parameters[0]))] {
    return site.sessions.end_own(account, handle);
  };
  const Result<void> ended = co_await net::offload(call.shard, site_.workers, std::move(end));
  net::Response response = see_other("/users/account");
  // Absent: it has ended already, which is what was wanted.
  if (!ended && ended.code() != ErrorCode::kAbsent) {
    response = co_await refuse(call, ended.code(), renewed ? *renewed : call.session_cookie);
  }
  // Whatever came of it, the browser's old id is dead.
  if (renewed) give_cookie(site_, response, Cookie::kSession, *renewed);
  co_return response;
}

net::Awaitable<net::Response> AccountPages::sign_out_everywhere(Call& call) const {
  auto sign_out = [&site = site_, view = call.session]() -> Result<std::size_t> {
    const std::vector<std::string> applications = {site.issuer.options().application_key};
    Result<std::size_t> ended =
        site.directory.sign_out(view->account.user_name, applications, "sign_out_everywhere");
    site.sessions.forget_cached();
    return ended;
  };
  const Result<std::size_t> ended =
      co_await net::offload(call.shard, site_.workers, std::move(sign_out));
  if (!ended) co_return co_await refuse(call, ended.code());
  co_return sign_in_again();
}

}  // namespace countersign::web

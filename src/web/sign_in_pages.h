// SignInPages: sign-up, sign-in and sign-out. Forms for people, the same addresses with JSON for
// programs.
//
// A failed sign-in looks the same whatever was wrong, and none of these doors answers before its
// floor. Success begins a session with a new id and answers 303.
// Thread-safety: every call may be made from any shard.
#ifndef COUNTERSIGN_WEB_SIGN_IN_PAGES_H_
#define COUNTERSIGN_WEB_SIGN_IN_PAGES_H_

#include <optional>
#include <string>

#include "web/call.h"
#include "web/cookies.h"
#include "web/pages.h"

namespace countersign::web {

class SignInPages {
 public:
  /// Both outlive this.
  SignInPages(const SiteContext& site, const Pages& pages) : site_(site), pages_(pages) {}

  /// The form; somebody who is signed in is sent to the client page.
  net::Awaitable<net::Response> show_sign_in(const Call& call) const;
  net::Awaitable<net::Response> sign_in(Call& call) const;
  net::Awaitable<net::Response> show_sign_up(const Call& call) const;
  net::Awaitable<net::Response> sign_up(Call& call) const;
  /// Ends the session of the cookie. Answers 303 whether or not there was one.
  net::Awaitable<net::Response> sign_out(Call& call) const;

 private:
  /// What a sign-in or sign-up leaves behind.
  struct Begun {
    std::string session_cookie;
    std::optional<std::string> device_cookie;
  };
  auto begin_session(const Call& call) const;
  net::Response welcome(const Begun& begun) const;

  net::Response sign_in_form(const Call& call, int status, SignInView view) const;
  net::Response sign_up_form(const Call& call, int status, SignUpView view) const;
  net::Response refuse_sign_in(const Call& call, ErrorCode code) const;
  net::Response refuse_sign_up(const Call& call, ErrorCode code) const;
  net::Response closed(const Call& call) const;
  net::Response refuse(const Call& call, ErrorCode code) const;
  bool email_is_name() const;

  const SiteContext& site_;
  const Pages& pages_;
};

/// Sets the cookie that form tokens are bound to before anybody has signed in, if the request has
/// none yet, and returns its value.
std::string ensure_pre_session(const SiteContext& site, const net::Request& request,
                               net::Response& response);

/// Deletes the session cookie and tells the browser to drop cached pages.
void forget_session(const SiteContext& site, net::Response& response);

/// Sets a cookie, unless browsers would not keep it (SiteOrigin::Facts::cookies_work).
void give_cookie(const SiteContext& site, net::Response& response, Cookie cookie,
                 std::string_view value);

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_SIGN_IN_PAGES_H_

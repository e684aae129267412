// AccountPages: what a signed-in person sees and does about the account: the list of sessions, the
// password.
// Thread-safety: every call may be made from any shard. `call.session` is set.
#ifndef COUNTERSIGN_WEB_ACCOUNT_PAGES_H_
#define COUNTERSIGN_WEB_ACCOUNT_PAGES_H_

#include <optional>
#include <string>

#include "web/call.h"
#include "web/pages.h"

namespace countersign::web {

class AccountPages {
 public:
  /// Both outlive this.
  AccountPages(const SiteContext& site, const Pages& pages) : site_(site), pages_(pages) {}

  net::Awaitable<net::Response> show_account(const Call& call) const;
  /// Fields current_password and new_password. The session gets a new id; all others end. If it has
  /// ended itself meanwhile, the password is changed all the same and the person signs in with it.
  net::Awaitable<net::Response> change_password(Call& call) const;
  /// Ends one of the person's own sessions. If the last proof is older than 15 minutes, the field
  /// `password` has to prove again who asks.
  net::Awaitable<net::Response> end_session(Call& call) const;
  net::Awaitable<net::Response> sign_out_everywhere(Call& call) const;

 private:
  bool is_fresh(const storage::SignInSession& session) const;
  net::Awaitable<net::Response> account_page(const Call& call, int status,
                                             std::optional<ErrorCode> problem,
                                             std::string_view notice,
                                             std::string_view cookie) const;
  /// @param cookie  the session's id in the browser once it has this answer; what the page's form
  ///                tokens hang on.
  net::Awaitable<net::Response> refuse(const Call& call, ErrorCode code,
                                       std::string_view cookie) const;
  net::Awaitable<net::Response> refuse(const Call& call, ErrorCode code) const;
  /// To the sign-in form, without the session's cookie.
  net::Response sign_in_again() const;
  /// Proves the password again and gives the session a new id, which is returned.
  net::Awaitable<Result<std::string>> prove(Call& call) const;

  const SiteContext& site_;
  const Pages& pages_;
};

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_ACCOUNT_PAGES_H_

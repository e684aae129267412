// Classic accounts: the SDK's own ways to sign up and to sign in with a password, over the accounts
// of this server.
//
// They are two more doors to the same accounts: the same checks, the same throttles under the same
// keys, the same answers whether or not somebody exists, no sooner than the same floor. The answer
// holds a ticket; no cookie is read or set.
// Thread-safety: every call may be made from any shard.
// Source: docs/reference/classic-door.md, "Accounts".
#ifndef COUNTERSIGN_WEB_CLASSIC_CLASSIC_ACCOUNTS_H_
#define COUNTERSIGN_WEB_CLASSIC_CLASSIC_ACCOUNTS_H_

#include <string>
#include <string_view>

#include "countersign/identity.h"
#include "countersign/result.h"

#include "base/secret_bytes.h"
#include "net/http_handler.h"
#include "web/routes.h"
#include "web/site_context.h"

namespace countersign::web::classic {

/// What `POST users` says.
struct SignUpBody {
  std::string user_name;  ///< empty: none was given
  std::string email;      ///< empty: none was given
  base::SecretBytes password;
};
/// kBadRequest for what is no such object; kNotAvailable for a telephone number.
Result<SignUpBody> read_sign_up(std::string_view body);
/// The password of `POST users/{type}/{value}/authentication`. kBadRequest.
Result<base::SecretBytes> read_sign_in(std::string_view body);

class ClassicAccounts {
 public:
  /// @param application  whose users have the accounts of this server.
  /// `site` outlives this.
  ClassicAccounts(const SiteContext& site, std::string application)
      : site_(site), application_(std::move(application)) {}

  const std::string& application() const { return application_; }
  net::Awaitable<net::Response> sign_up(const net::Request& request, net::Shard& shard) const;
  net::Awaitable<net::Response> sign_in(const net::Request& request, net::Shard& shard,
                                        const PathParameters& parameters) const;

 private:
  const SiteContext& site_;
  const std::string application_;
};

}  // namespace countersign::web::classic

#endif  // COUNTERSIGN_WEB_CLASSIC_CLASSIC_ACCOUNTS_H_

// What the site works with: references to the services behind it, and its few options. The
// composition root fills both.
// Thread-safety: everything referred to may be used from any thread and outlives the site.
#ifndef COUNTERSIGN_WEB_SITE_CONTEXT_H_
#define COUNTERSIGN_WEB_SITE_CONTEXT_H_

#include <functional>

#include "accounts/answer_floor.h"
#include "accounts/authenticator.h"
#include "accounts/directory.h"
#include "accounts/password_change.h"
#include "accounts/password_policy.h"
#include "accounts/password_pool.h"
#include "accounts/sign_up.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/worker_pool.h"
#include "issuing/issuer.h"
#include "sessions/session_service.h"
#include "web/site_origin.h"

namespace countersign::web {

class ServerApi;

struct SiteOptions {
  /// compat.query_credentials: POST /api/auth also takes user name and password from the query.
  bool query_credentials = false;
  /// accounts.throttle_ipv4_bits: how much of an IPv4 address throttles count by.
  int throttle_ipv4_bits = 32;
  /// What /readyz answers: success, or why not (the reason is logged, not shown). Must not block.
  std::function<Result<void>()> ready = [] { return Result<void>(); };
  /// Called after a request that may have ended sessions or instances. Must not block.
  std::function<void()> revoked = [] {};
};

struct SiteContext {
  SiteOptions options;
  const SiteOrigin& origin;
  // The doors. Each authenticator notes its work times in the floor beside it.
  accounts::Authenticator& sign_in;      ///< POST /users/sign_in
  accounts::AnswerFloor& sign_in_floor;  ///< also of the password change
  accounts::Authenticator& api_sign_in;  ///< POST /api/auth
  accounts::AnswerFloor& api_floor;
  accounts::SignUp& sign_up;
  accounts::AnswerFloor& sign_up_floor;
  accounts::PasswordChange& password_change;
  accounts::PasswordPool& password_pool;
  const accounts::PasswordPolicy& password_policy;
  accounts::Directory& directory;
  sessions::SessionService& sessions;
  issuing::Issuer& issuer;
  base::WorkerPool& workers;  ///< for calls that block on the store
  const base::Clock& clock;
  base::Random& random;
  ServerApi* server_api = nullptr;  ///< null: there is none
};

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_SITE_CONTEXT_H_

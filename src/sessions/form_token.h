// Form tokens: what a form carries to show that our own page made it.
//
// The token is HMAC(key of the secret, path). The secret is the session cookie's value or, before
// somebody is signed in, that of the pre-session cookie. It is good for that path only, dies with
// the secret, and needs no storage. Thread-safety: pure functions. Source: OWASP cross-site request
// forgery prevention (HMAC-based token pattern).
#ifndef COUNTERSIGN_SESSIONS_FORM_TOKEN_H_
#define COUNTERSIGN_SESSIONS_FORM_TOKEN_H_

#include <string>
#include <string_view>

#include "base/random.h"

namespace countersign::sessions {

/// The token for a form that posts to `path`. `secret` is a cookie's value.
std::string form_token(std::string_view secret, std::string_view path);
/// True if `token` is the token of this secret and path. Constant time. An empty secret has no
/// token.
bool verify_form_token(std::string_view secret, std::string_view path, std::string_view token);

/// A new value for the pre-session cookie: 32 random bytes, base64url.
std::string make_pre_session(base::Random& random);
/// True if the text can be such a value.
bool is_pre_session(std::string_view value);

}  // namespace countersign::sessions

#endif  // COUNTERSIGN_SESSIONS_FORM_TOKEN_H_

// Cookies: reading the ones we know, writing them, deleting them.
//
// The names carry `__Host-`, so that browsers take them from this host over a secure connection
// only, for the whole site, and no neighbouring host can plant one. (Browsers count
// http://localhost as secure.) Thread-safety: pure functions. Source: RFC 6265bis sections 4.1.3.2
// (prefixes) and 5.5.
#ifndef COUNTERSIGN_WEB_COOKIES_H_
#define COUNTERSIGN_WEB_COOKIES_H_

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_message.h"

namespace countersign::web {

enum class Cookie {
  kSession,     ///< the sign-in session's id
  kDevice,      ///< known-device tokens: the browser signed in here before
  kPreSession,  ///< what form tokens are bound to before anybody has signed in
};

/// `__Host-cs_session`, or `cs_session` without `secure`.
std::string_view cookie_name(Cookie cookie, bool secure);

/// The cookie's value; empty if it is absent, malformed, longer than 512 bytes, or sent more than
/// once: browsers' order is not to be trusted, so several are none.
std::string_view read_cookie(const net::Request& request, Cookie cookie, bool secure);

/// The value of a Set-Cookie header: HttpOnly, SameSite=Lax, Path=/, Secure if `secure`; without
/// `max_age` it goes with the browser session.
std::string set_cookie(Cookie cookie, std::string_view value, bool secure,
                       std::optional<std::chrono::seconds> max_age = std::nullopt);
/// The value of a Set-Cookie header that deletes it.
std::string delete_cookie(Cookie cookie, bool secure);

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_COOKIES_H_

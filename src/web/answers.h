// Answers: the forms that responses of the site have, and the headers that all of them carry.
// Thread-safety: pure functions.
// Source: RFC 9457 (problem details), RFC 9110, OWASP ASVS 5.0 section 3.4.
#ifndef COUNTERSIGN_WEB_ANSWERS_H_
#define COUNTERSIGN_WEB_ANSWERS_H_

#include <string>
#include <string_view>

#include "countersign/codes.h"

#include "net/http_message.h"
#include "web/routes.h"
#include "web/site_origin.h"

namespace countersign::web {

/// `{"type":"urn:countersign:error:NAME","title":…,"status":…,"code":…,"requestId":…}` with the
/// code's own status; with WWW-Authenticate on 401 and Retry-After on 503. Ticket faults and the
/// like show as what may leave the host (wire_code).
net::Response problem(ErrorCode code, std::string_view request_id);
/// The same under another status: /api/auth refuses with 403.
net::Response problem(ErrorCode code, int status, std::string_view request_id);
net::Response html(int status, std::string body);
net::Response json(int status, std::string body);
/// 303 to one of our own paths.
net::Response see_other(std::string_view path);

/// True if the answer is for a person: a form was posted or the page navigated to, and JSON is not
/// what was asked for.
bool wants_html(const net::Request& request);

/// True if the response has a header of this name, in the spelling we write.
bool has_header(const net::Response& response, std::string_view name);

/// Adds what every answer carries, errors too: the security headers, Cache-Control and Vary, and
/// what the route's CORS class allows the request's origin. `route` may be null.
void add_common_headers(net::Response& response, const net::Request* request, const Route* route,
                        const SiteOrigin& site);

/// Answers OPTIONS on a known path: Allow, and what a CORS preflight of a listed origin may do.
/// `route` is the one of the method the preflight asks about; may be null.
net::Response options_answer(const net::Request& request, const Route* route);

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_ANSWERS_H_

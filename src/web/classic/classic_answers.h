// Classic answers: the forms that the classic SDK understands, and no others.
//
// Whatever goes wrong must be a JSON object, and readable from any origin: the SDK's own error
// handler fails on anything else and its start() then never ends. REST errors are
// `{"errorCode":…,"message":…}`; those of the publish-subscribe plane have a truthy `error`. No
// cookie is read or set here, so any origin may read every answer.
// Thread-safety: pure functions.
// Source: docs/reference/classic-door.md, "Errors" and "Cross-origin"; Fetch section 3.2 (CORS).
#ifndef COUNTERSIGN_WEB_CLASSIC_CLASSIC_ANSWERS_H_
#define COUNTERSIGN_WEB_CLASSIC_CLASSIC_ANSWERS_H_

#include <chrono>
#include <string>
#include <string_view>

#include "countersign/codes.h"

#include "net/http_message.h"

namespace countersign::web::classic {

/// The documented `errorCode` that answers `code` under `status`: 40001 for parameters, 40100 to
/// 40108 for credentials, else the status followed by two zeros.
int rest_error_code(ErrorCode code, int status);

net::Response rest_answer(std::string body);
/// The wait of who was refused for a budget: these are by the second, and soon have room for one.
inline constexpr std::chrono::seconds kShortly{1};

/// The status is the code's own; with Retry-After (`again`) where trying again helps.
net::Response rest_error(ErrorCode code, std::string_view request_id,
                         std::chrono::seconds again = kShortly);

/// A complete answer of the plane.
net::Response plane_answer(std::string body);
/// @param service  the word of the plane that was asked for: `Publish`, `Subscribe`.
net::Response plane_error(ErrorCode code, std::string_view service);

/// 204 to OPTIONS: any origin may ask with the headers that the SDK sends.
net::Response preflight_answer();

/// Makes an answer to who is not known to be a classic client one that a classic client understands
/// too. `response` holds a problem document.
void add_classic_members(net::Response& response, ErrorCode code);

}  // namespace countersign::web::classic

#endif  // COUNTERSIGN_WEB_CLASSIC_CLASSIC_ANSWERS_H_

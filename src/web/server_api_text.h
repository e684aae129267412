// Server API text: what requests of the team's own backend say, and how they are answered.
// Thread-safety: pure functions. Source: docs/guides/server-api.md; RFC 3986 section 2.1; RFC 9457;
// docs/reference/ticket-format.md, "Signed requests" (errorCode).
#ifndef COUNTERSIGN_WEB_SERVER_API_TEXT_H_
#define COUNTERSIGN_WEB_SERVER_API_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "countersign/identity.h"
#include "countersign/result.h"

#include "net/http_message.h"
#include "web/routes.h"

namespace countersign::web {

/// A path segment, percent-decoded once: `a%2Fb` is the text `a/b`. kBadRequest for a broken escape
/// and for control characters. That it is UTF-8 is for those to check who know what it names.
Result<std::string> decode_path_segment(std::string_view segment);

/// The user that `{type}/{endpoint}` name. kBadRequest.
Result<Identity> read_path_user(const PathParameters& parameters);

/// A query as the API takes it: each name at most once, no other names.
struct ApiQuery {
  std::string after;        ///< where the page before ended; empty: from the start
  std::int64_t before = 0;  ///< a seq; 0: from the newest on
  std::size_t limit = 0;    ///< 0: the default
};
/// kBadRequest.
Result<ApiQuery> read_api_query(std::string_view query);

/// The problem document of web/answers.h with the two members that the documented replies of signed
/// requests have: `errorCode` (the status followed by two digits) and `message`.
net::Response api_problem(ErrorCode code, std::string_view request_id);
/// For a request whose signature was refused: 401 with 40100, 40101 or 40102; 503 if the memory of
/// seen signatures is full.
net::Response api_refused_signature(ErrorCode code, std::string_view request_id);
/// The answer that a gateway's reply `{"id":1,"VERB":{…}}` becomes: its object with 200, or its
/// error as a problem with the status of the code, with `users` and Retry-After.
net::Response answer_of_reply(const Result<std::string>& reply, std::string_view request_id);

}  // namespace countersign::web

#endif  // COUNTERSIGN_WEB_SERVER_API_TEXT_H_

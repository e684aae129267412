// Puts an answer into one flat buffer: status line, fields, body.
// Thread-safety: pure functions. Source: RFC 9112 sections 3 to 6.
#ifndef COUNTERSIGN_NET_RESPONSE_WRITER_H_
#define COUNTERSIGN_NET_RESPONSE_WRITER_H_

#include <string>
#include <string_view>

#include "net/http_message.h"

namespace countersign::net {

/// What the connection adds to an answer.
struct ResponseFrame {
  bool http11 = true;
  bool keep_alive = true;
  bool head_only = false;  ///< the request was HEAD
  std::string_view date;   ///< IMF-fixdate
  std::string_view request_id;
};

/// Bodies above this are not copied behind the head but sent by themselves.
inline constexpr std::size_t kFlatBodyBytes = 64 * 1024;

/// The reason phrase of a status, or an empty text.
std::string_view reason_phrase(int status);

/// Appends head and, unless it is larger than kFlatBodyBytes, body to `out`. False, and `out` as it
/// was, if a field holds a character that would break the head apart.
[[nodiscard]] bool append_response(std::string& out, const Response& response,
                                   const ResponseFrame& frame);

/// True if the body follows the head on the wire (not for HEAD, 1xx, 204, 304).
bool sends_body(const Response& response, const ResponseFrame& frame);

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_RESPONSE_WRITER_H_

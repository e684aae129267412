// HttpUrl: an http or https URL, read strictly: what an operator names as somebody to call.
//
// What a browser would repair is refused: blanks, backslashes, user names, fragments, numbers that
// are written as addresses in other bases. So nobody reads it otherwise than we do.
// Thread-safety: a value type. Source: RFC 3986.
#ifndef COUNTERSIGN_BASE_HTTP_URL_H_
#define COUNTERSIGN_BASE_HTTP_URL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace countersign::base {

struct HttpUrl {
  bool secure = false;     ///< https
  std::string host;        ///< lower case; an IPv6 address without its brackets
  std::uint16_t port = 0;  ///< as written, or the scheme's own
  std::string target;      ///< path with query, as it goes into the request; at least `/`
};

/// nullopt if the text is not such a URL, or has more than 2048 bytes.
std::optional<HttpUrl> parse_http_url(std::string_view text);

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_HTTP_URL_H_

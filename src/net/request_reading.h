// One request read by our parser from bytes cut into pieces, for tests and fuzz targets: what came
// out, and whether Beast agrees.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_NET_REQUEST_READING_H_
#define COUNTERSIGN_NET_REQUEST_READING_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/request_parser.h"

namespace countersign::net {

struct RequestReading {
  RequestParser::Progress progress = RequestParser::Progress::kMore;
  ErrorCode error = ErrorCode::kMalformedRequest;  ///< if kFailed
  std::string method, target, path, query;
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;
  bool keep_alive = false;
  bool chunked = false;
  std::size_t used = 0;  ///< bytes of the request, if kDone

  friend bool operator==(const RequestReading&, const RequestReading&) = default;
};

/// Feeds `bytes` in pieces whose sizes go round through `pieces`; in one piece if it is empty.
RequestReading read_request(std::string_view bytes, const std::vector<std::size_t>& pieces,
                            std::size_t max_header_bytes, std::size_t max_body_bytes);

/// What we accept Beast must accept and read alike. Empty if so, else what differs.
std::string disagreement_with_beast(std::string_view bytes, const RequestReading& ours);

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_REQUEST_READING_H_

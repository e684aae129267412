// Beast's readings of HTTP requests and WebSocket frames: the reference our own parser and codec
// are compared with in tests and fuzz targets. The server itself does not use Beast. Thread-safety:
// pure functions.
#ifndef COUNTERSIGN_NET_BEAST_REFERENCE_H_
#define COUNTERSIGN_NET_BEAST_REFERENCE_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace countersign::net {

struct BeastRequest {
  bool complete = false;
  bool failed = false;
  std::string error;  ///< of Beast, if failed
  std::string method;
  std::string target;
  std::vector<std::pair<std::string, std::string>> fields;  ///< names in lower case, no trailers
  std::string body;
  std::size_t used = 0;  ///< bytes of the request
  bool keep_alive = false;
};

/// Reads one request from the front of `bytes`.
BeastRequest read_request_with_beast(std::string_view bytes);

struct BeastFrames {
  std::vector<std::string> events;  ///< `text:…`, `ping:…`, `pong:…`, `close:CODE`
  bool failed = false;              ///< a protocol error ended it
  bool binary = false;              ///< a binary message, which we refuse, ended it
};

/// Reads frames as a server until the bytes, the rules or a close frame end it. Messages above
/// `max_message_bytes` are failures.
BeastFrames read_frames_with_beast(std::string_view bytes, std::size_t max_message_bytes);

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_BEAST_REFERENCE_H_

// RequestParser: HTTP/1.x requests from bytes, strictly. Pure: no socket, no clock.
//
// It reads less than the RFC allows and nothing the RFC forbids, because what two programs read
// differently is what request smuggling is made of: lines end with CRLF; no folded fields, no blank
// before the colon, no control characters; one Host; one Content-Length of digits, or one
// `Transfer-Encoding: chunked`, never both. The outcome does not depend on how the bytes are split.
// Whatever it accepts, Beast's parser reads the same way (request_parser_test.cc,
// fuzz/http_request.cc).
// Thread-safety: none. Source: RFC 9112; RFC 9110 sections 5, 7.2, 10.1.1.
#ifndef COUNTERSIGN_NET_REQUEST_PARSER_H_
#define COUNTERSIGN_NET_REQUEST_PARSER_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "net/http_message.h"

namespace countersign::net {

class RequestParser {
 public:
  enum class Progress {
    kMore,    ///< not complete; come again with more bytes
    kDone,    ///< the head, or the body, is complete
    kFailed,  ///< error() says why; the connection cannot be used further
  };
  static constexpr std::size_t kMaxFields = 100;
  static constexpr std::size_t kMaxChunkLineBytes = 256;  ///< size and extensions
  static constexpr std::size_t kMaxTrailerBytes = 4096;

  explicit RequestParser(std::size_t max_header_bytes) : max_header_bytes_(max_header_bytes) {}

  /// Forgets everything: the next byte begins a request.
  void reset();

  /// Looks for a whole head at the front of `bytes`: everything received since the request began,
  /// in one piece. On kDone the members of `request` up to `fields` point into `bytes`, where the
  /// field names have been put into lower case. Absolute-form targets are cut to origin form.
  Progress parse_head(std::span<char> bytes, Request& request);
  /// Length of the head, leading empty lines included. After kDone.
  std::size_t head_size() const { return scanned_; }

  bool http11() const { return http11_; }
  /// True if the connection may serve another request after this one.
  bool keep_alive() const { return keep_alive_; }
  /// True if the client waits for `100 Continue`.
  bool expects_continue() const { return expects_continue_; }
  bool chunked() const { return chunked_; }
  bool has_body() const { return chunked_ || content_length_ > 0; }
  std::uint64_t content_length() const { return content_length_; }
  /// Bytes of a body that is not chunked which are still to come.
  std::uint64_t remaining() const { return remaining_; }

  /// Feeds bytes that follow the head; appends content to `body`, at most `limit` bytes in all,
  /// else kBodyTooLarge. `consumed` counts what was used of `bytes`: all of them unless kDone.
  Progress parse_body(std::string_view bytes, std::size_t limit, std::string& body,
                      std::size_t& consumed);

  /// kMalformedRequest, kHeadersTooLarge or kBodyTooLarge. After kFailed.
  ErrorCode error() const { return error_; }

 private:
  enum class ChunkState : std::uint8_t {
    kSize,
    kExtension,
    kSizeEnd,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
  };

  Progress failed(ErrorCode code = ErrorCode::kMalformedRequest);
  bool read_request_line(std::string_view line, Request& request);
  bool read_field(std::span<char> line, Request& request);
  bool note_field(std::string_view name, std::string_view value);
  bool read_connection(std::string_view value);
  bool finish_head();
  Progress parse_chunked(std::string_view bytes, std::size_t limit, std::string& body,
                         std::size_t& consumed);

  std::size_t max_header_bytes_;
  std::size_t scanned_ = 0;  ///< whole lines of the head seen so far, in bytes
  std::size_t start_ = 0;    ///< where the request line begins, after empty lines
  bool in_fields_ = false;   ///< the request line has been seen

  std::string_view authority_;  ///< of an absolute-form target
  std::string_view host_;
  std::size_t hosts_ = 0;
  bool http11_ = false;
  bool keep_alive_ = false;
  bool close_seen_ = false;
  bool keep_alive_seen_ = false;
  bool expects_continue_ = false;
  bool chunked_ = false;
  bool length_seen_ = false;
  std::uint64_t content_length_ = 0;
  std::uint64_t remaining_ = 0;

  ChunkState chunk_state_ = ChunkState::kSize;
  bool chunk_digits_ = false;
  std::size_t chunk_line_ = 0;  ///< bytes of the present chunk line, or of the trailers
  ErrorCode error_ = ErrorCode::kMalformedRequest;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_REQUEST_PARSER_H_

#include "net/request_parser.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "net/text.h"

namespace countersign::net {
namespace {

enum CharClass : std::uint8_t { kToken = 1, kValue = 2, kTarget = 4, kHost = 8 };

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  for (std::size_t i = 0; i < 256; ++i) {
    const bool visible = i > 0x20 && i < 0x7f;
    const bool alnum = (i >= '0' && i <= '9') || (i >= 'A' && i <= 'Z') || (i >= 'a' && i <= 'z');
    std::uint8_t c = 0;
    if (i == '\t' || i == ' ' || visible || i >= 0x80) c |= kValue;
    if (visible && i != '#') c |= kTarget;
    if (alnum) c |= kToken | kHost;
    classes[i] = c;
  }
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) {
    classes[static_cast<std::uint8_t>(c)] |= kToken;
  }
  for (const char c : std::string_view("-._~%!$&'()*+;=:[]")) {
    classes[static_cast<std::uint8_t>(c)] |= kHost;
  }
  return classes;
}

constexpr auto kClasses = make_classes();

bool is(char c, CharClass wanted) { return (kClasses[static_cast<std::uint8_t>(c)] & wanted) != 0; }

bool all(std::string_view text, CharClass wanted) {
  for (const char c : text) {
    if (!is(c, wanted)) return false;
  }
  return true;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = to_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

constexpr std::size_t kMaxMethodBytes = 32;

}  // namespace

void RequestParser::reset() { *this = RequestParser(max_header_bytes_); }

RequestParser::Progress RequestParser::failed(ErrorCode code) {
  error_ = code;
  return Progress::kFailed;
}

RequestParser::Progress RequestParser::parse_head(std::span<char> bytes, Request& request) {
  // Find the end first, line by line, refusing what no well-formed head holds; the views are only
  // made once the head lies complete in its final place.
  bool complete = false;
  while (!complete) {
    const auto window = std::string_view(bytes.data(), bytes.size()).substr(0, max_header_bytes_);
    const auto end = window.find('\n', scanned_);
    const auto line = window.substr(scanned_, end - scanned_ + (end == window.npos ? 0 : 1));
    const bool folded = !line.empty() && (line.front() == ' ' || line.front() == '\t');
    const bool odd_start = !line.empty() && !is(line.front(), kToken) && line.front() != '\r';
    if (folded || odd_start) return failed();
    if (end == window.npos) {
      return window.size() == max_header_bytes_ ? failed(ErrorCode::kHeadersTooLarge)
                                                : Progress::kMore;
    }
    if (line.size() < 2 || line[line.size() - 2] != '\r') return failed();
    scanned_ = end + 1;
    if (line.size() > 2) {
      in_fields_ = true;
    } else if (in_fields_) {
      complete = true;
    } else {
      start_ = scanned_;  // empty lines before the request line (RFC 9112 section 2.2)
    }
  }

  request.fields.clear();
  bool first = true;
  std::size_t position = start_;
  for (;;) {
    const char* const from = bytes.data() + position;
    const auto* const lf = static_cast<const char*>(std::memchr(from, '\n', scanned_ - position));
    const auto size = static_cast<std::size_t>(lf - from) - 1;  // without CRLF
    if (size == 0) break;
    if (first) {
      if (!read_request_line(std::string_view(from, size), request)) return failed();
    } else {
      if (request.fields.size() == kMaxFields) return failed(ErrorCode::kHeadersTooLarge);
      if (!read_field(bytes.subspan(position, size), request)) return failed();
    }
    first = false;
    position += size + 2;
  }
  return finish_head() ? Progress::kDone : failed();
}

bool RequestParser::read_request_line(std::string_view line, Request& request) {
  const auto method_end = line.find(' ');
  if (method_end == line.npos || method_end == 0 || method_end > kMaxMethodBytes) return false;
  const auto target_end = line.find(' ', method_end + 1);
  if (target_end == line.npos) return false;
  request.method = line.substr(0, method_end);
  request.target = line.substr(method_end + 1, target_end - method_end - 1);
  const auto version = line.substr(target_end + 1);
  if (version == "HTTP/1.1") {
    http11_ = true;
  } else if (version != "HTTP/1.0") {
    return false;
  }
  if (!all(request.method, kToken) || !all(request.target, kTarget)) return false;

  if (!request.target.starts_with('/') && request.target != "*") {
    // Absolute form, as sent to proxies: http://host/path. What it names must be the Host too.
    const auto scheme_end = request.target.find("://");
    if (scheme_end == request.target.npos) return false;
    const auto scheme = request.target.substr(0, scheme_end);
    if (!equals_ignoring_case(scheme, "http") && !equals_ignoring_case(scheme, "https")) {
      return false;
    }
    const auto rest = request.target.substr(scheme_end + 3);
    const auto path = rest.find('/');
    if (path == rest.npos || path == 0) return false;
    authority_ = rest.substr(0, path);
    request.target = rest.substr(path);
  }
  if (request.target == "*" && request.method != "OPTIONS") return false;
  const auto question = request.target.find('?');
  request.path = request.target.substr(0, question);
  request.query =
      question == request.target.npos ? std::string_view() : request.target.substr(question + 1);
  return true;
}

bool RequestParser::read_field(std::span<char> line, Request& request) {
  std::size_t colon = 0;
  while (colon < line.size() && is(line[colon], kToken)) {
    line[colon] = to_lower(line[colon]);
    ++colon;
  }
  if (colon == 0 || colon == line.size() || line[colon] != ':') return false;
  const std::string_view name(line.data(), colon);
  const auto value = trim(std::string_view(line.data() + colon + 1, line.size() - colon - 1));
  if (!all(value, kValue)) return false;
  request.fields.push_back({name, value});
  return note_field(name, value);
}

bool RequestParser::note_field(std::string_view name, std::string_view value) {
  switch (name.size()) {
    case 4:
      if (name == "host") {
        host_ = value;
        ++hosts_;
      }
      return true;
    case 6:
      if (name != "expect") return true;
      if (!equals_ignoring_case(value, "100-continue")) return false;
      expects_continue_ = true;
      return true;
    case 10:
      if (name != "connection") return true;
      return read_connection(value);
    case 14:
      if (name != "content-length") return true;
      if (length_seen_ || value.empty() || value.size() > 18) return false;
      length_seen_ = true;
      for (const char c : value) {
        if (c < '0' || c > '9') return false;
        content_length_ = content_length_ * 10 + static_cast<std::uint64_t>(c - '0');
      }
      return true;
    case 17:
      if (name != "transfer-encoding") return true;
      if (chunked_ || !equals_ignoring_case(value, "chunked")) return false;
      chunked_ = true;
      return true;
    default:
      return true;
  }
}

bool RequestParser::read_connection(std::string_view value) {
  bool tokens = true;
  for_each_item(value, [&](std::string_view item) {
    tokens = tokens && all(item, kToken);
    if (equals_ignoring_case(item, "close")) close_seen_ = true;
    if (equals_ignoring_case(item, "keep-alive")) keep_alive_seen_ = true;
  });
  return tokens;
}

bool RequestParser::finish_head() {
  if (hosts_ > 1 || (http11_ && hosts_ == 0)) return false;
  if (hosts_ == 1 && (host_.empty() || !all(host_, kHost))) return false;
  if (!authority_.empty() && hosts_ == 1 && !equals_ignoring_case(authority_, host_)) return false;
  if (!all(authority_, kHost)) return false;
  if (chunked_ && (length_seen_ || !http11_)) return false;
  if (!http11_) expects_continue_ = false;
  keep_alive_ = !close_seen_ && (http11_ || keep_alive_seen_);
  remaining_ = content_length_;
  return true;
}

RequestParser::Progress RequestParser::parse_body(std::string_view bytes, std::size_t limit,
                                                  std::string& body, std::size_t& consumed) {
  consumed = 0;
  if (chunked_) return parse_chunked(bytes, limit, body, consumed);
  if (content_length_ > limit) return failed(ErrorCode::kBodyTooLarge);
  const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size()));
  body.append(bytes.substr(0, take));
  remaining_ -= take;
  consumed = take;
  return remaining_ == 0 ? Progress::kDone : Progress::kMore;
}

RequestParser::Progress RequestParser::parse_chunked(std::string_view bytes, std::size_t limit,
                                                     std::string& body, std::size_t& consumed) {
  std::size_t i = 0;
  while (i < bytes.size()) {
    if (chunk_state_ == ChunkState::kData) {
      const auto take =
          static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size() - i));
      body.append(bytes.substr(i, take));
      i += take;
      remaining_ -= take;
      if (remaining_ == 0) chunk_state_ = ChunkState::kDataCr;
      continue;
    }
    const char c = bytes[i++];
    switch (chunk_state_) {
      case ChunkState::kSize:
        if (++chunk_line_ > kMaxChunkLineBytes) return failed();
        if (const int digit = hex_digit(c); digit >= 0) {
          if (remaining_ >> 56 != 0) return failed();
          remaining_ = remaining_ * 16 + static_cast<std::uint64_t>(digit);
          chunk_digits_ = true;
        } else if (chunk_digits_ && c == ';') {
          chunk_state_ = ChunkState::kExtension;
        } else if (chunk_digits_ && c == '\r') {
          chunk_state_ = ChunkState::kSizeEnd;
        } else {
          return failed();
        }
        break;
      case ChunkState::kExtension:  // extensions mean nothing here
        if (++chunk_line_ > kMaxChunkLineBytes) return failed();
        if (c == '\r') {
          chunk_state_ = ChunkState::kSizeEnd;
        } else if (!is(c, kValue)) {
          return failed();
        }
        break;
      case ChunkState::kSizeEnd:
        if (c != '\n') return failed();
        chunk_line_ = 0;
        chunk_digits_ = false;
        if (remaining_ > limit || body.size() > limit - remaining_) {
          return failed(ErrorCode::kBodyTooLarge);
        }
        chunk_state_ = remaining_ == 0 ? ChunkState::kTrailerStart : ChunkState::kData;
        break;
      case ChunkState::kDataCr:
        if (c != '\r') return failed();
        chunk_state_ = ChunkState::kDataLf;
        break;
      case ChunkState::kDataLf:
        if (c != '\n') return failed();
        chunk_state_ = ChunkState::kSize;
        break;
      case ChunkState::kTrailerStart:
        if (c == '\r') {
          chunk_state_ = ChunkState::kEndLf;
          break;
        }
        if (!is(c, kToken)) return failed();
        chunk_state_ = ChunkState::kTrailerName;
        [[fallthrough]];
      case ChunkState::kTrailerName:  // trailers are checked for their form and dropped
        if (++chunk_line_ > kMaxTrailerBytes) return failed();
        if (c == ':') {
          chunk_state_ = ChunkState::kTrailerValue;
        } else if (!is(c, kToken)) {
          return failed();
        }
        break;
      case ChunkState::kTrailerValue:
        if (++chunk_line_ > kMaxTrailerBytes) return failed();
        if (c == '\r') {
          chunk_state_ = ChunkState::kTrailerLf;
        } else if (!is(c, kValue)) {
          return failed();
        }
        break;
      case ChunkState::kTrailerLf:
        if (c != '\n') return failed();
        chunk_state_ = ChunkState::kTrailerStart;
        break;
      case ChunkState::kEndLf:
        if (c != '\n') return failed();
        consumed = i;
        return Progress::kDone;
      case ChunkState::kData:
        break;  // served above
    }
  }
  consumed = i;
  return Progress::kMore;
}

}  // namespace countersign::net

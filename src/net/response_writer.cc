#include "net/response_writer.h"

#include <charconv>

namespace countersign::net {
namespace {

/// No control character but the tab. Written so that the compiler compares many bytes at once:
/// every header of every answer passes here.
#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("O3")))
#endif
bool is_clean(std::string_view text) {
  unsigned bad = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    bad |= static_cast<unsigned>(byte < 0x20) & static_cast<unsigned>(byte != 0x09);
    bad |= static_cast<unsigned>(byte == 0x7f);
  }
  return bad == 0;
}

void append_number(std::string& out, std::size_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, static_cast<std::size_t>(end - digits));
}

bool has_content(int status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 507:
      return "Insufficient Storage";
    default:
      return "";
  }
}

bool sends_body(const Response& response, const ResponseFrame& frame) {
  return !frame.head_only && has_content(response.status);
}

bool append_response(std::string& out, const Response& response, const ResponseFrame& frame) {
  const std::size_t start = out.size();
  out.append("HTTP/1.1 ");
  append_number(out, static_cast<std::size_t>(response.status));
  out.push_back(' ');
  out.append(reason_phrase(response.status));
  out.append("\r\n");
  out.append(response.fixed_headers);
  for (const auto& [name, value] : response.headers) {
    if (name.empty() || !is_clean(name) || !is_clean(value)) {
      out.resize(start);
      return false;
    }
    out.append(name);
    out.append(": ");
    out.append(value);
    out.append("\r\n");
  }
  if (has_content(response.status)) {
    out.append("content-length: ");
    append_number(out, response.body.size());
    out.append("\r\n");
  }
  out.append("date: ");
  out.append(frame.date);
  out.append("\r\nx-request-id: ");
  out.append(frame.request_id);
  if (response.status == 101) {
    // The connection field is the handshake's own.
  } else if (!frame.keep_alive) {
    out.append("\r\nconnection: close");
  } else if (!frame.http11) {
    out.append("\r\nconnection: keep-alive");
  }
  out.append("\r\n\r\n");
  if (sends_body(response, frame) && response.body.size() <= kFlatBodyBytes) {
    out.append(response.body);
  }
  return true;
}

}  // namespace countersign::net

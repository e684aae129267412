// Requests and responses as handlers see them. Hides Beast.
// Thread-safety: a request belongs to the coroutine that serves it.
#ifndef COUNTERSIGN_NET_HTTP_MESSAGE_H_
#define COUNTERSIGN_NET_HTTP_MESSAGE_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/address.h"

namespace countersign::net {

class HeldAnswer;

/// A whole request, body included. Views point into the connection's buffers and are valid until
/// the handler's coroutine ends. Source: RFC 9110, RFC 9112.
struct Request {
  struct Field {
    std::string_view name;   ///< lower case
    std::string_view value;  ///< without surrounding blanks
  };

  std::string_view method;  ///< as sent: GET, POST …
  std::string_view target;  ///< as sent, origin form
  std::string_view path;    ///< the target up to `?`, not decoded
  std::string_view query;   ///< what follows `?`, not decoded; empty if absent
  std::vector<Field> fields;
  std::string_view body;
  IpAddress peer;       ///< the other end of the connection
  IpAddress client;     ///< the peer, or what trusted proxies say (server.trusted_proxies)
  bool secure = false;  ///< TLS here, or at a trusted proxy
  std::string id;       ///< request id: for the log and the answer's x-request-id

  /// The first field of this lower-case name, or an empty view.
  std::string_view header(std::string_view lower_name) const;
  std::size_t count(std::string_view lower_name) const;
};

/// An answer. The connection adds Content-Length, Connection, Date and x-request-id.
struct Response {
  int status = 200;
  /// Header lines that are ready to be sent, each with its CRLF. Must outlive the server: what is
  /// the same on every answer is written once.
  std::string_view fixed_headers;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool close = false;  ///< end the connection after this answer
  /// Set: this is no answer yet, and nothing else here counts (net/held_answer.h).
  std::shared_ptr<HeldAnswer> held;

  void set(std::string name, std::string value) {
    headers.emplace_back(std::move(name), std::move(value));
  }
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_HTTP_MESSAGE_H_

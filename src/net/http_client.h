// HttpClient: posts to URLs that the operator's settings name, from threads of its own.
//
// A name is resolved anew for each connection, and the address that the connection is about to be
// opened to is the one that is judged: loopback, private, link-local (cloud metadata among them)
// and other special addresses are denied, unless the URL's host is named in
// `allowed_private_hosts`. So neither a name that resolves otherwise the second time nor a redirect
// (none is followed) leads inside. Proxies of the environment are not used.
//
// Thread-safety: post() from any thread; stop() from one.
// Source: RFC 9110; RFC 6890 (special addresses).
#ifndef COUNTERSIGN_NET_HTTP_CLIENT_H_
#define COUNTERSIGN_NET_HTTP_CLIENT_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/http_url.h"
#include "net/address.h"

namespace countersign::net {

struct HttpClientOptions {
  std::size_t threads = 8;
  std::size_t max_queue = 1'024;  ///< posts that wait for a thread
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds timeout{10'000};       ///< of the whole exchange
  std::size_t max_answer_bytes = 64 * 1024;        ///< of the body, which is ignored anyway
  std::vector<std::string> allowed_private_hosts;  ///< names and addresses, in lower case
  std::string ca_file;                             ///< PEM; empty: the system's
};

struct HttpPost {
  base::HttpUrl url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

struct HttpOutcome {
  int status = 0;  ///< 0: there was no answer
  /// Why not: `address_denied`, `not_resolved`, `not_connected`, `timeout`, `tls_failed`,
  /// `aborted`, `bad_answer`, `overloaded`, `stopping`.
  std::string failure;
  std::optional<std::chrono::seconds> retry_after;
};

class HttpClient {
 public:
  explicit HttpClient(HttpClientOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// `done` runs once, on a thread of the client, or at once if there is no room (`overloaded`).
  void post(HttpPost post, std::function<void(HttpOutcome)> done);
  /// Cuts what is under way off (`aborted`) and joins. Idempotent.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether an address belongs to the public Internet.
bool is_public_address(const IpAddress& address);

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_HTTP_CLIENT_H_

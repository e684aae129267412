// TlsContext: certificate, key and rules of our TLS connections.
//
// OpenSSL is driven directly rather than through asio::ssl, whose streams keep four buffers of 17
// kB a connection; here OpenSSL gives its buffers back while a connection is idle. Thread-safety:
// immutable after load(); new_session() from any thread. Source: RFC 8446, RFC 7301 (ALPN), RFC
// 9325 (recommendations).
#ifndef COUNTERSIGN_NET_TLS_CONTEXT_H_
#define COUNTERSIGN_NET_TLS_CONTEXT_H_

#include <memory>
#include <string>

#include "countersign/result.h"

struct ssl_st;
struct ssl_ctx_st;

namespace countersign::net {

struct SslDeleter {
  void operator()(ssl_st* ssl) const;
  void operator()(ssl_ctx_st* context) const;
};
/// One connection's TLS state; null for a plain connection.
using SslPtr = std::unique_ptr<ssl_st, SslDeleter>;

class TlsContext {
 public:
  /// Reads a PEM chain and its key. TLS 1.2 and 1.3, ALPN http/1.1, session tickets.
  /// kUnreadableFile; kBadCertificate if they are not PEM, encrypted, or do not belong together.
  static Result<std::shared_ptr<const TlsContext>> load(const std::string& certificate_file,
                                                        const std::string& key_file);

  /// A server-side session that reads and writes the non-blocking socket `fd`; null if OpenSSL has
  /// no memory.
  SslPtr new_session(int fd) const;

 private:
  explicit TlsContext(std::unique_ptr<ssl_ctx_st, SslDeleter> context);

  std::unique_ptr<ssl_ctx_st, SslDeleter> context_;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_TLS_CONTEXT_H_

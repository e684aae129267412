#include "net/stream.h"

#include <algorithm>
#include <cerrno>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

namespace countersign::net {
namespace {

Stream::Status plain_status(Stream::Status when_full) {
  const bool later = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  return later ? when_full : Stream::Status::kClosed;
}

/// OpenSSL takes sizes as int in places; one TLS record holds 16 kB anyway.
constexpr std::size_t kMaxTlsWrite = 64 * 1024;

}  // namespace

Stream::~Stream() { close(); }

Stream::Status Stream::ssl_status(int outcome) {
  switch (SSL_get_error(ssl_.get(), outcome)) {
    case SSL_ERROR_NONE:
      return Status::kOk;
    case SSL_ERROR_WANT_READ:
      return Status::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Status::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Status::kClosed;
    default:
      peer_spoke_http_ = ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
      ssl_usable_ = false;  // SSL_shutdown must not follow a fatal error
      ERR_clear_error();
      return Status::kClosed;
  }
}

Stream::Status Stream::handshake() {
  ERR_clear_error();
  const int outcome = SSL_accept(ssl_.get());
  if (outcome == 1) {
    ssl_usable_ = true;
    return Status::kOk;
  }
  return ssl_status(outcome);
}

Stream::Status Stream::read_some(std::span<char> into, std::size_t& got) {
  got = 0;
  if (ssl_) {
    ERR_clear_error();
    const int outcome = SSL_read_ex(ssl_.get(), into.data(), into.size(), &got);
    return outcome == 1 ? Status::kOk : ssl_status(outcome);
  }
  const auto count = ::recv(fd(), into.data(), into.size(), 0);
  if (count < 0) return plain_status(Status::kWantRead);
  got = static_cast<std::size_t>(count);
  return count == 0 ? Status::kClosed : Status::kOk;
}

Stream::Status Stream::write_all(std::string_view& rest) {
  while (!rest.empty()) {
    std::size_t sent = 0;
    if (ssl_) {
      ERR_clear_error();
      const int outcome =
          SSL_write_ex(ssl_.get(), rest.data(), std::min(rest.size(), kMaxTlsWrite), &sent);
      if (outcome != 1) return ssl_status(outcome);
    } else {
      const auto count = ::send(fd(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (count < 0) return plain_status(Status::kWantWrite);
      sent = static_cast<std::size_t>(count);
    }
    rest.remove_prefix(sent);
  }
  return Status::kOk;
}

void Stream::write_plain(std::string_view text) {
  // A short text into an empty send buffer: it fits, or the peer does without.
  [[maybe_unused]] const auto sent = ::send(fd(), text.data(), text.size(), MSG_NOSIGNAL);
}

Stream::Status Stream::discard_some(std::span<char> scratch, std::size_t& got) {
  got = 0;
  const auto count = ::recv(fd(), scratch.data(), scratch.size(), 0);
  if (count < 0) return plain_status(Status::kWantRead);
  got = static_cast<std::size_t>(count);
  return count == 0 ? Status::kClosed : Status::kOk;
}

bool Stream::has_pending() const { return ssl_ && SSL_pending(ssl_.get()) > 0; }

bool Stream::readable() const {
  if (has_pending()) return true;
  pollfd waiting{fd(), POLLIN, 0};
  return ::poll(&waiting, 1, 0) == 1;
}

void Stream::shutdown_send() {
  if (!socket_.is_open()) return;
  if (ssl_usable_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ssl_usable_ = false;
  }
  boost::system::error_code ignored;
  socket_.shutdown(TcpSocket::shutdown_send, ignored);
}

void Stream::close() {
  if (!socket_.is_open()) return;
  if (ssl_usable_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ssl_usable_ = false;
  }
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void Stream::cancel() {
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

}  // namespace countersign::net

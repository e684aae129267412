// Stream: a non-blocking TCP connection, plain or TLS, driven by readiness.
//
// Reads and writes are tried at once and say what to wait for when they cannot go on. An idle
// connection therefore owns no buffer: it waits for readability and then reads into memory of its
// shard. Plain and TLS share one type, so that sessions are compiled once.
// Thread-safety: none; a stream lives on one shard.
#ifndef COUNTERSIGN_NET_STREAM_H_
#define COUNTERSIGN_NET_STREAM_H_

#include <cstdint>
#include <span>
#include <string_view>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "net/tls_context.h"

namespace countersign::net {

using TcpSocket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

class Stream {
 public:
  enum class Status : std::uint8_t { kOk, kWantRead, kWantWrite, kClosed };

  /// `ssl` null: plain.
  Stream(TcpSocket socket, SslPtr ssl) : socket_(std::move(socket)), ssl_(std::move(ssl)) {}
  Stream(Stream&&) = default;
  ~Stream();

  bool tls() const { return ssl_ != nullptr; }
  /// Goes on with the TLS handshake; kOk once it is done.
  Status handshake();
  /// True if the handshake failed because the peer speaks plain HTTP.
  bool peer_spoke_http() const { return peer_spoke_http_; }
  /// Reads at least one byte into `into`, which is not empty; `got` says how many.
  Status read_some(std::span<char> into, std::size_t& got);
  /// Writes until all of `rest` is sent or the socket is full; removes what was sent.
  Status write_all(std::string_view& rest);
  /// Writes below TLS. For telling a plain HTTP client that this port is not for it.
  void write_plain(std::string_view text);
  /// Reads and drops bytes below TLS.
  Status discard_some(std::span<char> scratch, std::size_t& got);
  /// True if bytes wait inside TLS, where waiting for the socket would miss them.
  bool has_pending() const;
  /// True if bytes wait at the socket or inside TLS.
  bool readable() const;
  /// Says that nothing more will be sent (close_notify and FIN).
  void shutdown_send();
  void close();
  /// Ends waits on the socket with operation_aborted.
  void cancel();

  /// Waits until a read (kWantRead) or a write (kWantWrite) may go on.
  template <class Token>
  auto wait(Status status, Token&& token) {
    return socket_.async_wait(
        status == Status::kWantWrite ? TcpSocket::wait_write : TcpSocket::wait_read,
        std::forward<Token>(token));
  }

 private:
  int fd() const { return const_cast<TcpSocket&>(socket_).native_handle(); }
  Status ssl_status(int outcome);

  TcpSocket socket_;
  SslPtr ssl_;
  bool ssl_usable_ = false;  ///< the handshake is done and no fatal error has come
  bool peer_spoke_http_ = false;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_STREAM_H_

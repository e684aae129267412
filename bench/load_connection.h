// A small HTTP/1.1 and WebSocket client on non-blocking sockets, for the load driver: enough of
// both protocols for our own server on loopback, and cheap, so that the driver is not what is
// measured. Thread-safety: one thread.
#ifndef COUNTERSIGN_BENCH_LOAD_CONNECTION_H_
#define COUNTERSIGN_BENCH_LOAD_CONNECTION_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace countersign::bench {

using SteadyTime = std::chrono::steady_clock::time_point;

class LoadConnection {
 public:
  LoadConnection() = default;
  ~LoadConnection() { close(); }
  LoadConnection(LoadConnection&& other) noexcept;
  LoadConnection& operator=(LoadConnection&&) = delete;

  /// Connects to 127.0.0.1:`port` from 127.x.y.z made of `source` (0: any); registers with `epoll`
  /// under `tag`. Ends the program if it cannot.
  void open(std::uint16_t port, std::uint32_t source, int epoll, std::uint64_t tag);
  void close();
  bool is_open() const { return file_ >= 0; }

  /// Sends all of it; loopback takes a request of a few hundred bytes at once.
  void send(std::string_view bytes);
  /// Sends what the socket takes now; how many bytes that was. All, if the connection is gone:
  /// receive() will say so.
  std::size_t send_some(std::string_view bytes);
  /// Reads what has come. False: the server closed the connection.
  bool receive();

  /// The status of the first whole HTTP answer in the buffer, which is then dropped; 0 if it is not
  /// whole yet.
  int take_status();
  /// The payload of the first whole WebSocket text frame, which is then dropped; empty if none.
  std::string take_frame();

  SteadyTime due{};  ///< when the request under way was due; the driver's to use

 private:
  int file_ = -1;
  std::string buffer_;
};

/// The request for a WebSocket at the gateway.
std::string upgrade_request(std::uint16_t port);

/// A masked WebSocket text frame (RFC 6455 section 5.2), mask zero.
std::string text_frame(std::string_view payload);

/// Ends the program with a message if `good` is false.
void require(bool good, const char* what);

}  // namespace countersign::bench

#endif  // COUNTERSIGN_BENCH_LOAD_CONNECTION_H_

// A client of `countersign.v1.json` that sends and receives messages, for the message driver. It
// reads its own server's compact JSON by looking for names, which is all that a driver needs and
// costs next to nothing. Thread-safety: one thread.
#ifndef COUNTERSIGN_BENCH_MESSAGE_CLIENT_H_
#define COUNTERSIGN_BENCH_MESSAGE_CLIENT_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "load_connection.h"

namespace countersign::bench {

class MessageClient {
 public:
  /// What it hears. Times are for the driver to take.
  struct Listener {
    std::function<void(SteadyTime due)> accepted;        ///< a send was answered
    std::function<void(std::string_view text)> arrived;  ///< a message of somebody else
    std::function<void(int code)> refused;               ///< a command was answered with an error
  };

  void open(std::uint16_t port, std::uint32_t source, int epoll, std::uint64_t tag);
  /// The link ends without a word; the position stays.
  void drop() { link_.close(); }
  /// Sends `connect`, with the position if there is one.
  void connect(std::string_view ticket, std::string_view device);
  /// Sends a message that was due at `due`.
  void send(std::string_view user, std::string_view text, SteadyTime due);
  /// Acknowledges what has arrived since the last time, if anything has.
  void acknowledge();
  /// Reads what has come. False: the connection is gone.
  bool receive(const Listener& listener);

  /// Entries that came and were not acknowledged; 0 while it is not live.
  std::int64_t unacknowledged() const { return live_ ? offset_ - acknowledged_ : 0; }
  bool live() const { return live_; }
  /// The gateway recovered the position that was shown.
  bool recovered() const { return recovered_; }
  std::int64_t offset() const { return offset_; }
  std::int64_t top() const { return top_; }
  std::size_t waiting() const { return due_.size(); }

 private:
  void take(std::string_view object, const Listener& listener);
  void take_entries(std::string_view push, const Listener& listener);

  LoadConnection link_;
  std::unordered_map<std::uint32_t, SteadyTime> due_;
  std::uint32_t last_id_ = 0;
  std::uint64_t messages_ = 0;
  std::string name_;
  std::string epoch_;
  std::string chain_;
  std::int64_t offset_ = 0;
  std::int64_t acknowledged_ = 0;
  std::int64_t top_ = 0;
  bool upgraded_ = false;
  bool live_ = false;
  bool recovered_ = false;
};

}  // namespace countersign::bench

#endif  // COUNTERSIGN_BENCH_MESSAGE_CLIENT_H_

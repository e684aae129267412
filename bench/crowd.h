// A crowd of message clients on one epoll, for the message driver: it connects them, lets them send
// to each other, acknowledges for them as often as our SDK does, and keeps latencies from the
// moment a message was due. Thread-safety: one thread.
#ifndef COUNTERSIGN_BENCH_CROWD_H_
#define COUNTERSIGN_BENCH_CROWD_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/epoll.h>

#include "message_client.h"

namespace countersign::bench {

struct User {
  std::string name;
  std::string ticket;
};

/// The users of a file with lines `USER TICKET`. Ends the program if there are fewer than two.
std::vector<User> read_users(const char* path);
/// The ports of `1,2,…`.
std::vector<std::uint16_t> read_ports(std::string_view text);

/// A text of 100 bytes that says when its message was due.
std::string stamped(SteadyTime due);
double ms_since(SteadyTime time);

class Crowd {
 public:
  static constexpr std::size_t kUsualPartners = 8;

  /// One client for each user, spread over the ports.
  Crowd(std::vector<std::uint16_t> ports, std::vector<User> users);

  void open(std::size_t i);
  /// Connects everybody, so many at once; waits until all are in.
  void open_all(std::size_t at_once);
  /// Handles what comes until `until`, or until one event was handled.
  void poll(SteadyTime until);
  void watch_standard_input();
  /// Sends the n-th message, between two people who are far apart in the order of tickets; each has
  /// so many partners, or everybody if 0.
  void send(std::size_t n, SteadyTime due, std::size_t partners = kUsualPartners);
  /// Lets everybody send one message to each of their partners, and waits until all have come.
  void acquaint(std::size_t partners);
  /// People do not act in step with each other, but here all would begin to acknowledge at once:
  /// their next turns come one after the other, over one pause from `start` on.
  void spread_turns(SteadyTime start);

  std::size_t live() const;
  /// Messages that were refused, whatever the code.
  std::size_t refused_messages() const;
  std::vector<MessageClient>& clients() { return clients_; }
  const std::vector<User>& users() const { return users_; }

  std::vector<double> accepted;  ///< ms, of each message that was accepted
  std::vector<double> arrived;   ///< ms, of each that arrived
  std::map<int, std::size_t> refused;
  std::vector<std::size_t> lost;  ///< clients whose connection ended, once for each time
  bool ended = false;             ///< standard input has

 private:
  void acknowledge(std::size_t i);

  using Later = std::pair<SteadyTime, std::size_t>;

  /// What was sent before is another run's, and late.
  const SteadyTime began_ = std::chrono::steady_clock::now();
  std::vector<std::uint16_t> ports_;
  std::vector<User> users_;
  std::vector<MessageClient> clients_;
  int epoll_;
  MessageClient::Listener listener_;
  std::vector<SteadyTime> may_acknowledge_;
  std::vector<bool> waits_;  ///< stands in later_
  std::priority_queue<Later, std::vector<Later>, std::greater<>> later_;
  std::array<epoll_event, 512> events_{};
};

}  // namespace countersign::bench

#endif  // COUNTERSIGN_BENCH_CROWD_H_

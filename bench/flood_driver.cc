// Hostile connections: they flood a gateway until standard input ends, then print what they did.
//
//   flood_driver PORT TICKETS_FILE
//
// One connection for each ticket, each of an address and an identity of its own. By their number
// they say commands as fast as the socket takes them, show a frame of 64 KiB and one byte, or do
// nothing but connect, leave and come back; who is cut comes back at once. A line of the tickets
// file is `USER TICKET`.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <sys/epoll.h>
#include <unistd.h>

#include "crowd.h"

namespace countersign::bench {
namespace {

constexpr std::uint64_t kStandardInput = ~0ull;
constexpr std::size_t kTooLong = 65'537;  // bytes; limits.max_frame_bytes is 65,536
constexpr int kCommandsAtOnce = 64;

struct Counts {
  long connects = 0;
  long let_in = 0;
  long commands = 0;
  long refused = 0;
  long long_frames = 0;
  long cut = 0;  ///< connections that the server closed or said goodbye to
};

class Hostile {
 public:
  enum class Habit { kCommands, kLongFrames, kReconnects };

  Hostile(Habit habit, User user, std::string victim)
      : habit_(habit), user_(std::move(user)), victim_(std::move(victim)) {}

  void come(std::uint16_t port, int epoll, std::uint64_t tag, Counts& counts) {
    link_.open(port, static_cast<std::uint32_t>(0x020001 + tag * 256), epoll, tag);
    ++counts.connects;
    upgraded_ = in_ = shown_ = false;
    last_id_ = 1;
    pending_ =
        upgrade_request(port) +
        text_frame(R"({"id":1,"connect":{"caps":["messaging"],"device":"flood","userTicket":")" +
                   user_.ticket + "\"}}");
  }

  /// Reads what has come. False: the connection is over, cut or left.
  bool hear(Counts& counts) {
    if (!link_.receive()) {
      ++counts.cut;
      return false;
    }
    if (!upgraded_) {
      if (link_.take_status() != 101) return true;
      upgraded_ = true;
    }
    for (std::string frame = link_.take_frame(); !frame.empty(); frame = link_.take_frame()) {
      if (frame.front() != '{') {  // the server says goodbye
        ++counts.cut;
        return false;
      }
      for (auto at = frame.find("\"error\":"); at != std::string::npos;
           at = frame.find("\"error\":", at + 1))
        ++counts.refused;
      if (!in_ && frame.starts_with("{\"id\":1,\"connect\"")) {
        in_ = true;
        ++counts.let_in;
        if (habit_ == Habit::kReconnects) return false;
      }
    }
    return true;
  }

  /// Says what the socket takes. True if it took something.
  bool speak(Counts& counts) {
    if (pending_.empty() && in_) say_more(counts);
    if (pending_.empty()) return false;
    const std::size_t sent = link_.send_some(pending_);
    pending_.erase(0, sent);
    return sent > 0;
  }

 private:
  void say_more(Counts& counts) {
    if (habit_ == Habit::kLongFrames && !shown_) {
      shown_ = true;
      ++counts.long_frames;
      pending_ = text_frame(std::string(kTooLong, ' '));
    } else if (habit_ == Habit::kCommands) {
      for (int i = 0; i < kCommandsAtOnce; ++i) pending_ += text_frame(next_command());
      counts.commands += kCommandsAtOnce;
    }
  }

  std::string next_command() {
    const std::string id = std::to_string(++last_id_);
    const std::string to = R"("to":[{"type":"username","endpoint":")" + victim_ + "\"}]";
    switch (last_id_ % 4) {
      case 0:
        return "{\"id\":" + id + R"(,"send":{"msg_id":")" + user_.name + "-" +
               std::to_string(++messages_) + "\"," + to + R"(,"text":"flood"}})";
      case 1:
        return "{\"id\":" + id + R"(,"conversations":{"limit":100}})";
      case 2:
        return "{\"id\":" + id + ",\"typing\":{" + to + R"(,"state":"start"}})";
      default:
        return "{\"id\":" + id + R"(,"ack":{"epoch":"none","offset":4000000000}})";
    }
  }

  Habit habit_;
  User user_;
  std::string victim_;  ///< whom it writes to
  LoadConnection link_;
  std::string pending_;  ///< said, and not yet taken by the socket
  std::uint32_t last_id_ = 0;
  std::uint64_t messages_ = 0;
  bool upgraded_ = false;
  bool in_ = false;
  bool shown_ = false;  ///< its long frame
};

Counts flood(std::uint16_t port, std::vector<User> users) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event input{};
  input.events = EPOLLIN;
  input.data.u64 = kStandardInput;
  require(epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) == 0, "epoll_ctl");
  constexpr std::array kHabits{Hostile::Habit::kCommands, Hostile::Habit::kLongFrames,
                               Hostile::Habit::kReconnects};
  Counts counts;
  std::vector<Hostile> crowd;
  crowd.reserve(users.size());
  for (std::size_t i = 0; i < users.size(); ++i) {
    crowd.emplace_back(kHabits[i % kHabits.size()], users[i], users[(i + 1) % users.size()].name);
    crowd.back().come(port, epoll, i, counts);
  }
  for (std::array<epoll_event, 64> events{};;) {
    bool busy = false;
    for (Hostile& one : crowd) busy |= one.speak(counts);
    const int ready =
        epoll_wait(epoll, events.data(), static_cast<int>(events.size()), busy ? 0 : 1);
    for (int i = 0; i < ready; ++i) {
      const auto tag = events[static_cast<std::size_t>(i)].data.u64;
      if (tag == kStandardInput) return counts;
      if (!crowd[tag].hear(counts)) crowd[tag].come(port, epoll, tag, counts);
    }
  }
}

}  // namespace
}  // namespace countersign::bench

int main(int count, char** arguments) {
  using namespace countersign::bench;
  if (count != 3) {
    std::fprintf(stderr, "usage: see the head of bench/flood_driver.cc\n");
    return 2;
  }
  const auto began = std::chrono::steady_clock::now();
  const Counts counts = flood(read_ports(arguments[1]).front(), read_users(arguments[2]));
  std::printf(
      "{\"seconds\":%.3f,\"connects\":%ld,\"let_in\":%ld,\"commands\":%ld,\"refused\":%ld,\"long_"
      "frames\":%ld,\"cut\":%ld}\n",
      ms_since(began) / 1000, counts.connects, counts.let_in, counts.commands, counts.refused,
      counts.long_frames, counts.cut);
  return 0;
}

// The message driver: clients that talk to each other at a fixed rate, come back after an absence,
// or come back all at once. One mode a run; prints one JSON object.
//
//   message_driver rate PORTS TICKETS_FILE RATE SECONDS PARTNERS
//       one client for each ticket, spread over the ports (1,2,…), sends to its partners in turn at
//       the given rate of all together, whatever the answers do; latencies count from the moment a
//       message was due (no coordinated omission): to its acceptance, and to its arrival at the
//       recipient. Partners have talked before; 0: everybody writes to everybody, and nearly every
//       message is the first between two people
//   message_driver resume PORT TICKETS_FILE MESSAGES TIMES
//       the first client is away while the others send it so many messages, then comes back
//   message_driver storm PORTS TICKETS_FILE
//       all clients are connected, dropped, and come back at once
//   message_driver hold PORTS TICKETS_FILE RATE
//       connects all, prints a line, and lets them send at a rate (0: none) until standard input
//       ends
//
// Clients acknowledge as often as our SDK does (sdk/js/src/inbox.ts): at once, but no more than
// four times a second. A line of the tickets file is `USER TICKET`.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "message_client.h"

namespace countersign::bench {
namespace {

using std::chrono::duration;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kStandardInput = ~0ull;
constexpr auto kAcknowledgeEvery = milliseconds(250);
constexpr std::int64_t kAcknowledgeAt = 96;  // entries
constexpr std::size_t kUsualPartners = 8;

struct User {
  std::string name;
  std::string ticket;
};

std::vector<User> read_users(const char* path) {
  std::ifstream file(path);
  require(static_cast<bool>(file), path);
  std::vector<User> users;
  for (User user; file >> user.name >> user.ticket;) users.push_back(user);
  require(users.size() > 1, "at least two tickets");
  return users;
}

std::vector<std::uint16_t> read_ports(std::string_view text) {
  std::vector<std::uint16_t> ports;
  while (!text.empty()) {
    std::uint16_t port = 0;
    std::from_chars(text.data(), text.data() + text.size(), port);
    ports.push_back(port);
    text.remove_prefix(std::min(
        text.find(',') == std::string_view::npos ? text.size() : text.find(',') + 1, text.size()));
  }
  return ports;
}

double percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1,
                         static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

void print_latencies(const char* name, std::vector<double>& ms) {
  std::sort(ms.begin(), ms.end());
  std::printf(
      "\"%s\":{\"count\":%zu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f}",
      name, ms.size(), percentile(ms, 0.5), percentile(ms, 0.99), percentile(ms, 0.999),
      ms.empty() ? 0 : ms.back());
}

double ms_since(SteadyTime time) {
  return duration<double, std::milli>(steady_clock::now() - time).count();
}

/// A text of 100 bytes that says when its message was due.
std::string stamped(SteadyTime due) {
  std::string text = std::to_string(due.time_since_epoch().count());
  text.resize(100, '.');
  return text;
}

SteadyTime stamp_of(std::string_view text) {
  steady_clock::rep count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return SteadyTime(steady_clock::duration(count));
}

class Crowd {
 public:
  Crowd(std::vector<std::uint16_t> ports, std::vector<User> users)
      : ports_(std::move(ports)),
        users_(std::move(users)),
        clients_(users_.size()),
        epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    listener_.accepted = [this](SteadyTime due) { accepted.push_back(ms_since(due)); };
    listener_.arrived = [this](std::string_view text) {
      arrived.push_back(ms_since(stamp_of(text)));
    };
    listener_.refused = [this](int code) { ++refused[code]; };
    may_acknowledge_.resize(users_.size());
    waits_.resize(users_.size());
  }

  void open(std::size_t i) {
    clients_[i].open(ports_[i % ports_.size()],
                     static_cast<std::uint32_t>(0x010001 + i / 500 * 256), epoll_, i);
    clients_[i].connect(users_[i].ticket, users_[i].name);
  }
  /// Connects everybody, so many at once; waits until all are in.
  void open_all(std::size_t at_once) {
    const auto end = steady_clock::now() + seconds(120);
    std::size_t opened = 0;
    while (live() < clients_.size()) {
      while (opened < clients_.size() && opened < live() + at_once) open(opened++);
      poll(steady_clock::now() + milliseconds(2));
      require(steady_clock::now() < end, "not everybody was let in");
    }
  }
  /// Handles what comes until `until`, or until one event was handled.
  void poll(SteadyTime until) {
    if (!later_.empty()) until = std::min(until, later_.top().first);
    const auto left = std::max<nanoseconds::rep>(
        duration_cast<nanoseconds>(until - steady_clock::now()).count(), 0);
    const timespec time{left / 1'000'000'000, left % 1'000'000'000};
    const int ready =
        epoll_pwait2(epoll_, events_.data(), static_cast<int>(events_.size()), &time, nullptr);
    for (int i = 0; i < ready; ++i) {
      const auto tag = events_[static_cast<std::size_t>(i)].data.u64;
      if (tag == kStandardInput) {
        ended = true;
      } else if (!clients_[tag].receive(listener_)) {
        clients_[tag].drop();
        ++lost;
      } else {
        acknowledge(tag);
      }
    }
    for (const auto now = steady_clock::now(); !later_.empty() && later_.top().first <= now;) {
      const std::size_t i = later_.top().second;
      later_.pop();
      waits_[i] = false;
      acknowledge(i);
    }
  }
  void watch_standard_input() {
    epoll_event input{};
    input.events = EPOLLIN;
    input.data.u64 = kStandardInput;
    require(epoll_ctl(epoll_, EPOLL_CTL_ADD, STDIN_FILENO, &input) == 0, "epoll_ctl");
  }
  /// Sends the n-th message, between two people who are far apart in the order of tickets; each has
  /// so many partners, or everybody if 0.
  void send(std::size_t n, SteadyTime due, std::size_t partners = kUsualPartners) {
    const std::size_t from = n * 7919 % clients_.size();
    const std::size_t others = clients_.size() - 1;
    const std::size_t step =
        partners == 0 ? n * 104729 % others : n / clients_.size() % partners * 61 % others;
    const std::size_t to = (from + 1 + step) % clients_.size();
    clients_[from].send(users_[to].name, stamped(due), due);
  }

  /// People do not act in step with each other, but here all would begin to acknowledge at once:
  /// their next turns come one after the other, over one pause from `start` on.
  void spread_turns(SteadyTime start) {
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      may_acknowledge_[i] = start + nanoseconds(kAcknowledgeEvery) * i / clients_.size();
    }
  }

  std::size_t live() const {
    return static_cast<std::size_t>(std::count_if(
        clients_.begin(), clients_.end(), [](const auto& client) { return client.live(); }));
  }
  std::vector<MessageClient>& clients() { return clients_; }
  const std::vector<User>& users() const { return users_; }

  std::vector<double> accepted;
  std::vector<double> arrived;
  std::map<int, long> refused;
  long lost = 0;
  bool ended = false;

 private:
  void acknowledge(std::size_t i) {
    const std::int64_t entries = clients_[i].unacknowledged();
    if (entries == 0 || (waits_[i] && entries < kAcknowledgeAt)) return;
    const auto now = steady_clock::now();
    if (now < may_acknowledge_[i] && entries < kAcknowledgeAt) {
      waits_[i] = true;
      later_.emplace(may_acknowledge_[i], i);
      return;
    }
    may_acknowledge_[i] = now + kAcknowledgeEvery;
    clients_[i].acknowledge();
  }

  using Later = std::pair<SteadyTime, std::size_t>;

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

void print_trouble(const Crowd& crowd) {
  std::printf(",\"lost_connections\":%ld,\"refused\":{", crowd.lost);
  bool first = true;
  for (const auto& [code, count] : crowd.refused) {
    std::printf("%s\"%d\":%ld", first ? "" : ",", code, count);
    first = false;
  }
  std::printf("}}\n");
}

/// Lets everybody send one message to each of their partners, and waits until all have come.
void acquaint(Crowd& crowd, std::size_t partners) {
  const std::size_t total = crowd.clients().size() * partners;
  for (std::size_t n = 0; n < total || crowd.arrived.size() < total;) {
    require(crowd.refused.empty() && crowd.lost == 0, "a message was refused");
    if (n < total && n < crowd.arrived.size() + 64) {
      crowd.send(n++, steady_clock::now(), partners);
    } else {
      crowd.poll(steady_clock::now() + milliseconds(50));
    }
  }
  const auto rest = steady_clock::now() + milliseconds(500);
  while (steady_clock::now() < rest) crowd.poll(rest);
  crowd.accepted.clear();
  crowd.arrived.clear();
}

int run_rate(Crowd& crowd, double rate, double length, std::size_t partners) {
  prctl(PR_SET_TIMERSLACK, 1);
  crowd.open_all(64);
  acquaint(crowd, partners);
  const auto total = static_cast<std::size_t>(rate * length);
  const auto pause = duration<double>(1 / rate);
  const auto start = steady_clock::now() + milliseconds(200);
  crowd.spread_turns(start);
  const auto due_of = [&](std::size_t n) {
    return start + duration_cast<steady_clock::duration>(pause * static_cast<double>(n));
  };
  crowd.accepted.reserve(total);
  crowd.arrived.reserve(total);
  const auto give_up =
      start + duration_cast<steady_clock::duration>(duration<double>(length)) + seconds(20);
  std::size_t sent = 0;
  while (crowd.arrived.size() < total && steady_clock::now() < give_up) {
    while (sent < total && steady_clock::now() >= due_of(sent)) {
      crowd.send(sent, due_of(sent), partners);
      ++sent;
    }
    crowd.poll(sent < total ? due_of(sent) : steady_clock::now() + milliseconds(20));
  }
  std::printf("{\"sent\":%zu,", sent);
  print_latencies("accept", crowd.accepted);
  std::printf(",");
  print_latencies("end_to_end", crowd.arrived);
  print_trouble(crowd);
  return 0;
}

int run_resume(Crowd& crowd, std::size_t messages, std::size_t times) {
  crowd.open_all(64);
  std::vector<double> taken;
  auto& away = crowd.clients()[0];
  for (std::size_t round = 0; round < times; ++round) {
    away.drop();
    crowd.accepted.clear();
    for (std::size_t n = 0; n < messages || crowd.accepted.size() < messages;) {
      if (n < messages && n < crowd.accepted.size() + 256) {
        const auto from = 1 + n % (crowd.clients().size() - 1);
        crowd.clients()[from].send(crowd.users()[0].name, stamped(steady_clock::now()),
                                   steady_clock::now());
        ++n;
      } else {
        crowd.poll(steady_clock::now() + milliseconds(50));
      }
      require(crowd.refused.empty(), "a message was refused");
    }
    const auto before = away.offset();
    const auto began = steady_clock::now();
    crowd.open(0);
    while (away.offset() < before + static_cast<std::int64_t>(messages)) {
      crowd.poll(steady_clock::now() + milliseconds(50));
      require(ms_since(began) < 20'000, "the messages did not come");
    }
    taken.push_back(ms_since(began));
    require(away.recovered(), "the position was not recovered");
  }
  std::printf("{");
  print_latencies("resume", taken);
  print_trouble(crowd);
  return 0;
}

int run_storm(Crowd& crowd) {
  crowd.open_all(64);
  for (auto& client : crowd.clients()) client.drop();
  const auto began = steady_clock::now();
  crowd.lost = 0;
  // Who cannot be let in yet tries again, as every client does.
  std::size_t unrecovered = 0;
  for (std::size_t i = 0; i < crowd.clients().size(); ++i) {
    crowd.open(i);
    if (i % 64 == 0) crowd.poll(steady_clock::now());
  }
  while (crowd.live() < crowd.clients().size() && ms_since(began) < 120'000) {
    crowd.poll(steady_clock::now() + milliseconds(20));
  }
  for (const auto& client : crowd.clients()) unrecovered += client.recovered() ? 0U : 1U;
  std::printf("{\"clients\":%zu,\"live\":%zu,\"seconds\":%.3f,\"not_recovered\":%zu",
              crowd.clients().size(), crowd.live(), ms_since(began) / 1000, unrecovered);
  print_trouble(crowd);
  return 0;
}

int run_hold(Crowd& crowd, double rate) {
  crowd.open_all(64);
  crowd.watch_standard_input();
  std::printf("{\"connections\":%zu}\n", crowd.live());
  std::fflush(stdout);
  const auto start = steady_clock::now();
  std::size_t sent = 0;
  while (!crowd.ended) {
    const auto wanted = static_cast<std::size_t>(rate * ms_since(start) / 1000);
    for (; sent < wanted; ++sent) crowd.send(sent, steady_clock::now());
    crowd.poll(steady_clock::now() + milliseconds(rate > 0 ? 2 : 100));
    crowd.accepted.clear();
    crowd.arrived.clear();
  }
  return 0;
}

}  // namespace
}  // namespace countersign::bench

int main(int count, char** arguments) {
  using namespace countersign::bench;
  const std::vector<std::string> given(arguments + 1, arguments + count);
  const auto is = [&](const char* mode, std::size_t parameters) {
    return given.size() == parameters + 1 && given[0] == mode;
  };
  if (!is("rate", 5) && !is("resume", 4) && !is("storm", 2) && !is("hold", 3)) {
    std::fprintf(stderr, "usage: see the head of bench/message_driver.cc\n");
    return 2;
  }
  Crowd crowd(read_ports(given[1]), read_users(given[2].c_str()));
  if (given[0] == "rate") {
    return run_rate(crowd, std::stod(given[3]), std::stod(given[4]), std::stoul(given[5]));
  }
  if (given[0] == "resume") return run_resume(crowd, std::stoul(given[3]), std::stoul(given[4]));
  if (given[0] == "storm") return run_storm(crowd);
  return run_hold(crowd, std::stod(given[3]));
}

// The load driver: what Python is too slow for. One mode a run; prints one JSON object.
//
//   load_driver fixed-rate PORT REQUEST_FILE RATE SECONDS CONNECTIONS
//       sends the request at a fixed rate, whatever the answers do, and measures from the moment
//       each was due (no coordinated omission)
//   load_driver closed PORT REQUESTS_FILE SECONDS CONNECTIONS STATUS
//       sends the requests of the file in turn, each connection from an address of its own, the
//       next when the last is answered, after a second if that was 503; counts answers with STATUS
//   load_driver gateway PORT TICKETS_FILE CONNECTIONS
//       opens WebSockets, connects each with a ticket (a line of the file, in turn), prints when
//       all are in, and holds them, answering pings, until standard input ends
//
// Requests in files are whole HTTP requests, separated by a line `%%`.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "load_connection.h"

namespace countersign::bench {
namespace {

using std::chrono::duration;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kStandardInput = ~0ull;

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  require(static_cast<bool>(file), path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> split(const std::string& text, const std::string& by) {
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto end = std::min(text.find(by, at), text.size());
    if (end > at) parts.push_back(text.substr(at, end - at));
    at = end + by.size();
  }
  return parts;
}

double percentile(std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1,
                         static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

void print_latencies(std::vector<double>& ms, double seconds, const std::map<int, long>& statuses) {
  std::sort(ms.begin(), ms.end());
  std::printf(
      "{\"answers\":%zu,\"per_second\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f,"
      "\"statuses\":{",
      ms.size(), static_cast<double>(ms.size()) / seconds, percentile(ms, 0.5),
      percentile(ms, 0.99), ms.empty() ? 0 : ms.back());
  bool first = true;
  for (const auto& [status, count] : statuses) {
    std::printf("%s\"%d\":%ld", first ? "" : ",", status, count);
    first = false;
  }
  std::printf("}}\n");
}

/// Waits at most `limit`; none if that is in the past. Returns how many events there are.
int wait_for_events(int epoll, std::span<epoll_event> events, nanoseconds limit) {
  const auto whole = std::max<long>(limit.count(), 0);
  const timespec time{whole / 1'000'000'000, whole % 1'000'000'000};
  const int ready =
      epoll_pwait2(epoll, events.data(), static_cast<int>(events.size()), &time, nullptr);
  return std::max(ready, 0);
}

int fixed_rate(std::uint16_t port, const std::string& request, double rate, double seconds,
               std::size_t count) {
  prctl(PR_SET_TIMERSLACK, 1);  // what is late must be the server's doing
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<LoadConnection> connections(count);
  std::vector<std::size_t> idle;
  for (std::size_t i = 0; i < count; ++i) {
    connections[i].open(port, 0, epoll, i);
    idle.push_back(i);
  }
  const auto pause = nanoseconds(static_cast<long>(1e9 / rate));
  const auto total = static_cast<std::size_t>(rate * seconds);
  const auto start = steady_clock::now() + milliseconds(50);
  std::size_t sent = 0;
  std::vector<double> ms;
  std::map<int, long> statuses;
  std::array<epoll_event, 256> events;
  const auto give_up = start + duration_cast<nanoseconds>(duration<double>(seconds + 20));
  while (ms.size() < total && steady_clock::now() < give_up) {
    auto now = steady_clock::now();
    while (sent < total && !idle.empty() && now >= start + pause * static_cast<long>(sent)) {
      auto& connection = connections[idle.back()];
      idle.pop_back();
      connection.due = start + pause * static_cast<long>(sent);
      connection.send(request);
      ++sent;
    }
    // Sleeps until an answer is there or the next request is due, to the microsecond.
    const auto next = sent < total ? start + pause * static_cast<long>(sent) : give_up;
    const auto wait = idle.empty() ? give_up - steady_clock::now() : next - steady_clock::now();
    const int ready = wait_for_events(epoll, events, duration_cast<nanoseconds>(wait));
    for (int i = 0; i < ready; ++i) {
      const auto tag = events[static_cast<std::size_t>(i)].data.u64;
      auto& connection = connections[tag];
      require(connection.receive(), "the server closed a connection");
      if (const int status = connection.take_status(); status != 0) {
        ms.push_back(duration<double, std::milli>(steady_clock::now() - connection.due).count());
        ++statuses[status];
        idle.push_back(tag);
      }
    }
  }
  print_latencies(ms, seconds, statuses);
  return 0;
}

int closed(std::uint16_t port, const std::vector<std::string>& requests, double seconds,
           std::size_t count, int wanted) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<LoadConnection> connections(count);
  std::size_t next = 0;
  const auto send_next = [&](std::size_t i) {
    connections[i].due = steady_clock::now();
    connections[i].send(requests[next++ % requests.size()]);
  };
  for (std::size_t i = 0; i < count; ++i) {
    connections[i].open(port, static_cast<std::uint32_t>(0x010001 + i * 7), epoll, i);
  }
  // People do not act in step: each begins at a moment of its own, and rests about a second after
  // 503.
  std::multimap<SteadyTime, std::uint64_t> resting;
  const auto pause_of = [](std::uint64_t tag) {
    return milliseconds(700 + static_cast<long>(tag * 7919 % 600));
  };
  for (std::size_t i = 0; i < count; ++i) {
    resting.emplace(steady_clock::now() + milliseconds(static_cast<long>(i * 331 % 300)), i);
  }
  const auto start = steady_clock::now();
  const auto end = start + duration_cast<nanoseconds>(duration<double>(seconds));
  std::vector<double> ms;
  std::map<int, long> statuses;
  std::array<epoll_event, 256> events;
  while (steady_clock::now() < end) {
    while (!resting.empty() && resting.begin()->first <= steady_clock::now()) {
      send_next(resting.begin()->second);
      resting.erase(resting.begin());
    }
    const int ready = epoll_wait(epoll, events.data(), events.size(), 5);
    for (int i = 0; i < ready; ++i) {
      const auto tag = events[static_cast<std::size_t>(i)].data.u64;
      auto& connection = connections[tag];
      require(connection.receive(), "the server closed a connection");
      if (const int status = connection.take_status(); status != 0) {
        ++statuses[status];
        if (status == wanted) {
          ms.push_back(duration<double, std::milli>(steady_clock::now() - connection.due).count());
        }
        if (status == 503) {
          resting.emplace(steady_clock::now() + pause_of(tag), tag);
        } else {
          send_next(tag);
        }
      }
    }
  }
  print_latencies(ms, duration<double>(steady_clock::now() - start).count(), statuses);
  return 0;
}

int gateway(std::uint16_t port, const std::vector<std::string>& tickets, std::size_t count) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event input{};
  input.events = EPOLLIN;
  input.data.u64 = kStandardInput;
  require(epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input) == 0, "epoll_ctl");
  std::vector<LoadConnection> connections(count);
  std::vector<char> upgraded(count, 0);
  const std::string hello = upgrade_request(port);
  std::size_t opened = 0;
  std::size_t in = 0;
  bool told = false;
  std::array<epoll_event, 256> events;
  const auto start = steady_clock::now();
  for (;;) {
    while (opened < count && opened - in < 256) {
      connections[opened].open(port, static_cast<std::uint32_t>(0x020001 + opened / 64), epoll,
                               opened);
      connections[opened].send(hello);
      ++opened;
    }
    const int ready = epoll_wait(epoll, events.data(), events.size(), 1000);
    for (int i = 0; i < ready; ++i) {
      const auto tag = events[static_cast<std::size_t>(i)].data.u64;
      if (tag == kStandardInput) return 0;
      auto& connection = connections[tag];
      if (!connection.receive()) {
        std::fprintf(stderr, "load_driver: the server closed connection %zu of %zu\n",
                     static_cast<std::size_t>(tag), in);
        return 1;
      }
      if (upgraded[tag] == 0) {
        const int status = connection.take_status();
        if (status == 0) continue;
        require(status == 101, "the handshake was refused");
        upgraded[tag] = 1;
        connection.send(text_frame("{\"id\":1,\"connect\":{\"userTicket\":\"" +
                                   tickets[tag % tickets.size()] + "\",\"device\":\"d" +
                                   std::to_string(tag) + "\"}}"));
      }
      for (auto frame = connection.take_frame(); !frame.empty(); frame = connection.take_frame()) {
        if (frame == "{}") {
          connection.send(text_frame("{}"));
        } else if (frame.find("\"instance\"") != std::string::npos) {
          ++in;
        } else if (frame.find("\"error\"") != std::string::npos) {
          std::fprintf(stderr, "load_driver: %s\n", frame.c_str());
          return 1;
        }
      }
    }
    if (in == count && !told) {
      told = true;
      std::printf("{\"connections\":%zu,\"seconds\":%.2f}\n", in,
                  duration<double>(steady_clock::now() - start).count());
      std::fflush(stdout);
    }
  }
}

int run(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  const auto number = [&](int at) { return std::strtod(argv[at], nullptr); };
  const auto port = static_cast<std::uint16_t>(argc > 2 ? number(2) : 0);
  if (mode == "fixed-rate" && argc == 7) {
    return fixed_rate(port, split(read_file(argv[3]), "%%\n").at(0), number(4), number(5),
                      static_cast<std::size_t>(number(6)));
  }
  if (mode == "closed" && argc == 7) {
    return closed(port, split(read_file(argv[3]), "%%\n"), number(4),
                  static_cast<std::size_t>(number(5)), static_cast<int>(number(6)));
  }
  if (mode == "gateway" && argc == 5) {
    return gateway(port, split(read_file(argv[3]), "\n"), static_cast<std::size_t>(number(4)));
  }
  std::fprintf(stderr, "usage: see the head of bench/load_driver.cc\n");
  return 2;
}

}  // namespace
}  // namespace countersign::bench

int main(int argc, char** argv) { return countersign::bench::run(argc, argv); }

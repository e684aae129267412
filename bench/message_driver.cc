// The message driver: clients that talk to each other at a fixed rate, come back after an absence,
// or come back all at once. One mode a run; its last line is a JSON object.
//
//   message_driver rate PORTS TICKETS_FILE RATE SECONDS PARTNERS
//       one client for each ticket, spread over the ports (1,2,…), sends to its partners in turn at
//       the given rate of all together, whatever the answers do; latencies count from the moment a
//       message was due (no coordinated omission): to its acceptance, and to its arrival at the
//       recipient. A line says when this begins. Partners have talked before; 0: everybody writes
//       to everybody, and nearly every message is the first between two people
//   message_driver resume PORTS TICKETS_FILE MESSAGES TIMES
//       the first client is away while the others send it so many messages, then comes back
//   message_driver storm PORTS TICKETS_FILE
//       all clients are connected, dropped, and come back at once; who is turned away tries again
//   message_driver hold PORTS TICKETS_FILE RATE
//       connects all, prints a line, and lets them send at a rate (0: none) until standard input
//       ends; then prints how many were sent and arrived
//
// Clients acknowledge as often as our SDK does. A line of the tickets file is `USER TICKET`.
#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include <sys/prctl.h>

#include "crowd.h"

namespace countersign::bench {
namespace {

using std::chrono::duration;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

/// How often clients that talk at a rate look for what came. The driver shares the cores with the
/// server and goes before it: were it woken by each frame, the row would show that. What comes
/// meanwhile counts as having come when it is seen, up to so much too late.
constexpr microseconds kTurn(1000);

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

void print_trouble(const Crowd& crowd) {
  std::printf(",\"lost_connections\":%zu,\"refused\":{", crowd.lost.size());
  bool first = true;
  for (const auto& [code, count] : crowd.refused) {
    std::printf("%s\"%d\":%zu", first ? "" : ",", code, count);
    first = false;
  }
  std::printf("}}\n");
}

int run_rate(Crowd& crowd, double rate, double length, std::size_t partners) {
  prctl(PR_SET_TIMERSLACK, 1);
  crowd.open_all(64);
  crowd.acquaint(partners);
  std::printf("measuring\n");
  std::fflush(stdout);
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
      start + duration_cast<steady_clock::duration>(duration<double>(length)) + seconds(10);
  std::size_t sent = 0;
  while (crowd.arrived.size() + crowd.refused_messages() < total && steady_clock::now() < give_up) {
    const auto next_turn = steady_clock::now() + kTurn;
    while (sent < total && steady_clock::now() >= due_of(sent)) {
      crowd.send(sent, due_of(sent), partners);
      ++sent;
    }
    crowd.poll(steady_clock::now());
    std::this_thread::sleep_until(next_turn);
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
  crowd.lost.clear();
  for (std::size_t i = 0; i < crowd.clients().size(); ++i) {
    crowd.open(i);
    if (i % 64 == 0) crowd.poll(steady_clock::now());
  }
  // Who is turned away comes again a little later, as every client does.
  std::size_t again = 0;
  auto next = steady_clock::now() + milliseconds(250);
  while (crowd.live() < crowd.clients().size() && ms_since(began) < 120'000) {
    crowd.poll(steady_clock::now() + milliseconds(20));
    if (steady_clock::now() < next) continue;
    for (; again < crowd.lost.size(); ++again) crowd.open(crowd.lost[again]);
    next = steady_clock::now() + milliseconds(250);
  }
  const double taken = ms_since(began) / 1000;
  const auto unrecovered = std::count_if(crowd.clients().begin(), crowd.clients().end(),
                                         [](const auto& client) { return !client.recovered(); });
  std::printf("{\"clients\":%zu,\"live\":%zu,\"seconds\":%.3f,\"not_recovered\":%td",
              crowd.clients().size(), crowd.live(), taken, unrecovered);
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
  std::size_t arrived = 0;
  while (!crowd.ended) {
    const auto wanted = static_cast<std::size_t>(rate * ms_since(start) / 1000);
    for (; sent < wanted; ++sent) crowd.send(sent, steady_clock::now());
    crowd.poll(steady_clock::now() + milliseconds(rate > 0 ? 2 : 100));
    arrived += crowd.arrived.size();
    crowd.accepted.clear();
    crowd.arrived.clear();
  }
  std::printf("{\"sent\":%zu,\"arrived\":%zu", sent, arrived);
  print_trouble(crowd);
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

#include "crowd.h"

#include <algorithm>
#include <charconv>
#include <fstream>

#include <unistd.h>

namespace countersign::bench {
namespace {

using std::chrono::duration;
using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kStandardInput = ~0ull;
// As sdk/js/src/inbox.ts: at once, but no more than four times a second.
constexpr auto kAcknowledgeEvery = milliseconds(250);
constexpr std::int64_t kAcknowledgeAt = 96;  // entries

SteadyTime stamp_of(std::string_view text) {
  steady_clock::rep count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return SteadyTime(steady_clock::duration(count));
}

}  // namespace

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
    const auto comma = std::min(text.find(','), text.size());
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return ports;
}

std::string stamped(SteadyTime due) {
  std::string text = std::to_string(due.time_since_epoch().count());
  text.resize(100, '.');
  return text;
}

double ms_since(SteadyTime time) {
  return duration<double, std::milli>(steady_clock::now() - time).count();
}

Crowd::Crowd(std::vector<std::uint16_t> ports, std::vector<User> users)
    : ports_(std::move(ports)),
      users_(std::move(users)),
      clients_(users_.size()),
      epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  listener_.accepted = [this](SteadyTime due) { accepted.push_back(ms_since(due)); };
  listener_.arrived = [this](std::string_view text) {
    const SteadyTime due = stamp_of(text);
    if (due >= began_) arrived.push_back(ms_since(due));
  };
  listener_.refused = [this](int code) { ++refused[code]; };
  may_acknowledge_.resize(users_.size());
  waits_.resize(users_.size());
}

void Crowd::open(std::size_t i) {
  clients_[i].open(ports_[i % ports_.size()], static_cast<std::uint32_t>(0x010001 + i / 500 * 256),
                   epoll_, i);
  clients_[i].connect(users_[i].ticket, users_[i].name);
}

void Crowd::open_all(std::size_t at_once) {
  const auto end = steady_clock::now() + seconds(120);
  std::size_t opened = 0;
  for (std::size_t in = 0; in < clients_.size(); in = live()) {
    while (opened < clients_.size() && opened < in + at_once) open(opened++);
    poll(steady_clock::now() + milliseconds(2));
    require(lost.empty() && refused.empty() && steady_clock::now() < end,
            "not everybody was let in");
  }
}

void Crowd::poll(SteadyTime until) {
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
      lost.push_back(tag);
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

void Crowd::watch_standard_input() {
  epoll_event input{};
  input.events = EPOLLIN;
  input.data.u64 = kStandardInput;
  require(epoll_ctl(epoll_, EPOLL_CTL_ADD, STDIN_FILENO, &input) == 0, "epoll_ctl");
}

void Crowd::send(std::size_t n, SteadyTime due, std::size_t partners) {
  const std::size_t from = n * 7919 % clients_.size();
  const std::size_t others = clients_.size() - 1;
  const std::size_t step =
      partners == 0 ? n * 104729 % others : n / clients_.size() % partners * 61 % others;
  const std::size_t to = (from + 1 + step) % clients_.size();
  clients_[from].send(users_[to].name, stamped(due), due);
}

void Crowd::acquaint(std::size_t partners) {
  const std::size_t total = clients_.size() * partners;
  const auto end = steady_clock::now() + seconds(60);
  // A server that has just been given too much may refuse some; so few may stay strangers.
  const auto done = [&] { return arrived.size() + refused_messages(); };
  for (std::size_t n = 0; n < total || done() < total;) {
    require(lost.empty() && steady_clock::now() < end, "people could not be made acquainted");
    if (n < total && n < done() + 64) {
      send(n++, steady_clock::now(), partners);
    } else {
      poll(steady_clock::now() + milliseconds(50));
    }
  }
  const auto rest = steady_clock::now() + milliseconds(500);
  while (steady_clock::now() < rest) poll(rest);
  refused.clear();
  accepted.clear();
  arrived.clear();
}

void Crowd::spread_turns(SteadyTime start) {
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    may_acknowledge_[i] = start + nanoseconds(kAcknowledgeEvery) * i / clients_.size();
  }
}

std::size_t Crowd::live() const {
  return static_cast<std::size_t>(std::count_if(clients_.begin(), clients_.end(),
                                                [](const auto& client) { return client.live(); }));
}

std::size_t Crowd::refused_messages() const {
  std::size_t all = 0;
  for (const auto& [code, count] : refused) all += count;
  return all;
}

void Crowd::acknowledge(std::size_t i) {
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

}  // namespace countersign::bench

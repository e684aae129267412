#include "net/listener.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/log.h"

namespace countersign::net {
namespace {

constexpr int kBacklog = 4096;
/// How long accepting rests when there are no file descriptors left.
constexpr int kPauseMs = 100;
constexpr int kFreePortAttempts = 16;

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;
  bool is_v4 = true;

  sockaddr* address() { return reinterpret_cast<sockaddr*>(&storage); }
};

Endpoint endpoint_of(const IpAddress& address) {
  Endpoint endpoint;
  endpoint.is_v4 = address.is_v4;
  if (address.is_v4) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(endpoint.storage);
    v4.sin_family = AF_INET;
    std::memcpy(&v4.sin_addr, address.bytes.data(), 4);
    endpoint.size = sizeof v4;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(endpoint.storage);
    v6.sin6_family = AF_INET6;
    std::memcpy(&v6.sin6_addr, address.bytes.data(), 16);
    endpoint.size = sizeof v6;
  }
  return endpoint;
}

void set_port(Endpoint& endpoint, std::uint16_t port) {
  if (endpoint.is_v4) {
    reinterpret_cast<sockaddr_in&>(endpoint.storage).sin_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in6&>(endpoint.storage).sin6_port = htons(port);
  }
}

std::uint16_t port_of(Endpoint& endpoint) {
  return ntohs(endpoint.is_v4 ? reinterpret_cast<sockaddr_in&>(endpoint.storage).sin_port
                              : reinterpret_cast<sockaddr_in6&>(endpoint.storage).sin6_port);
}

IpAddress address_of(Endpoint& endpoint) {
  IpAddress address;
  if (endpoint.storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<sockaddr_in&>(endpoint.storage);
    std::memcpy(address.bytes.data(), &v4.sin_addr, 4);
    return address;
  }
  const auto& v6 = reinterpret_cast<sockaddr_in6&>(endpoint.storage);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    std::memcpy(address.bytes.data(), &v6.sin6_addr.s6_addr[12], 4);
    return address;
  }
  address.is_v4 = false;
  std::memcpy(address.bytes.data(), &v6.sin6_addr, 16);
  return address;
}

Result<std::vector<Endpoint>> resolve(const std::string& host) {
  if (host == "localhost") {
    return std::vector<Endpoint>{endpoint_of(*IpAddress::parse("127.0.0.1")),
                                 endpoint_of(*IpAddress::parse("::1"))};
  }
  if (const auto address = IpAddress::parse(host)) {
    return std::vector<Endpoint>{endpoint_of(*address)};
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (failure != 0) {
    return fail(ErrorCode::kBadSetting,
                "server.listen: cannot resolve '" + host + "': " + gai_strerror(failure));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  std::vector<Endpoint> endpoints;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
    Endpoint endpoint;
    std::memcpy(&endpoint.storage, at->ai_addr, at->ai_addrlen);
    endpoint.size = at->ai_addrlen;
    endpoint.is_v4 = at->ai_family == AF_INET;
    endpoints.push_back(endpoint);
  }
  return endpoints;
}

void set_option(int fd, int level, int option, int value) {
  ::setsockopt(fd, level, option, &value, sizeof value);
}

/// Binds and listens, and notes the port that was given. Returns errno.
int listen_at(Endpoint& endpoint, UniqueFd& out) {
  UniqueFd fd(
      ::socket(endpoint.is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  // Lets a restart bind although old connections linger in TIME_WAIT; a port that somebody listens
  // on stays refused.
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (!endpoint.is_v4) {
    const auto address = address_of(endpoint);
    const bool any = std::all_of(address.bytes.begin(), address.bytes.end(),
                                 [](std::uint8_t byte) { return byte == 0; });
    set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, any ? 0 : 1);
  }
  // Accepted sockets inherit these, which saves five system calls a connection. Peers that vanish
  // are noticed within two minutes when idle, 30 s when something waits for them.
  set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set_option(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set_option(fd.get(), IPPROTO_TCP, TCP_KEEPCNT, 4);
  set_option(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, 30'000);
  if (::bind(fd.get(), endpoint.address(), endpoint.size) != 0) return errno;
  if (::listen(fd.get(), kBacklog) != 0) return errno;
  socklen_t size = sizeof endpoint.storage;
  if (::getsockname(fd.get(), endpoint.address(), &size) != 0) return errno;
  out = std::move(fd);
  return 0;
}

}  // namespace

Result<void> Listener::open(const std::string& host, std::uint16_t port) {
  auto endpoints = resolve(host);
  if (!endpoints) return endpoints.failure();
  const std::string where = host + ":" + std::to_string(port);

  wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_) return fail(ErrorCode::kInternal, std::string("eventfd: ") + std::strerror(errno));

  // With port 0 the first endpoint chooses; another may find that port taken, then all try again.
  int error = 0;
  for (int attempt = 0; attempt < (port == 0 ? kFreePortAttempts : 1); ++attempt) {
    sockets_.clear();
    port_ = port;
    error = 0;
    for (auto& endpoint : *endpoints) {
      set_port(endpoint, port_);
      Socket socket;
      socket.is_v4 = endpoint.is_v4;
      const int failure = listen_at(endpoint, socket.fd);
      if (failure == 0) {
        port_ = port_of(endpoint);
        sockets_.push_back(std::move(socket));
        continue;
      }
      const bool family_absent = failure == EADDRNOTAVAIL || failure == EAFNOSUPPORT;
      if (family_absent && endpoints->size() > 1) continue;  // no IPv6 here, say
      error = failure;
      break;
    }
    if (error != EADDRINUSE) break;
  }
  if (error == 0 && sockets_.empty()) error = EADDRNOTAVAIL;
  if (error == 0) return {};
  sockets_.clear();
  if (error == EADDRINUSE) {
    return fail(ErrorCode::kAddressInUse, where + " is in use by another program");
  }
  return fail(ErrorCode::kBadSetting,
              "server.listen: cannot listen on " + where + ": " + std::strerror(error));
}

Result<void> Listener::open_another(const std::string& host, std::uint16_t port) {
  Listener other(nullptr, failures_);
  if (auto opened = other.open(host, port); !opened) return opened;
  for (Socket& socket : other.sockets_) sockets_.push_back(std::move(socket));
  other.sockets_.clear();
  return {};
}

void Listener::start() {
  thread_ = std::thread([this] { run(); });
}

void Listener::close() {
  if (thread_.joinable()) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
    thread_.join();
  }
  sockets_.clear();
}

void Listener::run() {
  pthread_setname_np(pthread_self(), "acceptor");
  std::vector<pollfd> polled;
  for (const auto& socket : sockets_) polled.push_back({socket.fd.get(), POLLIN, 0});
  polled.push_back({wake_.get(), POLLIN, 0});
  for (bool ending = false; !ending;) {
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) {
      base::log_error("accept_poll_failed", {{"error", std::strerror(errno)}});
      return;
    }
    ending = (polled.back().revents & POLLIN) != 0;
    bool pause = false;
    for (const auto& socket : sockets_) {
      pause = accept_all(socket) == Outcome::kShortOfFiles || pause;
    }
    // Level-triggered: without a rest this would spin until a descriptor is free.
    if (pause && !ending) ::poll(&polled.back(), 1, kPauseMs);
  }
}

Listener::Outcome Listener::accept_all(const Socket& socket) {
  for (;;) {
    Endpoint peer;
    peer.size = sizeof peer.storage;
    UniqueFd fd(
        ::accept4(socket.fd.get(), peer.address(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
      short_of_files_ = false;
      accept_(std::move(fd), socket.is_v4, address_of(peer));
      continue;
    }
    switch (errno) {
      case EAGAIN:
        return Outcome::kEmpty;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        failures_.add();
        if (!std::exchange(short_of_files_, true)) {
          base::log_error("accept_paused", {{"error", std::strerror(errno)}});
        }
        return Outcome::kShortOfFiles;
      default:
        break;  // that one connection failed before it began (accept(2)); on to the next
    }
  }
}

}  // namespace countersign::net

#include "storage/postgres/testing/proxy.h"

#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace countersign::storage::postgres {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// Passes what can be read on. False: the end.
bool pass_on(int from, int to, const Proxy::Hook& hook) {
  char buffer[65536];
  const ssize_t size = ::recv(from, buffer, sizeof buffer, 0);
  if (size <= 0) return false;
  std::string bytes(buffer, static_cast<std::size_t>(size));
  if (hook && !hook(bytes)) return false;
  return ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

}  // namespace

Proxy::Proxy(int server_port)
    : server_port_(server_port), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, 8) != 0 || ::pipe(stop_) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("the proxy cannot listen");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

Proxy::~Proxy() {
  ::close(stop_[1]);
  thread_.join();
  ::close(stop_[0]);
  ::close(listener_);
}

void Proxy::serve() {
  for (;;) {
    pollfd entries[] = {{stop_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    ::poll(entries, 2, -1);
    if (entries[0].revents != 0) return;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    pass(client);
    ::close(client);
  }
}

void Proxy::pass(int client) {
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(server_port_);
  if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    for (;;) {
      pollfd entries[] = {{stop_[0], POLLIN, 0}, {client, POLLIN, 0}, {server, POLLIN, 0}};
      ::poll(entries, 3, -1);
      if (entries[0].revents != 0) break;
      if (entries[1].revents != 0 && !pass_on(client, server, from_client)) break;
      if (entries[2].revents != 0 && !pass_on(server, client, from_server)) break;
    }
  }
  ::close(server);
}

}  // namespace countersign::storage::postgres

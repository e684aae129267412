#include "load_connection.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace countersign::bench {

void require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "load_driver: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

LoadConnection::LoadConnection(LoadConnection&& other) noexcept
    : due(other.due), file_(std::exchange(other.file_, -1)), buffer_(std::move(other.buffer_)) {}

void LoadConnection::open(std::uint16_t port, std::uint32_t source, int epoll, std::uint64_t tag) {
  close();
  buffer_.clear();
  file_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  require(file_ >= 0, "socket");
  const int on = 1;
  ::setsockopt(file_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  if (source != 0) {
    ::setsockopt(file_, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    address.sin_addr.s_addr = htonl((127u << 24) | (source & 0x00ffffffu));
    require(::bind(file_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "bind");
  }
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  require(::connect(file_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, "connect");
  require(::fcntl(file_, F_SETFL, O_NONBLOCK) == 0, "fcntl");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag;
  require(::epoll_ctl(epoll, EPOLL_CTL_ADD, file_, &event) == 0, "epoll_ctl");
}

void LoadConnection::close() {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
}

void LoadConnection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(file_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return;  // receive() will see it
    require(sent > 0, "send");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::size_t LoadConnection::send_some(std::string_view bytes) {
  const auto sent = ::send(file_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (errno == EPIPE || errno == ECONNRESET) return bytes.size();
  require(errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR, "send");
  return 0;
}

bool LoadConnection::receive() {
  std::array<char, 16384> chunk;
  for (;;) {
    const auto got = ::recv(file_, chunk.data(), chunk.size(), 0);
    if (got > 0) {
      buffer_.append(chunk.data(), static_cast<std::size_t>(got));
      if (static_cast<std::size_t>(got) < chunk.size()) return true;
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  }
}

int LoadConnection::take_status() {
  const auto end = buffer_.find("\r\n\r\n");
  if (end == std::string::npos) return 0;
  std::size_t length = 0;
  if (const auto field = buffer_.find("ontent-length: ");
      field != std::string::npos && field < end) {
    std::from_chars(buffer_.data() + field + 15, buffer_.data() + end, length);
  }
  const auto whole = end + 4 + length;
  if (buffer_.size() < whole) return 0;
  int status = 0;
  std::from_chars(buffer_.data() + 9, buffer_.data() + 12, status);
  buffer_.erase(0, whole);
  return status;
}

std::string LoadConnection::take_frame() {
  if (buffer_.size() < 2) return {};
  std::size_t length = static_cast<unsigned char>(buffer_[1]) & 0x7f;
  std::size_t head = 2;
  if (length == 126) {
    if (buffer_.size() < 4) return {};
    length = (static_cast<std::size_t>(static_cast<unsigned char>(buffer_[2])) << 8) |
             static_cast<unsigned char>(buffer_[3]);
    head = 4;
  } else if (length == 127) {
    if (buffer_.size() < 10) return {};
    length = 0;
    for (std::size_t i = 2; i < 10; ++i) {
      length = length << 8 | static_cast<unsigned char>(buffer_[i]);
    }
    head = 10;
  }
  if (buffer_.size() < head + length) return {};
  std::string payload = buffer_.substr(head, length);
  buffer_.erase(0, head + length);
  return payload;
}

std::string upgrade_request(std::uint16_t port) {
  return "GET /v1/gateway HTTP/1.1\r\nHost: localhost:" + std::to_string(port) +
         "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
         "Sec-WebSocket-Protocol: countersign.v1.json\r\n\r\n";
}

std::string text_frame(std::string_view payload) {
  std::string frame = "\x81";
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else {
    const bool wide = payload.size() > 0xffff;
    frame += static_cast<char>(0x80 | (wide ? 127 : 126));
    for (int shift = wide ? 56 : 8; shift >= 0; shift -= 8) {
      frame += static_cast<char>(payload.size() >> shift & 0xff);
    }
  }
  frame.append(4, '\0');
  frame += payload;
  return frame;
}

}  // namespace countersign::bench

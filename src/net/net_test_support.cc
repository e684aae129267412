#include "net/net_test_support.h"

#include <chrono>
#include <stdexcept>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "net/offload.h"
#include "net/text.h"

namespace countersign::net {
namespace {

using namespace std::chrono_literals;

class TestChannelHandler final : public gateway::ChannelHandler {
 public:
  explicit TestChannelHandler(std::shared_ptr<ChannelLog> log) : log_(std::move(log)) {}

  void on_open(gateway::Channel& channel) override {
    channel_ = &channel;
    {
      const std::lock_guard lock(log_->mutex);
      log_->channel = &channel;
    }
    log_->opened.set();
  }
  void on_frame(std::string_view frame) override {
    {
      const std::lock_guard lock(log_->mutex);
      if (log_->frames.size() < 100) log_->frames.emplace_back(frame.substr(0, 100));
    }
    if (frame.starts_with("close:")) {
      channel_->close(static_cast<CloseCode>(std::stoi(std::string(frame.substr(6)))));
    } else if (frame == "normal") {
      channel_->close_normally();
    } else if (frame.starts_with("timer:")) {
      channel_->set_timer(std::chrono::steady_clock::now() +
                          std::chrono::milliseconds(std::stoi(std::string(frame.substr(6)))));
    } else if (frame == "throw") {
      throw std::runtime_error("thrown on purpose");
    } else if (frame.starts_with("flood:")) {
      const auto colon = frame.find(':', 6);
      const auto bytes = std::stoul(std::string(frame.substr(6, colon - 6)));
      const auto count = std::stoul(std::string(frame.substr(colon + 1)));
      for (std::size_t i = 0; i < count; ++i) channel_->send(std::string(bytes, 'x'));
    } else {
      channel_->send(std::string(frame));
    }
  }
  void on_timer() override {
    channel_->send("timer");
    log_->timer.set();
  }
  void on_closed() override { log_->closed.set(); }

 private:
  std::shared_ptr<ChannelLog> log_;
  gateway::Channel* channel_ = nullptr;
};

}  // namespace

void Event::set() {
  const std::lock_guard lock(mutex_);
  set_ = true;
  changed_.notify_all();
}

bool Event::wait() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, 20s, [&] { return set_; });
}

class TestHandler::Hold final : public HeldAnswer {
 public:
  Hold(TestHandler& owner, std::chrono::milliseconds limit) : owner_(owner), limit_(limit) {}
  ~Hold() override {
    if (sink_ == nullptr) return;
    --owner_.held;
    if (!answered_) owner_.dropped.set();
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

  std::chrono::milliseconds limit() const override { return limit_; }
  void begin(AnswerSink& sink) override {
    sink_ = &sink;
    ++owner_.held;
    owner_.holding.set();
    if (limit_.count() == 0) answer("at once");
  }
  Response give_up() override {
    answered_ = true;
    Response response;
    response.body = "gave up";
    return response;
  }
  void answer(const std::string& body) {
    answered_ = true;
    Response response;
    response.body = body;
    sink_->answer(std::move(response));
  }

 private:
  TestHandler& owner_;
  const std::chrono::milliseconds limit_;
  AnswerSink* sink_ = nullptr;
  bool answered_ = false;
};

void TestHandler::release_held(const std::string& body) {
  const std::lock_guard lock(mutex_);
  for (const auto& [shard, hold] : holds_) {
    shard->post([hold = hold, body] {
      if (const auto still = hold.lock()) still->answer(body);
    });
  }
  holds_.clear();
}

Awaitable<Response> TestHandler::handle(Request& request, Shard& shard) {
  Response response;
  response.set("content-type", "text/plain");
  if (request.path == "/echo") {
    for (const auto part : {request.method, request.path, request.query, request.body}) {
      response.body.append(part).append("\n");
    }
    response.body += request.client.text() + "\n" + (request.secure ? "secure" : "plain") + "\n";
  } else if (request.path == "/large") {
    response.body.assign(300'000, 'L');
  } else if (request.path == "/shard") {
    response.body = std::to_string(shard.index());
  } else if (request.path == "/throw") {
    throw std::runtime_error("thrown on purpose");
  } else if (request.path == "/split") {
    response.set("x-evil", "a\r\nx-injected: b");
  } else if (request.path == "/close") {
    response.close = true;
  } else if (request.path == "/hold") {
    const std::chrono::milliseconds limit(std::stoi(std::string(request.query)));
    const auto hold = std::make_shared<Hold>(*this, limit);
    const std::lock_guard lock(mutex_);
    holds_.emplace_back(&shard, hold);
    response.held = hold;
  } else if (request.path == "/wait") {
    response.body =
        co_await await_callback<std::string>(shard, [this](std::function<void(std::string)> done) {
          const std::lock_guard lock(mutex_);
          if (released_) {
            done("released");
          } else {
            held_.push_back([done] { done("released"); });
          }
          waiting.set();
        });
  } else {
    response.status = 404;
  }
  co_return response;
}

void TestHandler::release() {
  const std::lock_guard lock(mutex_);
  released_ = true;
  for (const auto& go : held_) go();
  held_.clear();
}

Response TestHandler::refuse(ErrorCode code) const {
  Response response;
  response.status = http_status(code);
  response.body = error_name(code);
  return response;
}

Response TestHandler::refuse_request(ErrorCode code, const Request& head) const {
  Response response = refuse(code);
  response.set("x-path", std::string(head.path));
  return response;
}

WebSocketDoor::Decision TestDoor::decide(const Request& request, Shard&) {
  if (request.query == "refuse") {
    Response response;
    response.status = 403;
    return response;
  }
  if (request.query == "after") {
    return RefuseAfterHandshake{CloseCode::kOrigin, "countersign.v1.json"};
  }
  if (request.query == "throw") throw std::runtime_error("thrown on purpose");
  Accept accept;
  accept.handler = std::make_unique<TestChannelHandler>(log);
  accept.subprotocol = "countersign.v1.json";
  accept.max_frame_bytes = max_frame_bytes;
  accept.max_queued_bytes = max_queued_bytes;
  return accept;
}

RawClient::RawClient(std::uint16_t port, const std::string& address) {
  const bool v4 = address.find(':') == address.npos;
  UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval limit{20, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const int one = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (v4) {
    auto& v4_address = reinterpret_cast<sockaddr_in&>(storage);
    v4_address.sin_family = AF_INET;
    v4_address.sin_port = htons(port);
    inet_pton(AF_INET, address.c_str(), &v4_address.sin_addr);
    size = sizeof v4_address;
  } else {
    auto& v6_address = reinterpret_cast<sockaddr_in6&>(storage);
    v6_address.sin6_family = AF_INET6;
    v6_address.sin6_port = htons(port);
    inet_pton(AF_INET6, address.c_str(), &v6_address.sin6_addr);
    size = sizeof v6_address;
  }
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0) fd_ = std::move(fd);
}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string RawClient::receive() {
  std::string bytes(64 * 1024, '\0');
  const auto got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

bool RawClient::fill() {
  const std::string more = receive();
  buffer_ += more;
  return !more.empty();
}

RawResponse RawClient::read_response(bool head) {
  RawResponse response;
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) return response;
  }
  std::string_view lines = std::string_view(buffer_).substr(0, end);
  response.status = std::stoi(std::string(lines.substr(9, 3)));
  while (lines.find("\r\n") != lines.npos) {
    lines.remove_prefix(lines.find("\r\n") + 2);
    const auto line = lines.substr(0, lines.find("\r\n"));
    const auto colon = line.find(": ");
    std::string name(line.substr(0, colon));
    for (auto& c : name) c = to_lower(c);
    response.headers[name] = std::string(line.substr(colon + 2));
  }
  const auto length = response.headers.find("content-length");
  const std::size_t size =
      head || length == response.headers.end() ? 0 : std::stoul(length->second);
  while (buffer_.size() < end + 4 + size) {
    if (!fill()) return RawResponse();
  }
  response.body = buffer_.substr(end + 4, size);
  buffer_.erase(0, end + 4 + size);
  return response;
}

RawResponse RawClient::get(const std::string& path) {
  send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
  return read_response();
}

std::string RawClient::read_to_end() {
  while (fill()) {
  }
  return std::exchange(buffer_, std::string());
}

void RawClient::finish_sending() { ::shutdown(fd_.get(), SHUT_WR); }

RawResponse RawClient::upgrade(const std::string& target, const std::string& protocols,
                               const std::string& more) {
  std::string request = "GET " + target +
                        " HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\n"
                        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  if (!protocols.empty()) request += "Sec-WebSocket-Protocol: " + protocols + "\r\n";
  send(request + more + "\r\n");
  return read_response();
}

std::string masked_frame(Opcode opcode, std::string_view payload, bool fin) {
  std::string frame;
  append_frame(frame, opcode, payload);
  const std::size_t header = frame.size() - payload.size();
  if (!fin) frame[0] = static_cast<char>(frame[0] & 0x7f);
  frame[1] = static_cast<char>(frame[1] | 0x80);
  static constexpr char kMask[] = {0x12, 0x34, 0x56, 0x78};
  for (std::size_t i = 0; i < payload.size(); ++i) {
    frame[header + i] = static_cast<char>(frame[header + i] ^ kMask[i % 4]);
  }
  frame.insert(header, kMask, 4);
  return frame;
}

void RawClient::send_frame(Opcode opcode, std::string_view payload, bool fin) {
  send(masked_frame(opcode, payload, fin));
}

std::uint16_t RawClient::Frame::code() const {
  if (payload.size() < 2) return 1005;
  return static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 |
                                    static_cast<unsigned char>(payload[1]));
}

std::optional<RawClient::Frame> RawClient::read_frame() {
  const auto have = [&](std::size_t count) {
    while (buffer_.size() < count) {
      if (!fill()) return false;
    }
    return true;
  };
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(buffer_[at]); };
  if (!have(2)) return std::nullopt;
  std::size_t size = byte(1) & 0x7f;
  std::size_t at = 2;
  if (size >= 126) {
    const std::size_t bytes = size == 126 ? 2 : 8;
    if (!have(2 + bytes)) return std::nullopt;
    size = 0;
    for (std::size_t i = 0; i < bytes; ++i) size = size << 8 | byte(at++);
  }
  if (!have(at + size)) return std::nullopt;
  Frame frame{static_cast<Opcode>(byte(0) & 0x0f), buffer_.substr(at, size)};
  buffer_.erase(0, at + size);
  return frame;
}

ServerOptions quick_options() {
  ServerOptions options;
  options.shards = 2;
  options.limits.header_timeout = 1000ms;  // a busy machine may take a while to send
  options.limits.body_timeout = 300ms;
  options.limits.idle_timeout = 300ms;
  options.limits.write_timeout = 300ms;
  options.limits.handshake_timeout = 300ms;
  return options;
}

TestServer::TestServer(ServerOptions options) {
  if (options.shards == 0) options.shards = 2;
  server = Server::create(std::move(options), handler, &door, clock, random, metrics);
  const auto started = server->start();
  EXPECT_TRUE(started.ok()) << (started ? "" : started.error().detail);
}

TestServer::~TestServer() {
  handler.release();
  server->stop();
}

bool TestServer::wait_for_connections(std::size_t count) const {
  // The server tells nobody; ask until it is so.
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (server->connections() != count) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace countersign::net

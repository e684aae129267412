// Against sockets of the test's own: tests/integration/callbacks.test.mjs has the rest.
#include "net/http_client.h"

#include <future>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace countersign::net {
namespace {

/// Takes one connection on a loopback port, keeps what was sent, answers with a fixed text.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) : answer_(std::move(answer)) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    socklen_t length = sizeof address;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~OneAnswer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }
  std::uint16_t port() const { return port_; }
  /// After the answer has come.
  const std::string& received() const { return received_; }

 private:
  void serve() {
    const int socket = accept(listener_, nullptr, nullptr);
    if (socket < 0) return;
    char buffer[4096];
    while (received_.find("\r\n\r\nbody") == std::string::npos) {
      const ssize_t got = recv(socket, buffer, sizeof buffer, 0);
      if (got <= 0) break;
      received_.append(buffer, static_cast<std::size_t>(got));
    }
    send(socket, answer_.data(), answer_.size(), MSG_NOSIGNAL);
    if (answer_.empty()) {
      while (recv(socket, buffer, sizeof buffer, 0) > 0) {
      }
    }
    close(socket);
  }

  const std::string answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::string received_;
  std::thread thread_;
};

HttpOutcome post(HttpClient& client, const std::string& host, std::uint16_t port) {
  std::promise<HttpOutcome> promise;
  HttpPost request;
  request.url = {false, host, port, "/hook?a=%2F&b=../x"};
  request.headers = {{"Content-Type", "application/json"}, {"X-Timestamp", "t"}};
  request.body = "body";
  client.post(request, [&promise](HttpOutcome outcome) { promise.set_value(std::move(outcome)); });
  return promise.get_future().get();
}

HttpClientOptions allowing(const std::string& host) {
  HttpClientOptions options;
  options.threads = 1;
  if (!host.empty()) options.allowed_private_hosts = {host};
  return options;
}

TEST(HttpClient, PostsTheTargetAsItStands) {
  OneAnswer server("HTTP/1.1 204 No Content\r\n\r\n");
  HttpClient client(allowing("127.0.0.1"));
  EXPECT_EQ(post(client, "127.0.0.1", server.port()).status, 204);
  EXPECT_TRUE(server.received().starts_with("POST /hook?a=%2F&b=../x HTTP/1.1\r\n"));
  EXPECT_NE(server.received().find("\r\nX-Timestamp: t\r\n"), std::string::npos);
  EXPECT_EQ(server.received().find("Expect"), std::string::npos);
}

TEST(HttpClient, FollowsNoRedirectAndReadsRetryAfter) {
  OneAnswer server(
      "HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:1/\r\nRetry-After: 90\r\n"
      "Content-Length: 0\r\n\r\n");
  HttpClient client(allowing("127.0.0.1"));
  const HttpOutcome outcome = post(client, "127.0.0.1", server.port());
  EXPECT_EQ(outcome.status, 307);
  EXPECT_EQ(outcome.retry_after, std::chrono::seconds(90));
}

TEST(HttpClient, DeniesAddressesInsideUnlessTheHostIsNamed) {
  OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  HttpClient strict(allowing(""));
  EXPECT_EQ(post(strict, "127.0.0.1", server.port()).failure, "address_denied");
  EXPECT_EQ(post(strict, "localhost", server.port()).failure, "address_denied");
  EXPECT_EQ(post(strict, "169.254.169.254", 80).failure, "address_denied");
  EXPECT_EQ(post(strict, "::ffff:127.0.0.1", server.port()).failure, "address_denied");
  HttpClient other(allowing("127.0.0.1"));
  EXPECT_EQ(post(other, "localhost", server.port()).failure, "address_denied")
      << "the name is what is allowed, not the address";
}

TEST(HttpClient, IgnoresTheRestOfALongAnswer) {
  OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" +
                   std::string(200'000, 'x'));
  HttpClient client(allowing("127.0.0.1"));
  EXPECT_EQ(post(client, "127.0.0.1", server.port()).status, 200);
}

TEST(HttpClient, GivesUpOnABackendThatHangs) {
  OneAnswer server("");
  HttpClientOptions options = allowing("127.0.0.1");
  options.timeout = std::chrono::milliseconds(50);
  HttpClient client(options);
  EXPECT_EQ(post(client, "127.0.0.1", server.port()).failure, "timeout");
}

TEST(HttpClient, KnowsThePublicInternet) {
  for (const char* text : {"8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700::1", "2a00::1"}) {
    EXPECT_TRUE(is_public_address(IpAddress::parse(text).value())) << text;
  }
  for (const char* text : {"0.0.0.0",
                           "10.1.2.3",
                           "100.64.0.1",
                           "127.255.0.1",
                           "169.254.169.254",
                           "172.16.0.1",
                           "192.168.1.1",
                           "198.18.0.1",
                           "224.0.0.1",
                           "255.255.255.255",
                           "168.63.129.16",
                           "::",
                           "::1",
                           "fe80::1",
                           "fc00::1",
                           "fd00:ec2::254",
                           "ff02::1",
                           "64:ff9b::7f00:1",
                           "2002:7f00:1::",
                           "2001:db8::1",
                           "::ffff:10.0.0.1"}) {
    EXPECT_FALSE(is_public_address(IpAddress::parse(text).value())) << text;
  }
}

}  // namespace
}  // namespace countersign::net

// Proxy: passes bytes between one client at a time and a server on a port of 127.0.0.1, and can
// change what the server answers or cut the line. Thread-safety: hooks are called on the proxy's
// thread; set them before the client connects.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_TESTING_PROXY_H_
#define COUNTERSIGN_STORAGE_POSTGRES_TESTING_PROXY_H_

#include <functional>
#include <string>
#include <thread>

namespace countersign::storage::postgres {

class Proxy {
 public:
  /// Gets what one side said, may change it; false cuts the line.
  using Hook = std::function<bool(std::string& bytes)>;

  explicit Proxy(int server_port);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  int port() const { return port_; }
  Hook from_client;
  Hook from_server;

 private:
  void serve();
  void pass(int client);

  int server_port_;
  int port_ = 0;
  int listener_;
  int stop_[2];
  std::thread thread_;
};

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_TESTING_PROXY_H_

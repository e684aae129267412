// NATS servers that tests start themselves: free loopback ports, data in a folder of their own,
// gone with the test program however it ends. Thread-safety: use each server from one thread;
// wait_for_log() from any.
#ifndef COUNTERSIGN_BUS_NATS_NATS_TEST_SUPPORT_H_
#define COUNTERSIGN_BUS_NATS_NATS_TEST_SUPPORT_H_

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

#include "base/metrics.h"
#include "base/random.h"
#include "bus/conformance/conformance.h"
#include "bus/nats/nats_bus.h"

namespace countersign::bus {

/// A folder that goes with everything in it.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Makes NAME.pem, a certificate that signs itself, and NAME.key, with openssl(1).
void make_certificate(const TestFolder& folder, const std::string& name,
                      const std::string& subject_alternative);

/// A port of 127.0.0.1 nobody listens on at this moment.
std::uint16_t free_port();

class NatsServer {
 public:
  /// Starts it, and waits until it says that it is ready. `more` is added to its configuration.
  explicit NatsServer(std::string more = "", bool jetstream = true);
  ~NatsServer();
  NatsServer(const NatsServer&) = delete;
  NatsServer& operator=(const NatsServer&) = delete;

  /// `nats://127.0.0.1:PORT`.
  std::string url() const { return "nats://" + address(); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string file(const std::string& name) const { return folder_.file(name); }

  /// SIGKILL, and its end.
  void kill();
  /// Starts it again on the same port, with the same data; with another configuration if given.
  void start();
  void configure(std::string more) { more_ = std::move(more); }
  /// SIGSTOP and SIGCONT.
  void pause();
  void resume();
  /// Waits until it has written this since its last start. False if it does not.
  bool wait_for_log(const std::string& text);

 private:
  void read_log(int descriptor);

  TestFolder folder_;
  const std::uint16_t port_ = free_port();
  std::string more_;
  const bool jetstream_;
  pid_t pid_ = -1;
  std::thread reader_;
  std::mutex mutex_;
  std::condition_variable written_;
  std::string log_;
  bool ended_ = true;
};

/// Three servers in one cluster.
class NatsCluster {
 public:
  NatsCluster();
  NatsServer& server(std::size_t index) { return *servers_[index]; }
  /// All three, separated by commas; the one at `first` at the beginning.
  std::string url(std::size_t first = 0) const;

 private:
  std::vector<std::unique_ptr<NatsServer>> servers_;
};

/// What a node needs to open a bus.
struct TestNode {
  base::SystemRandom random;
  base::Metrics metrics;

  /// Fails the test if it cannot.
  std::unique_ptr<Bus> open(NatsOptions options);
  std::unique_ptr<Bus> open(const std::string& url, const std::string& installation = "test");
};

/// Counts gaps, and waits for them.
class Gaps {
 public:
  explicit Gaps(Bus& bus);
  /// Waits until there were more than `before`.
  bool wait_for_more_than(int before);
  int count() const;

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    int count = 0;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// Asks until the answer is true; false if it never is. For states that nobody announces.
bool becomes_true(const std::function<bool()>& ask);

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_NATS_NATS_TEST_SUPPORT_H_

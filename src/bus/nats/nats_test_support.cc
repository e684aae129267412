#include "bus/nats/nats_test_support.h"

#include <cstring>
#include <fstream>
#include <stdexcept>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace countersign::bus {

TestFolder::TestFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "countersign-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = pattern;
}

TestFolder::~TestFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void make_certificate(const TestFolder& folder, const std::string& name,
                      const std::string& subject_alternative) {
  const std::string command =
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "
      "/CN=test" +
      (" -addext subjectAltName=" + subject_alternative) + " -keyout " +
      folder.file(name + ".key") + " -out " + folder.file(name + ".pem") + " 2>/dev/null";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("openssl failed");
}

std::uint16_t free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (::bind(probe, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  ::close(probe);
  return ntohs(address.sin_port);
}

NatsServer::NatsServer(std::string more, bool jetstream)
    : more_(std::move(more)), jetstream_(jetstream) {
  start();
}

NatsServer::~NatsServer() { kill(); }

void NatsServer::start() {
  const std::string config = folder_.file("nats.conf");
  {
    std::ofstream file(config);
    file << "listen: \"" << address() << "\"\nwrite_deadline: \"2s\"\n";
    if (jetstream_) {
      file << "jetstream { store_dir: \"" << folder_.file("js") << "\", max_mem: 64MB }\n";
    }
    file << more_ << "\n";
  }
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    ::dup2(ends[1], STDERR_FILENO);
    ::execlp("nats-server", "nats-server", "-c", config.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::close(ends[1]);
  {
    const std::lock_guard lock(mutex_);
    log_.clear();
    ended_ = false;
  }
  reader_ = std::thread([this, end = ends[0]] { read_log(end); });
  if (!wait_for_log("Server is ready")) {
    kill();
    throw std::runtime_error("nats-server does not start: " + log_);
  }
}

void NatsServer::read_log(int descriptor) {
  char buffer[4096];
  ssize_t got = 0;
  while ((got = ::read(descriptor, buffer, sizeof(buffer))) > 0) {
    const std::lock_guard lock(mutex_);
    log_.append(buffer, static_cast<std::size_t>(got));
    written_.notify_all();
  }
  ::close(descriptor);
  const std::lock_guard lock(mutex_);
  ended_ = true;
  written_.notify_all();
}

bool NatsServer::wait_for_log(const std::string& text) {
  std::unique_lock lock(mutex_);
  written_.wait_for(lock, kPatience,
                    [&] { return ended_ || log_.find(text) != std::string::npos; });
  return log_.find(text) != std::string::npos;
}

void NatsServer::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
  reader_.join();
}

void NatsServer::pause() {
  ::kill(pid_, SIGSTOP);
  ::waitpid(pid_, nullptr, WUNTRACED);  // until its last thread has stopped
}

void NatsServer::resume() { ::kill(pid_, SIGCONT); }

NatsCluster::NatsCluster() {
  std::vector<std::uint16_t> ports;
  std::string routes;
  for (int n = 0; n < 3; ++n) {
    ports.push_back(free_port());
    if (n > 0) routes += ", ";
    routes += "\"nats://127.0.0.1:" + std::to_string(ports.back()) + "\"";
  }
  for (std::size_t n = 0; n < ports.size(); ++n) {
    servers_.push_back(std::make_unique<NatsServer>(
        "server_name: n" + std::to_string(n) + "\ncluster { name: test, listen: \"127.0.0.1:" +
        std::to_string(ports[n]) + "\", routes: [" + routes + "] }"));
  }
}

std::string NatsCluster::url(std::size_t first) const {
  std::string urls;
  for (std::size_t n = 0; n < servers_.size(); ++n) {
    if (n > 0) urls += ",";
    urls += servers_[(first + n) % servers_.size()]->url();
  }
  return urls;
}

std::unique_ptr<Bus> TestNode::open(NatsOptions options) {
  auto bus = open_nats_bus(std::move(options), random, metrics);
  EXPECT_TRUE(succeeded(bus));
  return bus.ok() ? std::move(*bus) : nullptr;
}

std::unique_ptr<Bus> TestNode::open(const std::string& url, const std::string& installation) {
  NatsOptions options;
  options.url = url;
  options.installation = installation;
  return open(std::move(options));
}

Gaps::Gaps(Bus& bus) {
  bus.on_gap([state = state_] {
    const std::lock_guard lock(state->mutex);
    ++state->count;
    state->changed.notify_all();
  });
}

bool Gaps::wait_for_more_than(int before) {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, kPatience, [&] { return state_->count > before; });
}

int Gaps::count() const {
  const std::lock_guard lock(state_->mutex);
  return state_->count;
}

bool becomes_true(const std::function<bool()>& ask) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!ask()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace countersign::bus

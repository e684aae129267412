#include "storage/postgres/testing/postgres_server.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/postgres/connection.h"
#include "storage/postgres/migrations.h"

extern char** environ;

namespace countersign::storage::postgres {
namespace {

constexpr const char* kTemplate = "countersign_template";
constexpr std::chrono::seconds kPatience(60);

/// The newest PostgreSQL that Debian has put on the machine.
std::string find_programs() {
  std::string newest;
  int newest_version = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql")) {
    const int version = std::atoi(entry.path().filename().c_str());
    if (version > newest_version && std::filesystem::exists(entry.path() / "bin/postgres")) {
      newest_version = version;
      newest = entry.path() / "bin";
    }
  }
  if (newest.empty()) throw std::runtime_error("no PostgreSQL in /usr/lib/postgresql");
  return newest;
}

int free_port() {
  const int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(probe, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  ::close(probe);
  return ntohs(address.sin_port);
}

void give_to_postgres(const std::string& path) {
  const passwd* user = ::getpwnam("postgres");
  if (user == nullptr || ::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) {
    throw std::runtime_error("tests as root want the user postgres");
  }
}

/// In memory where that can be had: every test makes and drops a database, which syncs hundreds of
/// files.
std::filesystem::path temporary_folder() {
  if (::getenv("TMPDIR") == nullptr && std::filesystem::is_directory("/dev/shm")) return "/dev/shm";
  return std::filesystem::temp_directory_path();
}

std::unique_ptr<PostgresServer>& shared_server() {
  static std::unique_ptr<PostgresServer> server;
  return server;
}

class SharedServerEnvironment final : public testing::Environment {
 public:
  void SetUp() override { shared_server() = std::make_unique<PostgresServer>(); }
  void TearDown() override { shared_server().reset(); }
};

const auto* const kEnvironment = testing::AddGlobalTestEnvironment(new SharedServerEnvironment());

/// True if the process has stopped, or ended.
bool stopped(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string status;
  std::getline(file, status);
  const auto name_end = status.rfind(')');
  return name_end == std::string::npos || status.substr(name_end + 2, 1) == "T" ||
         status.substr(name_end + 2, 1) == "Z";
}

}  // namespace

PostgresServer& PostgresServer::shared() {
  static_cast<void>(kEnvironment);
  return *shared_server();
}

PostgresServer::PostgresServer(Unmade, std::vector<std::string> settings)
    : settings_(std::move(settings)), programs_(find_programs()) {
  std::string pattern = (temporary_folder() / "countersign-pg-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  directory_ = pattern;
  if (::geteuid() == 0) give_to_postgres(directory_);
}

PostgresServer::PostgresServer(std::vector<std::string> settings)
    : PostgresServer(Unmade(), std::move(settings)) {
  run({programs_ + "/initdb", "--pgdata=" + directory_ + "/data", "--username=postgres",
       "--encoding=UTF8", "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256",
       "--no-sync"});
  start();
}

std::unique_ptr<PostgresServer> PostgresServer::standby_of(const PostgresServer& primary) {
  std::unique_ptr<PostgresServer> standby(new PostgresServer(Unmade(), primary.settings_));
  standby->run({standby->programs_ + "/pg_basebackup", "--pgdata=" + standby->directory_ + "/data",
                "--host=" + primary.directory_, "--port=" + std::to_string(primary.port_),
                "--username=postgres", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"});
  standby->start();
  return standby;
}

void PostgresServer::promote() {
  run({programs_ + "/pg_ctl", "promote", "--wait", "--pgdata=" + directory_ + "/data"});
}

void PostgresServer::keep_copy() {
  run({"cp", "--archive", directory_ + "/data", directory_ + "/copy"});
}

void PostgresServer::put_copy_back() {
  std::filesystem::remove_all(directory_ + "/data");
  std::filesystem::rename(directory_ + "/copy", directory_ + "/data");
}

PostgresServer::~PostgresServer() {
  try {
    if (process_ != 0) stop();
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

pid_t PostgresServer::spawn(const std::vector<std::string>& command, int error_output) const {
  // setpriv tells the kernel to stop the server when the thread that starts it ends.
  std::vector<std::string> words = {"setpriv", "--pdeathsig", "QUIT"};
  if (::geteuid() == 0) {
    words.insert(words.end(), {"--reuid", "postgres", "--regid", "postgres", "--init-groups"});
  }
  words.emplace_back("--");
  words.insert(words.end(), command.begin(), command.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, error_output, 1);
  posix_spawn_file_actions_adddup2(&actions, error_output, 2);
  pid_t process = 0;
  const int failed =
      ::posix_spawnp(&process, "setpriv", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw std::runtime_error("setpriv: " + std::string(std::strerror(failed)));
  return process;
}

/// Runs a program to its end.
void PostgresServer::run(const std::vector<std::string>& command) const {
  const std::string log = directory_ + "/command.log";
  const int file = ::open(log.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  const pid_t process = spawn(command, file);
  ::close(file);
  int status = 0;
  ::waitpid(process, &status, 0);
  if (status == 0) return;
  std::ifstream said(log);
  throw std::runtime_error(command.front() + ": " +
                           std::string(std::istreambuf_iterator<char>(said), {}));
}

void PostgresServer::read_log(int file) {
  char buffer[4096];
  for (;;) {
    const ssize_t size = ::read(file, buffer, sizeof buffer);
    const std::lock_guard lock(mutex_);
    if (size > 0) {
      log_.append(buffer, static_cast<std::size_t>(size));
    } else {
      log_ended_ = true;
    }
    changed_.notify_all();
    if (size <= 0) break;
  }
  ::close(file);
}

void PostgresServer::start() {
  port_ = free_port();
  start_again();
}

void PostgresServer::start_again() {
  std::vector<std::string> command = {
      programs_ + "/postgres", "-D", directory_ + "/data", "-k", directory_, "-p",
      std::to_string(port_)};
  for (const char* setting :
       {"listen_addresses=127.0.0.1", "shared_buffers=32MB", "max_connections=200",
        "wal_level=minimal", "max_wal_senders=0", "autovacuum=off", "log_min_messages=log"}) {
    command.insert(command.end(), {"-c", setting});
  }
  for (const std::string& setting : settings_) command.insert(command.end(), {"-c", setting});
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
  {
    const std::lock_guard lock(mutex_);
    log_.clear();
    log_ended_ = false;
  }
  process_ = spawn(command, pipe[1]);
  ::close(pipe[1]);
  reader_ = std::thread([this, file = pipe[0]] { read_log(file); });
  std::unique_lock lock(mutex_);
  const auto ready = [this] { return log_.find("ready to accept ") != std::string::npos; };
  changed_.wait_for(lock, kPatience, [&] { return ready() || log_ended_; });
  if (!ready()) {
    const std::string said = log_;
    lock.unlock();
    kill();
    throw std::runtime_error("PostgreSQL does not start: " + said);
  }
}

/// Every process of the server holds the log's pipe: its end is theirs.
void PostgresServer::wait_for_end() {
  int status = 0;
  ::waitpid(process_, &status, 0);
  process_ = 0;
  reader_.join();
}

void PostgresServer::kill() {
  ::kill(process_, SIGKILL);
  wait_for_end();
}

void PostgresServer::stop() {
  ::kill(process_, SIGINT);
  wait_for_end();
}

std::vector<pid_t> PostgresServer::sessions() const {
  // Each is a child of the server, in a process group of its own.
  std::ifstream children("/proc/" + std::to_string(process_) + "/task/" + std::to_string(process_) +
                         "/children");
  std::vector<pid_t> found;
  for (pid_t child = 0; children >> child;) found.push_back(child);
  return found;
}

void PostgresServer::pause() {
  ::kill(process_, SIGSTOP);
  ::waitpid(process_, nullptr, WUNTRACED);  // now it makes no more sessions
  for (const pid_t session : sessions()) {
    ::kill(session, SIGSTOP);
    while (!stopped(session)) std::this_thread::yield();
  }
}

void PostgresServer::go_on() {
  for (const pid_t session : sessions()) ::kill(session, SIGCONT);
  ::kill(process_, SIGCONT);
}

std::string PostgresServer::url(const std::string& database) const {
  return "postgresql://postgres@/" + database + "?host=" + directory_ +
         "&port=" + std::to_string(port_);
}

std::string PostgresServer::tcp_url(const std::string& database, const std::string& user,
                                    const std::string& password) const {
  return "postgresql://" + user + ":" + password + "@127.0.0.1:" + std::to_string(port_) + "/" +
         database;
}

std::string PostgresServer::execute(const std::string& database, const std::string& sql) const {
  ConnectionSettings settings;
  settings.url = url(database);
  settings.statement_timeout = std::chrono::seconds(60);
  settings.allow_unsafe_server_for_test = true;
  Result<std::unique_ptr<Connection>> connection = Connection::open(settings);
  if (!connection) throw std::runtime_error(connection.error().detail);
  Result<std::string> tag = (*connection)->execute(sql);
  if (!tag) throw std::runtime_error(sql + ": " + tag.error().detail);
  return *tag;
}

std::string PostgresServer::create_empty_database() {
  const std::string name = "test_" + std::to_string(++databases_);
  execute("postgres", "CREATE DATABASE " + name);
  return name;
}

std::string PostgresServer::create_database() {
  if (!template_made_) {
    execute("postgres", std::string("CREATE DATABASE ") + kTemplate);
    PostgresOptions options;
    options.url = url(kTemplate);
    options.allow_unsafe_server_for_test = true;
    Result<std::vector<MigrationStep>> migrated = migrate_postgres(options);
    if (!migrated) throw std::runtime_error(migrated.error().detail);
    template_made_ = true;
  }
  const std::string name = "test_" + std::to_string(++databases_);
  execute("postgres", "CREATE DATABASE " + name + " TEMPLATE " + kTemplate);
  return name;
}

void PostgresServer::drop_database(const std::string& name) {
  execute("postgres", "DROP DATABASE " + name + " WITH (FORCE)");
}

TestDatabase::TestDatabase(Kind kind)
    : name_(kind == Kind::kEmpty ? PostgresServer::shared().create_empty_database()
                                 : PostgresServer::shared().create_database()) {}

TestDatabase::~TestDatabase() { PostgresServer::shared().drop_database(name_); }

PostgresOptions TestDatabase::options() const {
  PostgresOptions options;
  options.url = url();
  options.connections = 8;
  return options;
}

}  // namespace countersign::storage::postgres

// PostgresServer: a PostgreSQL server of its own for a test program.
//
// initdb and postgres run in a new folder (in memory, unless TMPDIR says where), as the user
// `postgres` when the tests run as root (PostgreSQL refuses root), on a unix socket and a free port
// of 127.0.0.1. The kernel stops the server if the test program dies. fsync is on, as in earnest.
// Thread-safety: one thread starts, stops and makes databases; the server serves any.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_TESTING_POSTGRES_SERVER_H_
#define COUNTERSIGN_STORAGE_POSTGRES_TESTING_POSTGRES_SERVER_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <sys/types.h>

#include "storage/postgres/postgres_store.h"

namespace countersign::storage::postgres {

class PostgresServer {
 public:
  /// The one of the test program, which GoogleTest starts before the first test and stops after the
  /// last.
  static PostgresServer& shared();

  /// Makes the data directory and starts the server with `settings` ("fsync=off"). Throws
  /// std::runtime_error with what it said if it does not start.
  explicit PostgresServer(std::vector<std::string> settings = {});
  /// A standby of `primary`, with its settings (which must have wal_level=replica and
  /// max_wal_senders) and a copy of all it has now. It answers no queries before promote().
  static std::unique_ptr<PostgresServer> standby_of(const PostgresServer& primary);
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  void start();
  /// start() on the port of before.
  void start_again();
  /// SIGKILL to the server, whose sessions end with it, and waits for its end.
  void kill();
  /// SIGINT: sessions are told to end, what is committed is written out.
  void stop();
  /// Makes a standby a primary.
  void promote();
  /// Of a server that does not run: keeps a copy of its files, and puts that in their place.
  void keep_copy();
  void put_copy_back();
  int port() const { return port_; }
  /// SIGSTOP and SIGCONT to all its processes: it answers nothing, and nothing is closed.
  void pause();
  void go_on();

  /// `postgresql://…` of a database, over the unix socket, as the superuser.
  std::string url(const std::string& database) const;
  /// The same over TCP, as `user` with a password (which pg_hba.conf demands).
  std::string tcp_url(const std::string& database, const std::string& user,
                      const std::string& password) const;
  /// Runs SQL in a database and returns the command tag of the last statement.
  std::string execute(const std::string& database, const std::string& sql) const;

  /// A new database, empty, or a copy of one with all migrations applied.
  std::string create_empty_database();
  std::string create_database();
  /// Drops it, ending whatever still uses it.
  void drop_database(const std::string& name);

 private:
  struct Unmade {};
  PostgresServer(Unmade, std::vector<std::string> settings);
  void read_log(int file);
  pid_t spawn(const std::vector<std::string>& command, int error_output) const;
  void run(const std::vector<std::string>& command) const;
  std::vector<pid_t> sessions() const;
  void wait_for_end();

  std::vector<std::string> settings_;
  std::string directory_;
  std::string programs_;
  int port_ = 0;
  pid_t process_ = 0;
  int databases_ = 0;
  bool template_made_ = false;
  std::thread reader_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string log_;
  bool log_ended_ = false;
};

/// A database of the shared server for one test.
class TestDatabase {
 public:
  enum class Kind { kMigrated, kEmpty };
  explicit TestDatabase(Kind kind = Kind::kMigrated);
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  const std::string& name() const { return name_; }
  std::string url() const { return PostgresServer::shared().url(name_); }
  /// Options for a store in this database.
  PostgresOptions options() const;
  /// Runs SQL in it.
  std::string execute(const std::string& sql) const {
    return PostgresServer::shared().execute(name_, sql);
  }

 private:
  std::string name_;
};

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_TESTING_POSTGRES_SERVER_H_

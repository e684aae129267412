// The pool of sessions: its bound, losses, and transactions that meet each other.
#include "storage/postgres/database.h"

#include <atomic>
#include <future>
#include <latch>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/conformance/conformance.h"
#include "storage/postgres/testing/postgres_server.h"

namespace countersign::storage::postgres {
namespace {

using std::chrono::milliseconds;

/// Asks again until it succeeds; the pauses are the database's own.
template <class Ask>
bool succeeds_in_the_end(Ask&& ask) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (std::chrono::steady_clock::now() < deadline) {
    if (ask().ok()) return true;
    std::this_thread::yield();
  }
  return false;
}

TEST(PostgresDatabase, WaitsForASessionOnlySoLongAndLosesNone) {
  const TestDatabase test;
  PostgresOptions options = test.options();
  options.connections = 1;
  options.max_wait = milliseconds(20);
  const std::unique_ptr<Database> database = Database::open(options).value();
  const std::unique_ptr<Connection> holder = [&] {
    ConnectionSettings settings;
    settings.url = test.url();
    return Connection::open(settings).value();
  }();
  ASSERT_TRUE(holder->execute("SELECT pg_advisory_lock(1)").ok());
  std::future<Result<Rows>> waiting = std::async(
      std::launch::async, [&] { return database->read("SELECT pg_advisory_xact_lock(1)"); });
  const auto waits = [&] {
    return *holder->execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") ==
           "SELECT 1";
  };
  while (!waits()) std::this_thread::yield();
  EXPECT_TRUE(failed_with(database->read("SELECT 1"), ErrorCode::kOverloaded));
  ASSERT_TRUE(holder->execute("SELECT pg_advisory_unlock(1)").ok());
  EXPECT_TRUE(succeeded(waiting.get()));
  EXPECT_TRUE(succeeded(database->read("SELECT 1")));
  EXPECT_EQ(database->sessions(), 1u);
}

TEST(PostgresDatabase, TransactionsThatDeadlockAreRepeated) {
  const TestDatabase test;
  test.execute("ALTER DATABASE " + test.name() + " SET deadlock_timeout = '10ms'");
  const std::unique_ptr<Database> database = Database::open(test.options()).value();
  ASSERT_TRUE(
      succeeded(database->write("INSERT INTO meta (name, value) VALUES ('a', ''), ('b', '')")));
  constexpr int kThreads = 4;
  constexpr int kEach = 20;
  std::atomic<int> failed = 0;
  in_parallel(kThreads, [&](int i) {
    for (int n = 0; n < kEach; ++n) {
      const std::string first = i % 2 == 0 ? "a" : "b";
      const std::string second = i % 2 == 0 ? "b" : "a";
      const std::vector<Query> queries = {
          Query("UPDATE meta SET value = value || 'x' WHERE name = $1", first),
          Query("SELECT pg_sleep(0.001)"),  // so that they meet
          Query("UPDATE meta SET value = value || 'x' WHERE name = $1", second)};
      const Result<std::vector<Rows>> written = database->write_all(queries);
      EXPECT_TRUE(succeeded(written));
      if (!written) ++failed;
    }
  });
  EXPECT_EQ(failed, 0);
  const Result<Rows> lengths = database->read("SELECT length(value) FROM meta WHERE name = 'a'");
  EXPECT_EQ(lengths->front().integer(0), kThreads * kEach) << "each exactly once";
}

TEST(PostgresDatabase, ComesBackWhenTheServerDoesAndHasEveryAcknowledgedWrite) {
  PostgresServer server;
  PostgresOptions options;
  options.url = server.tcp_url("postgres", "app", "pw");
  server.execute("postgres", "CREATE ROLE app LOGIN SUPERUSER PASSWORD 'pw'");
  const std::unique_ptr<Database> database = Database::open(options).value();
  constexpr int kThreads = 4;
  std::atomic<bool> stop = false;
  std::atomic<int> failures = 0;
  std::vector<std::vector<std::string>> acknowledged(kThreads);
  std::latch warm(kThreads);
  std::thread writers([&] {
    in_parallel(kThreads, [&](int i) {
      for (int n = 0; !stop; ++n) {
        const std::string name = std::to_string(i) + "-" + std::to_string(n);
        if (database->write("INSERT INTO meta (name, value) VALUES ($1, '')", name).ok()) {
          acknowledged[static_cast<std::size_t>(i)].push_back(name);
        } else {
          ++failures;
        }
        if (n == 10) warm.count_down();
      }
    });
  });
  warm.wait();
  server.kill();
  // Nobody is there: calls fail, and fail fast.
  while (failures < 100) std::this_thread::yield();
  EXPECT_TRUE(failed_with(database->read("SELECT 1"), ErrorCode::kStoreFailed));
  stop = true;
  writers.join();
  server.start_again();
  EXPECT_TRUE(succeeds_in_the_end([&] { return database->read("SELECT 1"); }));
  std::size_t expected = 0;
  for (const auto& names : acknowledged) {
    for (const std::string& name : names) {
      EXPECT_FALSE(database->read("SELECT FROM meta WHERE name = $1", name)->empty()) << name;
      ++expected;
    }
  }
  EXPECT_GE(expected, std::size_t{40});
}

TEST(PostgresDatabase, AnIdleSessionThatTheServerEndedIsNoticedBeforeItIsUsed) {
  const TestDatabase test;
  const std::unique_ptr<Database> database = Database::open(test.options()).value();
  ASSERT_TRUE(succeeded(database->read("SELECT 1")));
  test.execute(
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
      "WHERE datname = current_database() AND pid <> pg_backend_pid()");
  EXPECT_TRUE(succeeded(database->read("SELECT 1")));
}

TEST(PostgresStore, TellsTheServersTime) {
  const TestDatabase test;
  const std::unique_ptr<Store> store = open_postgres_store(test.options()).value();
  const SystemTime before = base::SystemClock().now();
  const SystemTime now = store->now().value();
  const SystemTime after = base::SystemClock().now();
  EXPECT_LE(before, now);
  EXPECT_LE(now, after);
}

TEST(PostgresStore, ATableThatIsFullOfOldStatementsGoesOnAfterTheSchemaChanged) {
  const TestDatabase test;
  const std::unique_ptr<Store> store = open_postgres_store(test.options()).value();
  const Account ann = sample_account("ann");
  ASSERT_TRUE(succeeded(store->accounts().create_account(ann, "hash")));
  ASSERT_TRUE(succeeded(store->accounts().find_account(ann.id)));
  test.execute("ALTER TABLE accounts ADD COLUMN later text");
  EXPECT_TRUE(store->accounts().find_account(ann.id).value().has_value());
  EXPECT_TRUE(succeeded(store->accounts().create_account(sample_account("bob"), "hash")));
}

}  // namespace
}  // namespace countersign::storage::postgres

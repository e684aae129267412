// One session: what counts as written, what is refused, and what is never shown.
#include "storage/postgres/connection.h"

#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/conformance/conformance.h"
#include "storage/postgres/testing/postgres_server.h"
#include "storage/postgres/testing/proxy.h"

namespace countersign::storage::postgres {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;
using Mode = Connection::Mode;

constexpr const char* kCreateRows = "CREATE TABLE rows (id bigint PRIMARY KEY, text text)";

class ConnectionTest : public ::testing::Test {
 protected:
  ConnectionTest() { database_.execute(kCreateRows); }

  std::unique_ptr<Connection> open() {
    ConnectionSettings settings;
    settings.url = database_.url();
    return Connection::open(settings).value();
  }
  /// Through a proxy, over TCP, as a role of its own with a password.
  Result<std::unique_ptr<Connection>> open_through(const Proxy& proxy) {
    database_.execute("CREATE ROLE app_" + database_.name() + " LOGIN SUPERUSER PASSWORD 'pw'");
    ConnectionSettings settings;
    settings.url = "postgresql://app_" + database_.name() +
                   ":pw@127.0.0.1:" + std::to_string(proxy.port()) + "/" + database_.name() +
                   "?sslmode=disable&gssencmode=disable";
    return Connection::open(settings);
  }
  static Result<std::vector<Rows>> insert(Connection& connection, std::int64_t id,
                                          std::string_view text = "") {
    const Query query("INSERT INTO rows (id, text) VALUES ($1, $2)", id, text);
    return connection.run(std::span(&query, 1), Mode::kWrite);
  }
  std::int64_t count() {
    const Query query("SELECT count(*) FROM rows");
    return open()->run(std::span(&query, 1), Mode::kRead)->front().front().integer(0);
  }

  TestDatabase database_{TestDatabase::Kind::kEmpty};
};

TEST_F(ConnectionTest, CarriesEveryKindOfValueUnchanged) {
  const std::unique_ptr<Connection> connection = open();
  const std::string bytes("\0\xFF'\"\\", 5);
  const std::string text = "\xC3\x84'\"\\%";
  const std::optional<std::string> none;
  const Query query("SELECT $1, $2, $3, $4, $5, $6, $7, $8::smallint, $9::integer", text,
                    Bytes{bytes}, std::int64_t{-5}, true, none, std::int64_t{1} << 62,
                    at(7) + std::chrono::microseconds(3), -2, -3);
  const std::vector<Rows> rows = connection->run(std::span(&query, 1), Mode::kRead).value();
  const Row row = rows.front().front();
  EXPECT_EQ(row.bytes(0), text);
  EXPECT_EQ(row.bytes(1), bytes);
  EXPECT_EQ(row.integer(2), -5);
  EXPECT_TRUE(row.flag(3));
  EXPECT_EQ(row.optional_bytes(4), std::nullopt);
  EXPECT_EQ(row.integer(5), std::int64_t{1} << 62);
  EXPECT_EQ(row.time(6), at(7) + std::chrono::microseconds(3));
  EXPECT_EQ(row.integer(7), -2);
  EXPECT_EQ(row.integer(8), -3);
}

TEST_F(ConnectionTest, CarriesArraysOfAnyLength) {
  const std::unique_ptr<Connection> connection = open();
  std::vector<std::string> texts;
  std::vector<std::int64_t> numbers;
  for (int i = 0; i < 20'000; ++i) {
    texts.push_back(std::string(100, 'x') + std::to_string(i));
    numbers.push_back(-i);
  }
  const std::vector<std::string> raw = {std::string("\0\xFF", 2), ""};
  const std::vector<Query> queries = {
      Query("SELECT t, n FROM unnest($1, $2) AS u (t, n)", texts, numbers),
      Query("SELECT unnest($1)", BytesArray{raw}),
      Query("SELECT cardinality($1), cardinality($2)", std::vector<std::string>(),
            std::vector<std::int64_t>())};
  const std::vector<Rows> rows = connection->run(queries, Mode::kRead).value();
  ASSERT_EQ(rows[0].size(), texts.size());
  EXPECT_EQ(rows[0][19'999].bytes(0), texts.back());
  EXPECT_EQ(rows[0][19'999].integer(1), -19'999);
  EXPECT_EQ(rows[1][0].bytes(0), raw[0]);
  EXPECT_EQ(rows[1][1].bytes(0), "");
  EXPECT_EQ(rows[2].front().integer(0), 0);
  EXPECT_EQ(rows[2].front().integer(1), 0);
}

TEST_F(ConnectionTest, AFailedStatementUndoesItsTransactionAndTheSessionGoesOn) {
  const std::unique_ptr<Connection> connection = open();
  ASSERT_TRUE(succeeded(insert(*connection, 1)));
  const std::vector<Query> queries = {
      Query("INSERT INTO rows (id, text) VALUES ($1, $2)", 2, "two"),
      Query("INSERT INTO rows (id) VALUES ($1)", 1),
      Query("INSERT INTO rows (id, text) VALUES ($1, $2)", 3, "three")};
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(failed_with(connection->run(queries, Mode::kWrite), ErrorCode::kAlreadyExists));
    EXPECT_EQ(count(), 1);
  }
  EXPECT_FALSE(connection->broken());
  EXPECT_TRUE(succeeded(insert(*connection, 2)));
  EXPECT_EQ(count(), 2);
}

TEST_F(ConnectionTest, AnErrorShowsNoValueOfARow) {
  const std::unique_ptr<Connection> connection = open();
  database_.execute("CREATE UNIQUE INDEX rows_text ON rows (text)");
  ASSERT_TRUE(succeeded(insert(*connection, 1, "ann@example.org")));
  const Result<std::vector<Rows>> again = insert(*connection, 2, "ann@example.org");
  ASSERT_TRUE(failed_with(again, ErrorCode::kAlreadyExists));
  EXPECT_THAT(again.error().detail, Not(HasSubstr("ann@")));
  EXPECT_THAT(again.error().detail, HasSubstr("rows_text"));
}

TEST_F(ConnectionTest, TextThatIsNoTextIsRefusedAndNothingIsCutOff) {
  const std::unique_ptr<Connection> connection = open();
  EXPECT_TRUE(
      failed_with(insert(*connection, 1, std::string_view("ann\0x", 5)), ErrorCode::kBadRequest));
  EXPECT_TRUE(failed_with(insert(*connection, 1, "\xFF"), ErrorCode::kBadRequest));
  EXPECT_EQ(count(), 0);
}

TEST_F(ConnectionTest, AFullDiskIsToldApart) {
  database_.execute(
      "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
      "'BEGIN RAISE EXCEPTION ''no space left'' USING ERRCODE = ''disk_full''; END'");
  database_.execute(
      "CREATE TRIGGER refuse BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION refuse()");
  EXPECT_TRUE(failed_with(insert(*open(), 1), ErrorCode::kStoreFull));
}

TEST_F(ConnectionTest, WaitsForALockOnlySoLong) {
  const std::unique_ptr<Connection> holder = open();
  ASSERT_TRUE(holder->execute("BEGIN; LOCK TABLE rows").ok());
  ConnectionSettings settings;
  settings.url = database_.url();
  settings.lock_timeout = milliseconds(50);
  EXPECT_TRUE(failed_with(insert(*Connection::open(settings).value(), 1), ErrorCode::kOverloaded));
}

TEST_F(ConnectionTest, ASessionThatHoldsLocksAndSaysNothingIsEndedByTheServer) {
  const std::unique_ptr<Connection> stopped = open();
  ASSERT_TRUE(stopped->execute("BEGIN; LOCK TABLE rows").ok());
  // Waits for the lock, which comes free when the server has ended the silent session.
  EXPECT_TRUE(succeeded(insert(*open(), 1)));
  EXPECT_FALSE(stopped->still_there());
  EXPECT_TRUE(stopped->broken());
}

TEST_F(ConnectionTest, ACommitThatIsAnsweredWithRollbackHasFailed) {
  Proxy proxy(PostgresServer::shared().port());
  proxy.from_server = [](std::string& bytes) {
    const std::string commit(
        "C\0\0\0\x0B"
        "COMMIT\0",
        12);
    const std::string rollback(
        "C\0\0\0\x0D"
        "ROLLBACK\0",
        14);
    if (const auto found = bytes.find(commit); found != std::string::npos) {
      bytes.replace(found, commit.size(), rollback);
    }
    return true;
  };
  const Result<std::unique_ptr<Connection>> connection = open_through(proxy);
  ASSERT_TRUE(succeeded(connection));
  const Result<std::vector<Rows>> inserted = insert(**connection, 1);
  ASSERT_TRUE(failed_with(inserted, ErrorCode::kStoreFailed));
  EXPECT_THAT(inserted.error().detail, HasSubstr("ROLLBACK"));
}

TEST_F(ConnectionTest, ALineThatIsCutBeforeTheAnswerLeavesTheOutcomeUnknown) {
  Proxy proxy(PostgresServer::shared().port());
  proxy.from_server = [](std::string& bytes) {
    return bytes.find(std::string("COMMIT\0", 7)) == std::string::npos;
  };
  const Result<std::unique_ptr<Connection>> connection = open_through(proxy);
  ASSERT_TRUE(succeeded(connection));
  EXPECT_TRUE(failed_with(insert(**connection, 1), ErrorCode::kStoreFailed));
  EXPECT_TRUE((*connection)->broken());
  EXPECT_TRUE(failed_with(insert(**connection, 2), ErrorCode::kStoreFailed));
  EXPECT_EQ(count(), 1) << "it was committed, and nobody was told";
}

TEST_F(ConnectionTest, AWriteIsOneFlush) {
  Proxy proxy(PostgresServer::shared().port());
  int flushes = 0;
  proxy.from_client = [&](std::string&) {
    ++flushes;
    return true;
  };
  const Result<std::unique_ptr<Connection>> connection = open_through(proxy);
  ASSERT_TRUE(succeeded(connection));
  flushes = 0;
  const std::vector<Query> queries = {
      Query("INSERT INTO rows (id, text) VALUES ($1, $2)", 1, "one"),
      Query("UPDATE rows SET text = $2 WHERE id = $1", 1, "two"), Query("SELECT * FROM rows")};
  ASSERT_TRUE(succeeded((*connection)->run(queries, Mode::kWrite)));
  EXPECT_EQ(flushes, 1);
}

TEST_F(ConnectionTest, AServerThatAnswersNothingIsGivenUp) {
  ConnectionSettings settings;
  settings.url = database_.url();
  settings.statement_timeout = settings.answer_margin = milliseconds(50);
  const std::unique_ptr<Connection> connection = Connection::open(settings).value();
  PostgresServer::shared().pause();
  const Result<std::vector<Rows>> inserted = insert(*connection, 1);
  PostgresServer::shared().go_on();
  EXPECT_TRUE(failed_with(inserted, ErrorCode::kStoreFailed));
  EXPECT_TRUE(connection->broken());
}

TEST_F(ConnectionTest, SessionsAreSafeWhateverTheServersDefaultsAre) {
  database_.execute("ALTER DATABASE " + database_.name() + " SET synchronous_commit = off");
  const Query query(
      "SELECT current_setting('synchronous_commit'), "
      "current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout'), "
      "current_setting('application_name')");
  const std::vector<Rows> rows = open()->run(std::span(&query, 1), Mode::kRead).value();
  EXPECT_EQ(rows.front().front().bytes(0), "on");
  EXPECT_EQ(rows.front().front().bytes(1), "1s");
  EXPECT_EQ(rows.front().front().bytes(2), "2s");
  EXPECT_EQ(rows.front().front().bytes(3), "countersign");
}

TEST_F(ConnectionTest, ADatabaseInAnotherEncodingIsRefused) {
  PostgresServer& server = PostgresServer::shared();
  server.execute("postgres",
                 "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
  ConnectionSettings settings;
  settings.url = server.url("latin");
  const Result<std::unique_ptr<Connection>> opened = Connection::open(settings);
  EXPECT_TRUE(failed_with(opened, ErrorCode::kBadSetting));
  EXPECT_THAT(opened.error().detail, HasSubstr("LATIN1"));
  server.drop_database("latin");
}

TEST_F(ConnectionTest, PasswordsAreNeverShown) {
  const std::string secret = "hunter2hunter2";
  const std::vector<std::string> urls = {
      PostgresServer::shared().tcp_url("postgres", "nobody", secret),
      "postgresql://annabel:" + secret + "@127.0.0.1:1/db",
      "postgresql://annabel:" + secret + "@no-such-host.invalid/db",
      "postgresql://annabel:" + secret + "@127.0.0.1/db?nonsense=1",
      "postgresql://annabel:" + secret + "@[::1/db",
      "postgresql://127.0.0.1:1/db?user=annabel&password=" + secret,
      "postgresql://annabel:" + secret + "%zz@127.0.0.1/db"};
  for (const std::string& url : urls) {
    ConnectionSettings settings;
    settings.url = url;
    const Result<std::unique_ptr<Connection>> opened = Connection::open(settings);
    ASSERT_FALSE(opened.ok());
    EXPECT_THAT(opened.error().detail, Not(HasSubstr(secret)));
    EXPECT_THAT(describe_url(url), Not(HasSubstr(secret)));
    EXPECT_THAT(describe_url(url), Not(HasSubstr("annabel")));
  }
  EXPECT_EQ(describe_url("postgresql://ann:pw@db.example:5433/app?sslmode=require"),
            "db.example:5433/app");
}

TEST(ServerThatMayLose, IsRefusedByName) {
  for (const std::string setting : {"fsync", "full_page_writes"}) {
    const PostgresServer server({setting + "=off"});
    ConnectionSettings settings;
    settings.url = server.url("postgres");
    const Result<std::unique_ptr<Connection>> opened = Connection::open(settings);
    EXPECT_TRUE(failed_with(opened, ErrorCode::kBadSetting));
    EXPECT_THAT(opened.error().detail, HasSubstr(setting + "=off"));
    settings.allow_unsafe_server_for_test = true;
    EXPECT_TRUE(succeeded(Connection::open(settings)));
  }
}

TEST(ServerWithAStandby, ACommitThatNoStandbyConfirmedHasNotSucceeded) {
  PostgresServer server(
      {"wal_level=replica", "max_wal_senders=2", "synchronous_standby_names=absent"});
  server.execute("postgres", std::string("SET synchronous_commit = local; ") + kCreateRows);
  ConnectionSettings settings;
  settings.url = server.url("postgres");
  const std::unique_ptr<Connection> connection = Connection::open(settings).value();
  std::future<Result<std::vector<Rows>>> inserting = std::async(std::launch::async, [&] {
    const Query insert("INSERT INTO rows (id) VALUES ($1)", 1);
    return connection->run(std::span(&insert, 1), Mode::kWrite);
  });
  // Cut short, the wait for the standby ends with COMMIT and a warning.
  const auto cut_short = [&] {
    return server.execute("postgres",
                          "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
                          "WHERE wait_event = 'SyncRep'") == "SELECT 1";
  };
  while (!cut_short() && inserting.wait_for(milliseconds(0)) != std::future_status::ready) {
    std::this_thread::yield();
  }
  const Result<std::vector<Rows>> inserted = inserting.get();
  ASSERT_TRUE(failed_with(inserted, ErrorCode::kStoreFailed));
  EXPECT_THAT(inserted.error().detail, HasSubstr("warning"));
}

}  // namespace
}  // namespace countersign::storage::postgres

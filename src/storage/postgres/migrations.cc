#include "storage/postgres/migrations.h"

#include <array>
#include <iterator>
#include <type_traits>

#include "storage/postgres/connection.h"

namespace countersign::storage {

namespace postgres_migrations {
/// Written by cmake/EmbedFiles.cmake.
std::string_view embedded_file(std::string_view name) noexcept;
}  // namespace postgres_migrations

namespace {

using postgres::Connection;
using postgres::ConnectionSettings;
using postgres::Query;
using postgres::Row;
using postgres::Rows;

constexpr std::array<std::string_view, 14> kNames = {
    "0001_accounts.sql",         "0002_sessions.sql",
    "0003_throttles.sql",        "0004_instances.sql",
    "0005_revocations.sql",      "0006_meta.sql",
    "0007_applications.sql",     "0008_presented_tickets.sql",
    "0009_email_lookup.sql",     "0010_messages.sql",
    "0011_callbacks.sql",        "0012_classic.sql",
    "0013_bounded_messages.sql", "0014_undelivered_messages.sql",
};

/// Held by the program that migrates: "countersi" read as a number, and as good as any.
constexpr const char* kLock = "SELECT pg_advisory_xact_lock(7165081914870265193)";

constexpr const char* kCreateTable =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    "number bigint NOT NULL PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL,"
    "applied bigint NOT NULL)";

Result<Rows> ask(Connection& connection, const Query& query) {
  Result<std::vector<Rows>> answers =
      connection.run(std::span<const Query>(&query, 1), Connection::Mode::kRead);
  if (!answers) return answers.failure();
  return std::move(answers->front());
}

Result<bool> table_exists(Connection& connection) {
  static const Query count_tables(
      "SELECT count(*), count(*) FILTER (WHERE relname = 'schema_migrations') FROM pg_class "
      "WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')");
  Result<Rows> counts = ask(connection, count_tables);
  if (!counts) return counts.failure();
  if (counts->front().integer(1) > 0) return true;
  if (counts->front().integer(0) == 0) return false;
  return fail(
      ErrorCode::kSchemaMismatch,
      "the schema holds the tables of another program; give this one a database of its own");
}

/// What the store says has been applied, checked against what this program knows.
Result<AppliedMigrations> read_applied(Connection& connection) {
  static const Query select_applied("SELECT number, name, sha256, applied FROM schema_migrations");
  AppliedMigrations applied;
  Result<bool> exists = table_exists(connection);
  if (!exists) return exists.failure();
  if (!*exists) return applied;
  Result<Rows> rows = ask(connection, select_applied);
  if (!rows) return rows.failure();
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const Row row = (*rows)[i];
    applied[static_cast<int>(row.integer(0))] =
        AppliedMigration{row.bytes(1), row.bytes(2), row.time(3)};
  }
  if (Result<void> checked = check_applied(applied, embedded_postgres_migrations()); !checked) {
    return checked.failure();
  }
  return applied;
}

/// Runs `work`, which answers a Result, in one transaction that nobody else's migration overlaps.
/// `end` is COMMIT or ROLLBACK.
template <class Work>
auto in_transaction(Connection& connection, const std::string& end, Work&& work)
    -> std::invoke_result_t<Work&> {
  if (Result<std::string> begun = connection.execute(std::string("BEGIN; ") + kLock); !begun) {
    return begun.failure();
  }
  auto outcome = work();
  if (outcome.ok()) {
    Result<std::string> ended = connection.execute(end);
    if (!ended) return ended.failure();
    if (*ended != end) return fail(ErrorCode::kStoreFailed, end + " was answered with " + *ended);
    return outcome;
  }
  if (!connection.broken()) static_cast<void>(connection.execute("ROLLBACK"));
  return outcome;
}

/// Runs the step and notes it, inside a transaction.
Result<void> run_step(Connection& connection, const MigrationStep& step, base::SystemTime now) {
  const std::string sql(postgres_migrations::embedded_file(step.name));
  const auto work = [&]() -> Result<void> {
    for (const std::string& text : {std::string(kCreateTable), sql}) {
      if (Result<std::string> ran = connection.execute(text); !ran) return ran.failure();
    }
    Result<Rows> noted = ask(
        connection,
        Query(
            "INSERT INTO schema_migrations (number, name, sha256, applied) VALUES ($1, $2, $3, $4)",
            step.number, step.name, migration_checksum(sql), now));
    if (!noted) return noted.failure();
    return {};
  };
  if (Result<void> done = work(); !done) {
    return fail(done.code(), step.name + ": " + done.error().detail);
  }
  return {};
}

/// Applies one step unless somebody else just did: one transaction.
Result<void> apply(Connection& connection, MigrationStep& step, base::SystemTime now) {
  const auto work = [&]() -> Result<bool> {
    Result<AppliedMigrations> applied = read_applied(connection);
    if (!applied) return applied.failure();
    if (const auto known = applied->find(step.number); known != applied->end()) {
      step.applied = known->second.time;
      return false;
    }
    if (Result<void> ran = run_step(connection, step, now); !ran) return ran.failure();
    step.applied = now;
    return true;
  };
  Result<bool> applied_now = in_transaction(connection, "COMMIT", work);
  if (!applied_now) return applied_now.failure();
  step.state = *applied_now ? MigrationStep::State::kAppliedNow : MigrationStep::State::kApplied;
  return {};
}

Result<std::unique_ptr<Connection>> connect(const PostgresOptions& options) {
  ConnectionSettings settings;
  settings.url = options.url;
  settings.allow_unsafe_server_for_test = options.allow_unsafe_server_for_test;
  // A step may rewrite a large table, and waits for another program that migrates.
  settings.statement_timeout = std::chrono::milliseconds(0);
  settings.lock_timeout = std::chrono::minutes(1);
  settings.idle_in_transaction_timeout = std::chrono::minutes(1);
  return Connection::open(settings);
}

base::SystemTime now_of(const PostgresOptions& options) {
  return options.clock != nullptr ? options.clock->now() : base::SystemClock().now();
}

/// In front of each failure: which database.
tl::unexpected<Error> name_database(const PostgresOptions& options, const Error& error) {
  return fail(error.code, postgres::describe_url(options.url) + ": " + error.detail);
}

}  // namespace

Result<std::vector<MigrationStep>> migrate_postgres(const PostgresOptions& options) {
  Result<std::unique_ptr<Connection>> connection = connect(options);
  if (!connection) return connection.failure();
  Result<AppliedMigrations> applied = read_applied(**connection);
  if (!applied) return name_database(options, applied.error());
  const base::SystemTime now = now_of(options);
  std::vector<MigrationStep> steps = describe_migrations(embedded_postgres_migrations(), *applied);
  for (MigrationStep& step : steps) {
    if (step.state == MigrationStep::State::kApplied) continue;
    Result<void> done = apply(**connection, step, now);
    if (!done) return name_database(options, done.error());
  }
  return steps;
}

Result<std::vector<MigrationStep>> try_postgres_migrations(const PostgresOptions& options) {
  Result<std::unique_ptr<Connection>> connection = connect(options);
  if (!connection) return connection.failure();
  const base::SystemTime now = now_of(options);
  const auto work = [&]() -> Result<std::vector<MigrationStep>> {
    Result<AppliedMigrations> applied = read_applied(**connection);
    if (!applied) return applied.failure();
    std::vector<MigrationStep> steps =
        describe_migrations(embedded_postgres_migrations(), *applied);
    for (MigrationStep& step : steps) {
      if (step.state == MigrationStep::State::kApplied) continue;
      if (Result<void> ran = run_step(**connection, step, now); !ran) return ran.failure();
      step.state = MigrationStep::State::kTried;
    }
    return steps;
  };
  Result<std::vector<MigrationStep>> steps = in_transaction(**connection, "ROLLBACK", work);
  if (!steps) return name_database(options, steps.error());
  return steps;
}

Result<std::vector<MigrationStep>> list_postgres_migrations(const PostgresOptions& options) {
  Result<std::unique_ptr<Connection>> connection = connect(options);
  if (!connection) return connection.failure();
  Result<AppliedMigrations> applied = read_applied(**connection);
  if (!applied) return name_database(options, applied.error());
  return describe_migrations(embedded_postgres_migrations(), *applied);
}

std::vector<EmbeddedMigration> embedded_postgres_migrations() {
  std::vector<EmbeddedMigration> migrations;
  migrations.reserve(std::size(kNames));
  for (const std::string_view name : kNames) {
    migrations.push_back({name, postgres_migrations::embedded_file(name)});
  }
  return migrations;
}

}  // namespace countersign::storage

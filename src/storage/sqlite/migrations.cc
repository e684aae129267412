#include "storage/sqlite/migrations.h"

#include <array>
#include <iterator>
#include <type_traits>

#include <unistd.h>

#include "storage/sqlite/connection.h"

namespace countersign::storage {

namespace sqlite_migrations {
/// Written by cmake/EmbedFiles.cmake.
std::string_view embedded_file(std::string_view name) noexcept;
}  // namespace sqlite_migrations

namespace {

constexpr std::array<std::string_view, 14> kNames = {
    "0001_accounts.sql",         "0002_sessions.sql",
    "0003_throttles.sql",        "0004_instances.sql",
    "0005_revocations.sql",      "0006_meta.sql",
    "0007_applications.sql",     "0008_presented_tickets.sql",
    "0009_email_lookup.sql",     "0010_messages.sql",
    "0011_callbacks.sql",        "0012_classic.sql",
    "0013_bounded_messages.sql", "0014_undelivered_messages.sql",
};

constexpr const char* kCreateTable =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    "number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL,"
    "applied INTEGER NOT NULL) STRICT";

Result<bool> table_exists(Connection& connection) {
  Result<Statement> statement = connection.prepare(
      "SELECT count(*), count(*) FILTER (WHERE name = 'schema_migrations') FROM sqlite_schema "
      "WHERE type = 'table'");
  if (!statement) return statement.failure();
  if (Result<bool> row = statement->step(); !row) return row.failure();
  if (statement->integer(1) > 0) return true;
  if (statement->integer(0) == 0) return false;
  return fail(ErrorCode::kSchemaMismatch, "the file holds the tables of another program");
}

/// What the store says has been applied, checked against what this program knows.
Result<AppliedMigrations> read_applied(Connection& connection) {
  AppliedMigrations applied;
  Result<bool> exists = table_exists(connection);
  if (!exists) return exists.failure();
  if (!*exists) return applied;
  Result<Statement> statement =
      connection.prepare("SELECT number, name, sha256, applied FROM schema_migrations");
  if (!statement) return statement.failure();
  for (;;) {
    Result<bool> row = statement->step();
    if (!row) return row.failure();
    if (!*row) break;
    applied[static_cast<int>(statement->integer(0))] =
        AppliedMigration{statement->bytes(1), statement->bytes(2), statement->time(3)};
  }
  if (Result<void> checked = check_applied(applied, embedded_sqlite_migrations()); !checked) {
    return checked.failure();
  }
  return applied;
}

/// Runs `work`, which answers a Result, in one transaction that holds the write lock from the
/// start.
template <class Work>
auto in_transaction(Connection& connection, const char* end, Work&& work)
    -> std::invoke_result_t<Work&> {
  if (Result<void> begun = connection.execute("BEGIN IMMEDIATE"); !begun) return begun.failure();
  auto outcome = work();
  if (outcome.ok()) {
    if (Result<void> ended = connection.execute(end); !ended) outcome = ended.failure();
  }
  if (!outcome && !connection.autocommit()) static_cast<void>(connection.execute("ROLLBACK"));
  return outcome;
}

/// Runs the step and notes it, inside a transaction.
Result<void> run_step(Connection& connection, const MigrationStep& step, base::SystemTime now) {
  const auto work = [&]() -> Result<void> {
    if (Result<void> made = connection.execute(kCreateTable); !made) return made.failure();
    const std::string sql(sqlite_migrations::embedded_file(step.name));
    if (Result<void> ran = connection.execute(sql); !ran) return ran.failure();
    Result<std::int64_t> noted = connection.run(
        "INSERT INTO schema_migrations (number, name, sha256, applied) VALUES (?, ?, ?, ?)",
        step.number, step.name, migration_checksum(sql), now);
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

Result<std::unique_ptr<Connection>> connect(const SqliteOptions& options, bool create) {
  ConnectionSettings settings;
  settings.path = options.path;
  settings.vfs = options.vfs;
  settings.full_sync = options.full_sync_for_test;
  settings.create = create;
  settings.use_wal = false;  // not before it is known to be our file
  return Connection::open(settings);
}

/// In front of each failure: which file.
tl::unexpected<Error> name_file(const SqliteOptions& options, const Error& error) {
  if (error.detail.starts_with(options.path)) return tl::make_unexpected(error);
  return fail(error.code, options.path + ": " + error.detail);
}

base::SystemTime now_of(const SqliteOptions& options) {
  return options.clock != nullptr ? options.clock->now() : base::SystemClock().now();
}

}  // namespace

Result<std::vector<MigrationStep>> migrate_sqlite(const SqliteOptions& options) {
  Result<std::unique_ptr<Connection>> connection = connect(options, true);
  if (!connection) return connection.failure();
  Result<AppliedMigrations> applied = read_applied(**connection);
  if (!applied) return name_file(options, applied.error());

  if (Result<void> enabled = (*connection)->enable_wal(); !enabled) return enabled.failure();

  const base::SystemTime now = now_of(options);
  std::vector<MigrationStep> steps = describe_migrations(embedded_sqlite_migrations(), *applied);
  for (MigrationStep& step : steps) {
    if (step.state == MigrationStep::State::kApplied) continue;
    Result<void> done = apply(**connection, step, now);
    if (!done) return name_file(options, done.error());
  }
  return steps;
}

Result<std::vector<MigrationStep>> list_sqlite_migrations(const SqliteOptions& options) {
  if (::access(options.path.c_str(), F_OK) != 0) {
    return describe_migrations(embedded_sqlite_migrations(), {});
  }
  Result<std::unique_ptr<Connection>> connection = connect(options, false);
  if (!connection) return connection.failure();
  Result<AppliedMigrations> applied = read_applied(**connection);
  if (!applied) return name_file(options, applied.error());
  return describe_migrations(embedded_sqlite_migrations(), *applied);
}

Result<std::vector<MigrationStep>> try_sqlite_migrations(const SqliteOptions& options) {
  if (::access(options.path.c_str(), F_OK) != 0) return list_sqlite_migrations(options);
  Result<std::unique_ptr<Connection>> connection = connect(options, false);
  if (!connection) return connection.failure();
  const base::SystemTime now = now_of(options);
  const auto work = [&]() -> Result<std::vector<MigrationStep>> {
    Result<AppliedMigrations> applied = read_applied(**connection);
    if (!applied) return applied.failure();
    std::vector<MigrationStep> steps = describe_migrations(embedded_sqlite_migrations(), *applied);
    for (MigrationStep& step : steps) {
      if (step.state == MigrationStep::State::kApplied) continue;
      if (Result<void> ran = run_step(**connection, step, now); !ran) return ran.failure();
      step.state = MigrationStep::State::kTried;
    }
    return steps;
  };
  Result<std::vector<MigrationStep>> steps = in_transaction(**connection, "ROLLBACK", work);
  if (!steps) return name_file(options, steps.error());
  return steps;
}

std::vector<EmbeddedMigration> embedded_sqlite_migrations() {
  std::vector<EmbeddedMigration> migrations;
  migrations.reserve(std::size(kNames));
  for (const std::string_view name : kNames) {
    migrations.push_back({name, sqlite_migrations::embedded_file(name)});
  }
  return migrations;
}

}  // namespace countersign::storage

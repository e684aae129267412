// The numbered steps of the schema.
#include "storage/postgres/migrations.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fake_clock.h"
#include "storage/conformance/conformance.h"
#include "storage/postgres/testing/postgres_server.h"

namespace countersign::storage {
namespace {

using postgres::TestDatabase;
using ::testing::HasSubstr;
using State = MigrationStep::State;
constexpr auto kEmpty = TestDatabase::Kind::kEmpty;

const std::filesystem::path kFolder = std::filesystem::path(COUNTERSIGN_SOURCE_DIR) / "migrations";
const std::size_t kSteps = embedded_postgres_migrations().size();

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::vector<std::string> names_of(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::size_t count(const std::vector<MigrationStep>& steps, State state) {
  return static_cast<std::size_t>(std::count_if(
      steps.begin(), steps.end(), [&](const MigrationStep& step) { return step.state == state; }));
}

TEST(PostgresMigrations, TheEmbeddedStepsAreTheFilesOfTheFolder) {
  const std::vector<std::string> files = names_of(kFolder / "postgres");
  const std::vector<EmbeddedMigration> embedded = embedded_postgres_migrations();
  ASSERT_EQ(files.size(), embedded.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(files[i], embedded[i].name);
    EXPECT_EQ(read_file(kFolder / "postgres" / files[i]), embedded[i].sql);
  }
}

TEST(PostgresMigrations, HaveTheNumbersAndNamesOfSqlites) {
  const std::vector<std::string> ours = names_of(kFolder / "postgres");
  const std::vector<std::string> theirs = names_of(kFolder / "sqlite");
  ASSERT_LE(ours.size(), theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i) EXPECT_EQ(ours[i], theirs[i]);
}

TEST(PostgresMigrations, AreAppliedOnceAndRemembered) {
  const TestDatabase test(kEmpty);
  base::FakeClock clock;
  PostgresOptions options = test.options();
  options.clock = &clock;
  const base::SystemTime first_run = clock.now();
  EXPECT_EQ(count(list_postgres_migrations(options).value(), State::kPending), kSteps);
  EXPECT_EQ(count(migrate_postgres(options).value(), State::kAppliedNow), kSteps);
  clock.advance(std::chrono::hours(1));
  for (const std::vector<MigrationStep>& again :
       {migrate_postgres(options).value(), list_postgres_migrations(options).value()}) {
    ASSERT_EQ(count(again, State::kApplied), kSteps);
    EXPECT_EQ(again[0].name, "0001_accounts.sql");
    EXPECT_EQ(again[0].applied, first_run);
  }
}

TEST(PostgresMigrations, ATrialRunsThePendingStepsAndLeavesNoTrace) {
  const TestDatabase test(kEmpty);
  EXPECT_EQ(count(try_postgres_migrations(test.options()).value(), State::kTried), kSteps);
  EXPECT_EQ(count(list_postgres_migrations(test.options()).value(), State::kPending), kSteps);
  ASSERT_TRUE(succeeded(migrate_postgres(test.options())));
  EXPECT_EQ(count(try_postgres_migrations(test.options()).value(), State::kApplied), kSteps);
}

TEST(PostgresMigrations, AStepThatFailsIsUndoneWholeAndNamed) {
  const TestDatabase test(kEmpty);
  // Somebody made a function that the third step makes too; the table it makes before goes.
  test.execute(
      "CREATE FUNCTION swap_throttle_counters(text[], bigint[], bigint[], bigint[], bigint[], "
      "bigint[], bigint[], bigint[], bigint[]) RETURNS boolean LANGUAGE sql AS 'SELECT true'");
  for (const Result<std::vector<MigrationStep>>& failed :
       {try_postgres_migrations(test.options()), migrate_postgres(test.options())}) {
    ASSERT_FALSE(failed.ok());
    EXPECT_THAT(failed.error().detail, HasSubstr("0003_throttles.sql"));
  }
  test.execute("DROP FUNCTION swap_throttle_counters");
  const std::vector<MigrationStep> rest = migrate_postgres(test.options()).value();
  EXPECT_EQ(count(rest, State::kApplied), 2u);
  EXPECT_EQ(count(rest, State::kAppliedNow), kSteps - 2);
}

TEST(PostgresMigrations, AnOlderSchemaIsRefusedWhereMigratingIsOff) {
  const TestDatabase test(kEmpty);
  PostgresOptions options = test.options();
  options.migrate = false;
  EXPECT_TRUE(failed_with(open_postgres_store(options), ErrorCode::kSchemaMismatch));
  ASSERT_TRUE(succeeded(migrate_postgres(options)));
  EXPECT_TRUE(succeeded(open_postgres_store(options)));
}

TEST(PostgresMigrations, ANewerSchemaIsRefusedAndTheErrorSaysWhatToDo) {
  const TestDatabase test;
  test.execute("INSERT INTO schema_migrations VALUES (9999, '9999_later.sql', 'x', 0)");
  const Result<std::unique_ptr<Store>> store = open_postgres_store(test.options());
  ASSERT_TRUE(failed_with(store, ErrorCode::kSchemaMismatch));
  EXPECT_THAT(store.error().detail, HasSubstr("9999_later.sql"));
  EXPECT_THAT(store.error().detail, HasSubstr("run the version that made it"));
  EXPECT_TRUE(failed_with(list_postgres_migrations(test.options()), ErrorCode::kSchemaMismatch));
}

TEST(PostgresMigrations, AnEditedStepIsRefused) {
  const TestDatabase test;
  test.execute("UPDATE schema_migrations SET sha256 = 'other' WHERE number = 2");
  const Result<std::unique_ptr<Store>> store = open_postgres_store(test.options());
  ASSERT_TRUE(failed_with(store, ErrorCode::kSchemaMismatch));
  EXPECT_THAT(store.error().detail, HasSubstr("0002_sessions.sql"));
}

TEST(PostgresMigrations, AnotherProgramsDatabaseIsRefused) {
  const TestDatabase test(kEmpty);
  test.execute("CREATE TABLE accounts (id bigint)");
  EXPECT_TRUE(failed_with(open_postgres_store(test.options()), ErrorCode::kSchemaMismatch));
  EXPECT_TRUE(failed_with(list_postgres_migrations(test.options()), ErrorCode::kSchemaMismatch));
}

TEST(PostgresMigrations, OfManyMigratorsEachStepIsAppliedByOne) {
  const TestDatabase test(kEmpty);
  std::atomic<std::size_t> applied = 0;
  in_parallel(4, [&](int) {
    const Result<std::vector<MigrationStep>> steps = migrate_postgres(test.options());
    ASSERT_TRUE(succeeded(steps));
    EXPECT_EQ(count(*steps, State::kPending), 0u);
    applied += count(*steps, State::kAppliedNow);
  });
  EXPECT_EQ(applied, kSteps);
}

TEST(PostgresMigrations, AddressesOfBeforeAreFoundInFoldedForm) {
  const TestDatabase test(kEmpty);
  const std::vector<EmbeddedMigration> steps = embedded_postgres_migrations();
  test.execute(
      "CREATE TABLE schema_migrations (number bigint NOT NULL PRIMARY KEY, name text NOT NULL, "
      "sha256 text NOT NULL, applied bigint NOT NULL)");
  for (std::size_t i = 0; i < 8; ++i) {
    test.execute(std::string(steps[i].sql));
    test.execute("INSERT INTO schema_migrations VALUES (" + std::to_string(i + 1) + ", '" +
                 std::string(steps[i].name) + "', '" + migration_checksum(steps[i].sql) + "', 0)");
  }
  test.execute(
      "INSERT INTO accounts VALUES "
      "('second', 'second', 'second', '\xC3\x84nn@example.org', NULL, false, false, 0, 1), "
      "('owner', 'owner', 'owner', 'Ann@example.org', 'ann@example.org', false, false, 0, 3), "
      "('third', 'third', 'third', 'ANN@example.org', NULL, false, false, 0, 2), "
      "('none', 'none', 'none', NULL, NULL, false, false, 0, 4)");
  const std::unique_ptr<Store> store = open_postgres_store(test.options()).value();
  const std::vector<Account> holders =
      store->accounts().find_accounts_by_email("ann@example.org", 8).value();
  ASSERT_EQ(holders.size(), 2u);
  EXPECT_EQ(holders[0].user_name, "owner");
  EXPECT_EQ(holders[1].user_name, "third");
  EXPECT_EQ(store->accounts().find_account_by_name("second").value()->email_lookup,
            "\xC3\x84nn@example.org")
      << "folded as the program folds: ASCII alone";
  EXPECT_FALSE(store->accounts().find_account_by_name("none").value()->email_lookup.has_value());
}

}  // namespace
}  // namespace countersign::storage

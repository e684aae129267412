// The numbered steps of the schema.
#include "storage/sqlite/migrations.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/fake_clock.h"
#include "storage/conformance/conformance.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/dropping_vfs_for_test.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::storage {
namespace {

using State = MigrationStep::State;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// Runs SQL on the file as it is.
void execute(const std::string& path, const std::string& sql) {
  ConnectionSettings settings;
  settings.path = path;
  settings.create = true;
  settings.use_wal = false;
  ASSERT_TRUE(succeeded(Connection::open(settings).value()->execute(sql)));
}

std::size_t count(const std::vector<MigrationStep>& steps, State state) {
  return static_cast<std::size_t>(std::count_if(
      steps.begin(), steps.end(), [&](const MigrationStep& step) { return step.state == state; }));
}

const std::size_t kSteps = embedded_sqlite_migrations().size();

TEST(SqliteMigrations, TheEmbeddedStepsAreTheFilesOfTheFolder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(COUNTERSIGN_SOURCE_DIR) / "migrations" / "sqlite")) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  const std::vector<EmbeddedMigration> embedded = embedded_sqlite_migrations();
  ASSERT_EQ(files.size(), embedded.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(files[i].filename(), embedded[i].name);
    EXPECT_EQ(read_file(files[i]), embedded[i].sql);
    const std::string number = std::to_string(10000 + i + 1).substr(1) + "_";
    EXPECT_TRUE(embedded[i].name.starts_with(number)) << embedded[i].name;
  }
}

TEST(SqliteMigrations, AreAppliedOnceAndRemembered) {
  const TestDirectory directory;
  base::FakeClock clock;
  SqliteOptions options = directory.options();
  options.clock = &clock;
  const base::SystemTime first_run = clock.now();
  const std::vector<MigrationStep> first = migrate_sqlite(options).value();
  EXPECT_EQ(count(first, State::kAppliedNow), kSteps);
  clock.advance(std::chrono::hours(1));
  for (const std::vector<MigrationStep>& again :
       {migrate_sqlite(options).value(), list_sqlite_migrations(options).value()}) {
    ASSERT_EQ(count(again, State::kApplied), kSteps);
    EXPECT_EQ(again[0].number, 1);
    EXPECT_EQ(again[0].name, "0001_accounts.sql");
    EXPECT_EQ(again[0].applied, first_run);
  }
}

TEST(SqliteMigrations, ATrialRunsThePendingStepsAndLeavesNoTrace) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  EXPECT_EQ(count(try_sqlite_migrations(options).value(), State::kPending), kSteps);
  EXPECT_FALSE(std::filesystem::exists(options.path));
  execute(options.path, "VACUUM");  // makes the file
  EXPECT_EQ(count(try_sqlite_migrations(options).value(), State::kTried), kSteps);
  EXPECT_EQ(count(list_sqlite_migrations(options).value(), State::kPending), kSteps);
  ASSERT_TRUE(succeeded(migrate_sqlite(options)));
  EXPECT_EQ(count(try_sqlite_migrations(options).value(), State::kApplied), kSteps);
}

TEST(SqliteMigrations, AreAllPendingWhereThereIsNoFileAndListingMakesNone) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  EXPECT_EQ(count(list_sqlite_migrations(options).value(), State::kPending), kSteps);
  EXPECT_FALSE(std::filesystem::exists(options.path));
}

TEST(SqliteMigrations, AnOlderSchemaIsRefusedWhereMigratingIsOff) {
  const TestDirectory directory;
  SqliteOptions options = directory.options();
  options.migrate = false;
  EXPECT_TRUE(failed_with(open_sqlite_store(options), ErrorCode::kSchemaMismatch));
  EXPECT_FALSE(std::filesystem::exists(options.path));
  ASSERT_TRUE(succeeded(migrate_sqlite(options)));
  EXPECT_TRUE(succeeded(open_sqlite_store(options)));
}

TEST(SqliteMigrations, ANewerSchemaIsRefused) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  ASSERT_TRUE(succeeded(migrate_sqlite(options)));
  execute(options.path, "INSERT INTO schema_migrations VALUES (9999, '9999_later.sql', 'x', 0)");
  const Result<std::unique_ptr<Store>> store = open_sqlite_store(options);
  EXPECT_TRUE(failed_with(store, ErrorCode::kSchemaMismatch));
  EXPECT_NE(store.error().detail.find("9999_later.sql"), std::string::npos);
  EXPECT_TRUE(failed_with(list_sqlite_migrations(options), ErrorCode::kSchemaMismatch));
}

TEST(SqliteMigrations, AnEditedStepIsRefused) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  ASSERT_TRUE(succeeded(migrate_sqlite(options)));
  execute(options.path, "UPDATE schema_migrations SET sha256 = 'other' WHERE number = 2");
  const Result<std::unique_ptr<Store>> store = open_sqlite_store(options);
  EXPECT_TRUE(failed_with(store, ErrorCode::kSchemaMismatch));
  EXPECT_NE(store.error().detail.find("0002_sessions.sql"), std::string::npos);
}

TEST(SqliteMigrations, AnotherProgramsDatabaseIsRefusedUnchanged) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  execute(options.path, "CREATE TABLE accounts (id INTEGER)");
  const std::string before = read_file(options.path);
  EXPECT_TRUE(failed_with(open_sqlite_store(options), ErrorCode::kSchemaMismatch));
  EXPECT_TRUE(failed_with(list_sqlite_migrations(options), ErrorCode::kSchemaMismatch));
  EXPECT_EQ(read_file(options.path), before);
}

TEST(SqliteMigrations, OfManyMigratorsEachStepIsAppliedByOne) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  std::atomic<std::size_t> applied = 0;
  in_parallel(4, [&](int) {
    const Result<std::vector<MigrationStep>> steps = migrate_sqlite(options);
    ASSERT_TRUE(succeeded(steps));
    EXPECT_EQ(count(*steps, State::kPending), 0u);
    applied += count(*steps, State::kAppliedNow);
  });
  EXPECT_EQ(applied, kSteps);
}

TEST(SqliteMigrations, AddressesOfBeforeAreFoundInFoldedForm) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  {
    ConnectionSettings settings;
    settings.path = options.path;
    settings.create = true;
    settings.use_wal = false;
    const std::unique_ptr<Connection> old = Connection::open(settings).value();
    const std::vector<EmbeddedMigration> steps = embedded_sqlite_migrations();
    ASSERT_TRUE(succeeded(
        old->execute("CREATE TABLE schema_migrations (number INTEGER NOT NULL PRIMARY KEY, name "
                     "TEXT NOT NULL, sha256 TEXT NOT NULL, applied INTEGER NOT NULL) STRICT")));
    for (std::size_t i = 0; i < 8; ++i) {
      ASSERT_TRUE(succeeded(old->execute(std::string(steps[i].sql))));
      ASSERT_TRUE(succeeded(old->run("INSERT INTO schema_migrations VALUES (?, ?, ?, 0)",
                                     static_cast<int>(i + 1), steps[i].name,
                                     base::hex_encode(base::sha256(steps[i].sql)))));
    }
    ASSERT_TRUE(succeeded(old->execute(
        "INSERT INTO accounts VALUES "
        "('second', 'second', 'second', '\xC3\x84nn@example.org', NULL, 0, 0, 0, 1), "
        "('owner', 'owner', 'owner', 'Ann@example.org', 'ann@example.org', 0, 0, 0, 3), "
        "('third', 'third', 'third', 'ANN@example.org', NULL, 0, 0, 0, 2), "
        "('none', 'none', 'none', NULL, NULL, 0, 0, 0, 4)")));
  }
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
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

TEST(SqliteMigrations, ContinueWhereTheyWereInterrupted) {
  // The disk breaks after 0, 1, 2, … writes and syncs, until migrating needs no more; each time the
  // file as a power loss would leave it is migrated to the end.
  bool done = false;
  std::size_t interrupted_midway = 0;
  for (std::int64_t operations = 0; !done; ++operations) {
    ASSERT_LT(operations, 2000);
    const TestDirectory directory;
    const TestDirectory image;
    {
      DroppingVfs vfs;
      SqliteOptions options = directory.options();
      options.vfs = vfs.name();
      vfs.fail_after(operations);
      done = migrate_sqlite(options).ok();
      vfs.write_image(image.path(), DroppingVfs::Unsynced::kSomeWrites,
                      static_cast<std::uint64_t>(operations));
    }
    const Result<std::vector<MigrationStep>> rest = migrate_sqlite(image.options());
    ASSERT_TRUE(succeeded(rest)) << operations;
    EXPECT_EQ(count(*rest, State::kPending), 0u);
    const std::size_t before = count(*rest, State::kApplied);
    if (before > 0 && before < kSteps) ++interrupted_midway;
    EXPECT_TRUE(succeeded(open_sqlite_store(image.options())));
  }
  EXPECT_GT(interrupted_midway, 0u);
}

}  // namespace
}  // namespace countersign::storage

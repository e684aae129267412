// A backup is one consistent moment however much is written meanwhile; putting one in place never
// leaves less than a whole store.
#include "storage/sqlite/backup.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "storage/conformance/conformance.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::storage {
namespace {

BackupTarget target(const TestDirectory& directory, const std::string& name = "backup.db") {
  return {directory.file(name), false, "epoch of the copy", at(7), nullptr};
}

void set(Store& store, const std::string& name, const std::string& value) {
  ASSERT_TRUE(succeeded(store.meta().set(name, value)));
}

TEST(SqliteBackup, IsOneMomentWhileOthersWrite) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  for (int n = 0; n < 300; ++n) set(*store, "ballast-" + std::to_string(n), std::string(9000, 'x'));
  // Two values that are always written one after the other: no moment has the second further on.
  std::atomic<bool> stop = false;
  std::atomic<int> rounds = 0;
  std::thread writer([&] {
    for (int n = 1; !stop; ++n) {
      set(*store, "first", std::to_string(n));
      set(*store, "second", std::to_string(n));
      rounds = n;
    }
  });
  while (rounds == 0) std::this_thread::yield();

  BackupTarget to = target(directory);
  int told = 0;
  int written_meanwhile = 0;
  to.progress = [&](std::int64_t done, std::int64_t total) {
    EXPECT_LE(done, total);
    ++told;
    // The copy goes on only when somebody has written: it cannot be quicker than they are.
    const int before = rounds;
    while (rounds == before) std::this_thread::yield();
    ++written_meanwhile;
  };
  const Result<BackupFacts> made = back_up_sqlite(options, to);
  stop = true;
  writer.join();
  ASSERT_TRUE(succeeded(made));
  EXPECT_GT(told, 1);
  EXPECT_EQ(written_meanwhile, told);
  EXPECT_EQ(made->taken, at(7));
  EXPECT_EQ(made->bytes, static_cast<std::int64_t>(std::filesystem::file_size(to.path)));

  SqliteOptions copied = options;
  copied.path = to.path;
  const std::unique_ptr<Store> copy = open_sqlite_store(copied).value();
  const int first = std::stoi(copy->meta().get("first").value().value());
  const int second = std::stoi(copy->meta().get("second").value().value());
  EXPECT_TRUE(first == second || first == second + 1) << first << " and " << second;
  EXPECT_LT(first, rounds.load());
  EXPECT_EQ(copy->messages().epoch().value(), "epoch of the copy");
  EXPECT_NE(store->messages().epoch().value(), "epoch of the copy");
}

TEST(SqliteBackup, IsPrivateAndAlone) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  std::filesystem::create_directory(directory.file("out"));
  const BackupTarget to = target(directory, "out/backup.db");
  const auto mask = ::umask(0);
  const Result<BackupFacts> made = back_up_sqlite(options, to);
  ::umask(mask);
  ASSERT_TRUE(succeeded(made));
  struct stat status {};
  ASSERT_EQ(::stat(to.path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  const std::filesystem::directory_iterator all(directory.file("out"));
  EXPECT_EQ(std::distance(begin(all), end(all)), 1);
}

TEST(SqliteBackup, TwoThatMakeOneFileDoNotMeet) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  BackupTarget to = target(directory);
  int refused = 0;
  to.progress = [&](std::int64_t, std::int64_t) {
    if (failed_with(back_up_sqlite(options, target(directory)), ErrorCode::kAlreadyExists)) {
      ++refused;
    }
  };
  EXPECT_TRUE(succeeded(back_up_sqlite(options, to)));
  EXPECT_GT(refused, 0);
  EXPECT_TRUE(failed_with(back_up_sqlite(options, target(directory)), ErrorCode::kAlreadyExists));
  to.replace = true;
  to.progress = nullptr;
  EXPECT_TRUE(succeeded(back_up_sqlite(options, to)));
}

TEST(SqliteBackup, GoesWhenItCannotBeFinished) {
  const TestDirectory directory;
  EXPECT_TRUE(failed_with(back_up_sqlite(directory.options("absent.db"), target(directory)),
                          ErrorCode::kUnreadableFile));
  const SqliteOptions options = directory.options();
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  EXPECT_TRUE(failed_with(back_up_sqlite(options, target(directory, "no/folder.db")),
                          ErrorCode::kUnwritableFile));
  BackupTarget itself = target(directory, "store.db");
  itself.replace = true;
  EXPECT_TRUE(failed_with(back_up_sqlite(options, itself), ErrorCode::kUsage));
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    EXPECT_NE(entry.path().extension(), ".partial") << entry.path();
  }
}

TEST(StagedBackup, TakesThePlaceOfTheStoreWhichIsKept) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  {
    const std::unique_ptr<Store> store = open_sqlite_store(options).value();
    set(*store, "what", "old");
    ASSERT_TRUE(succeeded(back_up_sqlite(options, target(directory))));
    set(*store, "what", "new");
    Result<StagedBackup> staged =
        StagedBackup::stage(directory.file("backup.db"), options.path + ".restoring", nullptr);
    ASSERT_TRUE(succeeded(staged));
    EXPECT_TRUE(failed_with(staged->put_in_place(options.path, directory.file("kept.db")),
                            ErrorCode::kDataDirLocked))
        << "the store is open";
  }
  EXPECT_FALSE(path_exists(options.path + ".restoring"));
  {
    Result<StagedBackup> staged =
        StagedBackup::stage(directory.file("backup.db"), options.path + ".restoring", nullptr);
    ASSERT_TRUE(succeeded(staged));
    EXPECT_EQ(staged->facts().taken, at(7));
    const Result<bool> kept = staged->put_in_place(options.path, directory.file("kept.db"));
    ASSERT_TRUE(succeeded(kept));
    EXPECT_TRUE(*kept);
  }
  EXPECT_EQ(open_sqlite_store(options).value()->meta().get("what").value(), "old");
  EXPECT_EQ(open_sqlite_store(directory.options("kept.db")).value()->meta().get("what").value(),
            "new");
  EXPECT_FALSE(path_exists(options.path + ".restoring"));
}

TEST(StagedBackup, ReadsACopyWithItsLog) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  set(*store, "what", "still in the log");
  for (const char* suffix : {"", "-wal"}) {
    std::filesystem::copy_file(options.path + suffix, directory.file("copy.db") + suffix);
  }
  Result<StagedBackup> staged =
      StagedBackup::stage(directory.file("copy.db"), directory.file("staged.db"), nullptr);
  ASSERT_TRUE(succeeded(staged));
  EXPECT_FALSE(staged->facts().taken.has_value());
  EXPECT_EQ(open_sqlite_store(directory.options("staged.db")).value()->meta().get("what").value(),
            "still in the log");
}

TEST(StagedBackup, RemovesTheSecondNameThatAKilledRestoreLeft) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  ASSERT_TRUE(open_sqlite_store(options).ok());
  ASSERT_TRUE(succeeded(back_up_sqlite(options, target(directory))));
  const std::string second = options.path + ".before-restore-then";
  std::filesystem::create_hard_link(options.path, second);
  Result<StagedBackup> staged =
      StagedBackup::stage(directory.file("backup.db"), options.path + ".restoring", nullptr);
  ASSERT_TRUE(succeeded(staged));
  ASSERT_TRUE(succeeded(staged->put_in_place(options.path, options.path + ".before-restore-now")));
  EXPECT_FALSE(path_exists(second));
  EXPECT_EQ(std::filesystem::hard_link_count(options.path + ".before-restore-now"), 1U);
}

}  // namespace
}  // namespace countersign::storage

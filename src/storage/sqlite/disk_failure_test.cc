// Full and failing disks, and the bound of the write-ahead log.
#include <algorithm>
#include <atomic>
#include <filesystem>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "storage/conformance/conformance.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/dropping_vfs_for_test.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::storage {
namespace {

/// Writes values of 8 kB until one is refused; returns how many were acknowledged and sets `last`.
int fill(Store& store, Result<void>& last) {
  for (int n = 0;; ++n) {
    last = store.meta().set("filler-" + std::to_string(n), std::string(8 << 10, 'x'));
    if (!last.ok() || n > 10000) return n;
  }
}

TEST(SqliteDiskFull, RefusesNewThingsLetsOldOnesGoAndRecovers) {
  const TestDirectory directory;
  DroppingVfs vfs;
  SqliteOptions options = directory.options();
  options.vfs = vfs.name();
  options.on_fatal = [](std::string_view what) { FAIL() << what; };
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  const Account ann = sample_account("ann");
  ASSERT_TRUE(succeeded(store->accounts().create_account(ann, "hash")));
  std::vector<SessionHandle> sessions;
  for (int i = 0; i < 20; ++i) {
    const SignInSession session = sample_session(std::to_string(i), ann.id);
    ASSERT_TRUE(succeeded(store->sessions().create_session(session, 100)));
    sessions.push_back(session.handle);
  }

  vfs.set_disk_bytes(vfs.bytes_used() + (100 << 10));
  Result<void> refused;
  const int kept = fill(*store, refused);
  EXPECT_TRUE(failed_with(refused, ErrorCode::kStoreFull));
  EXPECT_TRUE(failed_with(
      store->accounts().create_account(sample_account("bob"), std::string(200 << 10, 'h')),
      ErrorCode::kStoreFull));

  for (const SessionHandle& session : sessions) {
    const Result<bool> ended = store->sessions().end_session(session, "sign_out", at(9));
    ASSERT_TRUE(succeeded(ended));
    EXPECT_TRUE(*ended);
  }
  EXPECT_EQ(store->revocations().head().value(), 20);
  EXPECT_TRUE(succeeded(store->accounts().set_disabled(ann.id, true, {}, at(10))));
  for (int n = 0; n < kept; ++n) {
    EXPECT_TRUE(store->meta().get("filler-" + std::to_string(n)).value().has_value()) << n;
  }

  vfs.heal();
  EXPECT_TRUE(succeeded(store->accounts().create_account(sample_account("bob"), "hash")));
  EXPECT_EQ(std::filesystem::file_size(options.path + "-reserve"),
            static_cast<std::uintmax_t>(options.reserve_bytes));
}

TEST(SqliteDiskFull, WhatTheReserveFreedIsNotTakenByNewThings) {
  const TestDirectory directory;
  DroppingVfs vfs;
  SqliteOptions options = directory.options();
  options.vfs = vfs.name();
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  const Account ann = sample_account("ann");
  ASSERT_TRUE(succeeded(store->accounts().create_account(ann, "hash")));
  const SignInSession session = sample_session("one", ann.id);
  ASSERT_TRUE(succeeded(store->sessions().create_session(session, 100)));

  vfs.set_disk_bytes(vfs.bytes_used());
  Result<void> refused;
  fill(*store, refused);
  ASSERT_TRUE(failed_with(refused, ErrorCode::kStoreFull));
  // Too much for what is left in the file and in the log.
  const std::string long_reason(16 << 10, 'r');
  ASSERT_TRUE(store->sessions().end_session(session.handle, long_reason, at(9)).value());
  EXPECT_FALSE(std::filesystem::exists(options.path + "-reserve"));

  EXPECT_TRUE(failed_with(store->meta().set("small", "x"), ErrorCode::kStoreFull));
  EXPECT_TRUE(succeeded(store->revocations().add(
      std::vector<Revocation>{identity_revocation({IdentityType::kUsername, "ann"}, at(9))})));
}

TEST(SqliteDiskFull, AStoreOpensOnAFullDiskAndStillEndsSessions) {
  const TestDirectory directory;
  DroppingVfs vfs;
  SqliteOptions options = directory.options();
  options.vfs = vfs.name();
  SignInSession session;
  {
    const std::unique_ptr<Store> store = open_sqlite_store(options).value();
    const Account ann = sample_account("ann");
    ASSERT_TRUE(succeeded(store->accounts().create_account(ann, "hash")));
    session = sample_session("one", ann.id);
    ASSERT_TRUE(succeeded(store->sessions().create_session(session, 100)));
  }
  vfs.set_disk_bytes(vfs.bytes_used());
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  EXPECT_TRUE(store->sessions().find_session(session.id_hash).value().has_value());
  EXPECT_TRUE(store->sessions().end_session(session.handle, "sign_out", at(9)).value());
}

TEST(SqliteIoError, EveryFailingOperationIsFatalOrAcknowledgedForGood) {
  // The disk breaks after 0, 1, 2, … further writes and syncs, until a run needs no more.
  bool done = false;
  for (std::int64_t operations = 0; !done; ++operations) {
    ASSERT_LT(operations, 500);
    const TestDirectory directory;
    DroppingVfs vfs;
    SqliteOptions options = directory.options();
    options.vfs = vfs.name();
    options.max_wal_bytes = 64 << 10;
    std::atomic<bool> fatal = false;
    options.on_fatal = [&](std::string_view) { fatal = true; };
    std::vector<std::string> acknowledged;
    {
      const std::unique_ptr<Store> store = open_sqlite_store(options).value();
      vfs.fail_after(operations);
      done = true;
      for (int i = 0; i < 8; ++i) {
        const std::string id = std::to_string(i);
        const Result<void> written = store->meta().set(id, std::string(4096, 'v'));
        if (written.ok()) {
          acknowledged.push_back(id);
        } else {
          done = false;
          EXPECT_EQ(written.code(), ErrorCode::kStoreFailed);
          EXPECT_TRUE(fatal);
          EXPECT_TRUE(failed_with(store->ping(), ErrorCode::kStoreFailed));
        }
      }
      if (done && fatal) done = false;  // a checkpoint failed after the last answer
    }
    vfs.heal();
    const TestDirectory image;
    vfs.write_image(image.path(), DroppingVfs::Unsynced::kLost);
    const std::unique_ptr<Store> after = open_sqlite_store(image.options()).value();
    for (const std::string& id : acknowledged) {
      EXPECT_TRUE(after->meta().get(id).value().has_value()) << operations << " " << id;
    }
  }
}

TEST(SqliteIoErrorDeathTest, EndsTheProcess) {
  const TestDirectory directory;
  const auto write_on_a_broken_disk = [&] {
    DroppingVfs vfs;
    SqliteOptions options = directory.options();
    options.vfs = vfs.name();
    const std::unique_ptr<Store> store = open_sqlite_store(options).value();
    vfs.fail_syncs();
    static_cast<void>(store->meta().set("name", "value"));
  };
  EXPECT_EXIT(write_on_a_broken_disk(), testing::ExitedWithCode(70), "store_io_error");
}

/// The size of a file, or 0.
std::int64_t size_of(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_size : 0;
}

TEST(SqliteLog, StaysBelowItsLimitWhileManyWriteAndRead) {
  const TestDirectory directory;
  DroppingVfs vfs;  // spares the disk the syncs
  SqliteOptions options = directory.options();
  options.vfs = vfs.name();
  options.max_wal_bytes = 1 << 20;
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  constexpr int kWriters = 4;
  std::atomic<int> writing = kWriters;
  std::int64_t largest = 0;
  in_parallel(kWriters + 2, [&](int thread) {
    if (thread < kWriters) {
      for (int n = 0; n < 400; ++n) {
        const std::string name = std::to_string(thread) + "-" + std::to_string(n);
        ASSERT_TRUE(succeeded(store->meta().set(name, std::string(4 << 10, 'x'))));
      }
      --writing;
    } else {
      while (writing > 0) {
        static_cast<void>(store->accounts().list_accounts("", 100).value());
        static_cast<void>(store->revocations().poll(0, 100).value());
        if (thread == kWriters) largest = std::max(largest, size_of(options.path + "-wal"));
      }
    }
  });
  EXPECT_GT(size_of(options.path), 6 << 20);  // what passed through the log
  EXPECT_GT(largest, 0);
  EXPECT_LE(largest, options.max_wal_bytes);
}

TEST(SqliteLog, IsCutBackWhenAReaderThatHeldItLeaves) {
  const TestDirectory directory;
  DroppingVfs vfs;
  SqliteOptions options = directory.options();
  options.vfs = vfs.name();
  options.max_wal_bytes = 256 << 10;
  std::atomic<std::int64_t> told = 0;
  options.on_log_bytes = [&](std::int64_t bytes) { told = bytes; };
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  const auto write_much = [&](char what) {
    for (int n = 0; n < 100; ++n) {
      ASSERT_TRUE(succeeded(store->meta().set(std::to_string(n), std::string(4 << 10, what))));
    }
  };
  write_much('a');
  ConnectionSettings settings;
  settings.path = options.path;
  settings.vfs = vfs.name();
  {
    const std::unique_ptr<Connection> reader = Connection::open(settings).value();
    ASSERT_TRUE(succeeded(reader->execute("BEGIN; SELECT count(*) FROM meta")));
    write_much('b');
    EXPECT_GT(size_of(options.path + "-wal"), options.max_wal_bytes);
    EXPECT_GT(told, options.max_wal_bytes);
    EXPECT_LE(told, size_of(options.path + "-wal"));
    ASSERT_TRUE(succeeded(reader->execute("COMMIT")));
  }
  write_much('c');
  EXPECT_LE(size_of(options.path + "-wal"), options.max_wal_bytes);
  EXPECT_LE(told, options.max_wal_bytes);
}

}  // namespace
}  // namespace countersign::storage

// Accepted means committed, for messages: kill -9, power loss, full and failing disks.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <set>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/conformance/message_conformance.h"
#include "storage/sqlite/dropping_vfs_for_test.h"
#include "storage/sqlite/message_checks_for_test.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::storage {
namespace {

/// How many of the accepted messages to Bob the store does not have; and checks that what it has is
/// sound.
std::size_t count_lost(const SqliteOptions& options, const std::vector<std::string>& accepted) {
  Result<std::unique_ptr<Store>> store = open_sqlite_store(options);
  EXPECT_TRUE(succeeded(store));
  if (!store) return accepted.size();
  EXPECT_EQ(faults_of_inbox(**store, "ann") + faults_of_inbox(**store, "bob"), "");
  EXPECT_EQ(faults_of_tables(options.path), "");
  std::set<std::string> there;
  for (const Entry& entry : whole_inbox(**store, "bob")) there.insert(entry.message.id);
  return static_cast<std::size_t>(
      std::count_if(accepted.begin(), accepted.end(),
                    [&](const std::string& id) { return there.count(id) == 0; }));
}

/// Sends many messages at once; returns how many of those whose callback had come are missing when
/// the power goes in the middle of a callback, over all callbacks that tried it.
std::size_t lose_power_in_callbacks(bool full_sync, DroppingVfs::Unsynced unsynced,
                                    const MessageMutants& mutants = {}) {
  constexpr int kMessages = 120;
  constexpr int kPowerLossEvery = 10;
  const TestDirectory directory;
  DroppingVfs vfs;
  SqliteOptions options = directory.options();
  options.vfs = vfs.name();
  options.full_sync_for_test = full_sync;
  options.mutants_for_test = mutants;
  if (full_sync) options.max_wal_bytes = 256 << 10;  // checkpoints happen all the time
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  sign_in(*store, {"ann", "bob"});

  std::vector<std::string> accepted;
  std::size_t lost = 0;
  std::promise<void> all;
  for (int n = 0; n < kMessages; ++n) {
    const std::string id = std::to_string(n);
    store->messages().accept(text("ann", {"bob"}, id), [&, id](Result<Sent> sent) {
      EXPECT_TRUE(succeeded(sent));
      accepted.push_back(id);
      if (accepted.size() % kPowerLossEvery == 0) {
        const TestDirectory image;
        vfs.write_image(image.path(), unsynced, accepted.size());
        lost += count_lost(image.options(), accepted);
      }
      if (accepted.size() == kMessages) all.set_value();
    });
  }
  all.get_future().wait();
  return lost;
}

TEST(SqliteMessageDurability, PowerLossLosesNothingAccepted) {
  EXPECT_EQ(lose_power_in_callbacks(true, DroppingVfs::Unsynced::kLost), 0u);
}

TEST(SqliteMessageDurability, PowerLossThatKeepsSomeUnsyncedWritesLosesNothingAccepted) {
  EXPECT_EQ(lose_power_in_callbacks(true, DroppingVfs::Unsynced::kSomeWrites), 0u);
}

TEST(SqliteMessageDurability, TheCheckCatchesAStoreThatDoesNotSyncEachCommit) {
  EXPECT_GT(lose_power_in_callbacks(false, DroppingVfs::Unsynced::kLost), 0u);
}

TEST(SqliteMessageDurability, TheCheckCatchesAnAnswerBeforeTheCommit) {
  MessageMutants mutants;
  mutants.acknowledge_before_commit = true;
  EXPECT_GT(lose_power_in_callbacks(true, DroppingVfs::Unsynced::kLost, mutants), 0u);
}

/// In the child: sends for ever, 32 at a time, and reports each accepted msg_id on the pipe.
[[noreturn]] void send_until_killed(const SqliteOptions& options, int round, int pipe) {
  Result<std::unique_ptr<Store>> store = open_sqlite_store(options);
  if (!store) ::_exit(1);
  std::mutex mutex;
  std::condition_variable room;
  int waiting = 0;
  for (int n = 0;; ++n) {
    const std::string id = std::to_string(round) + "-" + std::to_string(n);
    {
      std::unique_lock lock(mutex);
      room.wait(lock, [&] { return waiting < 32; });
      ++waiting;
    }
    (*store)->messages().accept(text("ann", {"bob"}, id), [&, id](Result<Sent> sent) {
      if (!sent.ok() || sent->refused) ::_exit(2);
      const std::string line = id + "\n";
      if (::write(pipe, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(3);
      const std::lock_guard lock(mutex);
      --waiting;
      room.notify_one();
    });
  }
}

TEST(SqliteMessageDurability, KillingTheProcessLosesNothingAccepted) {
  const TestDirectory directory;
  SqliteOptions options = directory.options();
  options.max_wal_bytes = 256 << 10;
  sign_in(*open_sqlite_store(options).value(), {"ann", "bob"});
  std::vector<std::string> accepted;
  for (int round = 0; round < 8; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      send_until_killed(options, round, ends[1]);
    }
    ::close(ends[1]);
    std::string reports;
    char buffer[4096];
    ssize_t got = 0;
    while ((got = ::read(ends[0], buffer, sizeof buffer)) > 0) {
      reports.append(buffer, static_cast<std::size_t>(got));
      if (reports.size() > static_cast<std::size_t>(100 + round * 137)) ::kill(child, SIGKILL);
    }
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
    for (std::size_t begin = 0, end; (end = reports.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      accepted.push_back(reports.substr(begin, end - begin));
    }
    ASSERT_EQ(count_lost(options, accepted), 0u) << "round " << round;
  }
  EXPECT_GT(accepted.size(), 8u);
}

TEST(SqliteMessageDisk, AFullDiskRefusesMessagesWhileAcknowledgementsAndDeletionsGoOn) {
  const TestDirectory directory;
  DroppingVfs vfs;
  SqliteOptions options = directory.options();
  options.vfs = vfs.name();
  options.on_fatal = [](std::string_view what) { FAIL() << what; };
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  sign_in(*store, {"ann", "bob"});
  vfs.set_disk_bytes(vfs.bytes_used() + (200 << 10));
  std::int64_t kept = 0;
  for (;; ++kept) {
    ASSERT_LT(kept, 1000);
    Send one = text("ann", {"bob"}, std::to_string(kept));
    one.body = std::string(8 << 10, 'x');
    const Result<Sent> sent = accept(*store, one);
    if (sent.ok()) continue;
    EXPECT_EQ(sent.code(), ErrorCode::kStoreFull);
    break;
  }
  ASSERT_GT(kept, 2);
  const Result<Acked> acked =
      acknowledge(*store, Ack{user("bob"), "phone", store->messages().epoch().value(), 1, at(200)});
  ASSERT_TRUE(succeeded(acked));
  EXPECT_EQ(acked->receipts.size(), 1u);
  // What goes is more than what its sender is told of it.
  while (remove_old(*store, at(101), 4) > 0) {
  }
  EXPECT_EQ(faults_of_inbox(*store, "bob"), "");
  EXPECT_EQ(whole_inbox(*store, "ann").size(), static_cast<std::size_t>(kept - 1));
  vfs.heal();
  EXPECT_TRUE(succeeded(accept(*store, text("ann", {"bob"}, "later"))));
  EXPECT_EQ(faults_of_tables(options.path, options.vfs), "");
}

TEST(SqliteMessageDisk, EveryFailingOperationIsFatalOrAcceptedForGood) {
  bool done = false;
  for (std::int64_t operations = 0; !done; ++operations) {
    ASSERT_LT(operations, 500);
    const TestDirectory directory;
    DroppingVfs vfs;
    SqliteOptions options = directory.options();
    options.vfs = vfs.name();
    std::atomic<bool> fatal = false;
    options.on_fatal = [&](std::string_view) { fatal = true; };
    std::vector<std::string> accepted;
    {
      const std::unique_ptr<Store> store = open_sqlite_store(options).value();
      sign_in(*store, {"ann", "bob"});
      vfs.fail_after(operations);
      done = true;
      for (int i = 0; i < 3; ++i) {
        const std::string id = std::to_string(i);
        const Result<Sent> sent = accept(*store, text("ann", {"bob"}, id));
        if (sent.ok()) {
          accepted.push_back(id);
        } else {
          done = false;
          EXPECT_EQ(sent.code(), ErrorCode::kStoreFailed);
          EXPECT_TRUE(fatal);
        }
      }
      if (done && fatal) done = false;
    }
    vfs.heal();
    const TestDirectory image;
    vfs.write_image(image.path(), DroppingVfs::Unsynced::kLost);
    EXPECT_EQ(count_lost(image.options(), accepted), 0u) << operations;
  }
}

TEST(SqliteMessageDiskDeathTest, AFailedSyncEndsTheProcess) {
  const TestDirectory directory;
  const auto send_on_a_broken_disk = [&] {
    DroppingVfs vfs;
    SqliteOptions options = directory.options();
    options.vfs = vfs.name();
    const std::unique_ptr<Store> store = open_sqlite_store(options).value();
    sign_in(*store, {"ann", "bob"});
    vfs.fail_syncs();
    static_cast<void>(accept(*store, text("ann", {"bob"}, "m1")));
  };
  EXPECT_EXIT(send_on_a_broken_disk(), testing::ExitedWithCode(70), "store_io_error");
}

std::int64_t size_of(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_size : 0;
}

TEST(SqliteMessageDisk, TheLogStaysBelowItsLimitWhileManySendAndRead) {
  const TestDirectory directory;
  DroppingVfs vfs;
  SqliteOptions options = directory.options();
  options.vfs = vfs.name();
  options.max_wal_bytes = 2 << 20;
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  sign_in(*store, {"ann", "bob"});
  constexpr int kSenders = 3;
  std::atomic<int> sending = kSenders;
  std::int64_t largest = 0;
  in_parallel(kSenders + 2, [&](int thread) {
    if (thread < kSenders) {
      for (int n = 0; n < 300; ++n) {
        Send one = text("ann", {"bob"}, std::to_string(thread) + "-" + std::to_string(n));
        one.body = std::string(4 << 10, 'x');
        ASSERT_TRUE(succeeded(accept(*store, one)));
      }
      --sending;
    } else {
      while (sending > 0) {
        static_cast<void>(whole_inbox(*store, "bob"));
        if (thread == kSenders) largest = std::max(largest, size_of(options.path + "-wal"));
      }
    }
  });
  EXPECT_GT(size_of(options.path), 4 << 20);  // what passed through the log
  EXPECT_GT(largest, 0);
  EXPECT_LE(largest, options.max_wal_bytes);
}

}  // namespace
}  // namespace countersign::storage

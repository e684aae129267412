// Acknowledged means committed: kill -9, power loss, and proof that the test would notice.
#include <atomic>
#include <condition_variable>
#include <set>
#include <thread>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/conformance/conformance.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/dropping_vfs_for_test.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::storage {
namespace {

/// What was acknowledged so far, by several writing threads.
class Ledger {
 public:
  void note(const std::string& id) {
    const std::lock_guard lock(mutex_);
    ids_.push_back(id);
    grown_.notify_all();
  }
  /// Waits until `count` ids are noted; returns all there are.
  std::vector<std::string> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    grown_.wait(lock, [&] { return ids_.size() >= count; });
    return ids_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable grown_;
  std::vector<std::string> ids_;
};

/// How many of the acknowledged ids the store at `options` does not have.
std::size_t count_lost(const SqliteOptions& options, const std::vector<std::string>& ids) {
  Result<std::unique_ptr<Store>> store = open_sqlite_store(options);
  EXPECT_TRUE(succeeded(store));
  if (!store) return ids.size();
  std::size_t lost = 0;
  for (const std::string& id : ids) {
    if ((*store)->meta().get(id).value() != id) ++lost;
  }
  return lost;
}

/// Writes from several threads while the power goes again and again; returns how many acknowledged
/// writes the images lack in all.
std::size_t lose_power_while_writing(bool full_sync, DroppingVfs::Unsynced unsynced) {
  constexpr int kThreads = 4;
  constexpr std::size_t kPowerLosses = 8;
  constexpr std::size_t kWritesBetween = 40;
  const TestDirectory directory;
  DroppingVfs vfs;
  SqliteOptions options = directory.options();
  options.vfs = vfs.name();
  options.full_sync_for_test = full_sync;
  // Small: checkpoints happen all the time.
  options.max_wal_bytes = full_sync ? 256 << 10 : 16 << 20;
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();

  Ledger ledger;
  std::size_t lost = 0;
  in_parallel(kThreads + 1, [&](int thread) {
    if (thread < kThreads) {
      for (std::size_t n = 0; n < kPowerLosses * kWritesBetween / kThreads; ++n) {
        const std::string id = std::to_string(thread) + "-" + std::to_string(n);
        ASSERT_TRUE(succeeded(store->meta().set(id, id)));
        ledger.note(id);
      }
      return;
    }
    for (std::size_t i = 1; i <= kPowerLosses; ++i) {
      const std::vector<std::string> acknowledged = ledger.wait_for(i * kWritesBetween);
      const TestDirectory image;
      vfs.write_image(image.path(), unsynced, i);
      lost += count_lost(image.options(), acknowledged);
    }
  });
  return lost;
}

TEST(SqliteDurability, PowerLossLosesNothingAcknowledged) {
  EXPECT_EQ(lose_power_while_writing(true, DroppingVfs::Unsynced::kLost), 0u);
}

TEST(SqliteDurability, PowerLossThatKeepsSomeUnsyncedWritesLosesNothingAcknowledged) {
  EXPECT_EQ(lose_power_while_writing(true, DroppingVfs::Unsynced::kSomeWrites), 0u);
}

TEST(SqliteDurability, TheCheckCatchesAStoreThatDoesNotSyncEachCommit) {
  EXPECT_GT(lose_power_while_writing(false, DroppingVfs::Unsynced::kLost), 0u);
}

/// In the child: writes for ever, and reports each acknowledged id as a line on the pipe.
[[noreturn]] void write_until_killed(const SqliteOptions& options, int round, int pipe) {
  Result<std::unique_ptr<Store>> store = open_sqlite_store(options);
  if (!store) ::_exit(1);
  in_parallel(4, [&](int thread) {
    for (int n = 0;; ++n) {
      const std::string id =
          std::to_string(round) + "-" + std::to_string(thread) + "-" + std::to_string(n);
      if (!(*store)->meta().set(id, id).ok()) ::_exit(2);
      const std::string line = id + "\n";
      if (::write(pipe, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(3);
    }
  });
  ::_exit(4);
}

TEST(SqliteDurability, KillingTheProcessLosesNothingAcknowledged) {
  const TestDirectory directory;
  SqliteOptions options = directory.options();
  options.max_wal_bytes = 256 << 10;
  std::vector<std::string> acknowledged;
  for (int round = 0; round < 8; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      write_until_killed(options, round, ends[1]);
    }
    ::close(ends[1]);
    // Another moment each round: killed after so many bytes of reports.
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
      acknowledged.push_back(reports.substr(begin, end - begin));
    }
    ASSERT_EQ(count_lost(options, acknowledged), 0u) << "round " << round;
  }
  EXPECT_GT(acknowledged.size(), 8u);

  ConnectionSettings settings;
  settings.path = options.path;
  const std::unique_ptr<Connection> connection = Connection::open(settings).value();
  Result<Statement> check = connection->prepare("PRAGMA integrity_check");
  ASSERT_TRUE(check->step().value());
  EXPECT_EQ(check->bytes(0), "ok");
}

}  // namespace
}  // namespace countersign::storage

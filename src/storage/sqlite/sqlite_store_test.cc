// Files of the store: modes, refusals with a clear reason, and two processes on one file.
#include "storage/sqlite/sqlite_store.h"

#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/conformance/conformance.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::storage {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

TEST(SqliteStore, ItsFilesAreForTheirOwnerAlone) {
  const mode_t previous = ::umask(0);
  {
    const TestDirectory directory;
    const SqliteOptions options = directory.options();
    const std::unique_ptr<Store> store = open_sqlite_store(options).value();
    ASSERT_TRUE(succeeded(store->meta().set("name", "value")));
    for (const char* suffix : {"", "-wal", "-shm", "-reserve"}) {
      struct stat status = {};
      ASSERT_EQ(::stat((options.path + suffix).c_str(), &status), 0) << suffix;
      EXPECT_EQ(status.st_mode & 0777, 0600u) << suffix;
    }
  }
  ::umask(previous);
}

TEST(SqliteStore, RefusesAFileThatIsNoDatabase) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  const std::string content(5000, 't');
  write_file(options.path, content);
  const Result<std::unique_ptr<Store>> store = open_sqlite_store(options);
  EXPECT_TRUE(failed_with(store, ErrorCode::kUnreadableFile));
  EXPECT_NE(store.error().detail.find(options.path), std::string::npos);
  EXPECT_EQ(read_file(options.path), content);
}

TEST(SqliteStore, RefusesADamagedDatabase) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  { const std::unique_ptr<Store> store = open_sqlite_store(options).value(); }
  std::string content = read_file(options.path);
  ASSERT_GT(content.size(), 4096u);
  // The schema's page, all but the file's header.
  std::fill(content.begin() + 100, content.begin() + 4096, '\xA5');
  write_file(options.path, content);
  EXPECT_TRUE(failed_with(open_sqlite_store(options), ErrorCode::kUnreadableFile));
}

TEST(SqliteStore, RefusesAPlaceItCannotWrite) {
  const TestDirectory directory;
  EXPECT_TRUE(failed_with(open_sqlite_store(directory.options("absent/store.db")),
                          ErrorCode::kUnwritableFile));
  write_file(directory.file("file"), "text");
  EXPECT_TRUE(failed_with(open_sqlite_store(directory.options("file/store.db")),
                          ErrorCode::kUnwritableFile));
  ASSERT_EQ(::mkdir(directory.file("folder").c_str(), 0700), 0);
  EXPECT_TRUE(
      failed_with(open_sqlite_store(directory.options("folder")), ErrorCode::kUnwritableFile));
}

TEST(SqliteStore, OverwritesWhatItDeletes) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  {
    const std::unique_ptr<Store> store = open_sqlite_store(options).value();
    ASSERT_TRUE(succeeded(store->meta().set("name", "planted-value-1")));
    ASSERT_TRUE(succeeded(store->meta().set("name", "x")));
  }
  EXPECT_EQ(read_file(options.path).find("planted-value-1"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(options.path + "-wal"));
}

/// Two ends of a pipe, closed at the end.
class Pipe {
 public:
  Pipe() {
    if (::pipe(ends_) != 0) throw std::runtime_error("pipe failed");
  }
  ~Pipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void signal() { EXPECT_EQ(::write(ends_[1], "x", 1), 1); }
  bool wait() {
    char byte = 0;
    return ::read(ends_[0], &byte, 1) == 1;
  }

 private:
  int ends_[2];
};

bool count_up(Store& store, int times) {
  for (int i = 0; i < times; ++i) {
    const Result<bool> updated = store.throttles().update(std::vector<std::string>{"key"},
                                                          [](std::span<ThrottleCounter> counters) {
                                                            ++counters[0].failures;
                                                            return true;
                                                          });
    if (!updated.ok()) return false;
  }
  return true;
}

TEST(SqliteStore, TwoProcessesWriteAtTheSameTime) {
  const TestDirectory directory;
  const SqliteOptions options = directory.options();
  { const std::unique_ptr<Store> store = open_sqlite_store(options).value(); }
  Pipe ready;
  // Before this process opens the file: SQLite's locks do not go with a fork.
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Result<std::unique_ptr<Store>> store = open_sqlite_store(options);
    if (!store) ::_exit(1);
    ready.signal();
    if (!count_up(**store, 50)) ::_exit(2);
    const Result<void> revoked = (*store)->revocations().add(
        std::vector<Revocation>{identity_revocation({IdentityType::kUsername, "ann"}, at(1))});
    store->reset();
    ::_exit(revoked.ok() ? 0 : 3);
  }
  ASSERT_TRUE(ready.wait());
  const std::unique_ptr<Store> store = open_sqlite_store(options).value();
  EXPECT_TRUE(count_up(*store, 50));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;

  std::uint32_t total = 0;
  EXPECT_TRUE(succeeded(store->throttles().update(std::vector<std::string>{"key"},
                                                  [&](std::span<ThrottleCounter> counters) {
                                                    total = counters[0].failures;
                                                    return false;
                                                  })));
  EXPECT_EQ(total, 100u);
  EXPECT_EQ(store->revocations().poll(0, 10).value().size(), 1u);
}

}  // namespace
}  // namespace countersign::storage

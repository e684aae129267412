// DroppingVfs: a SQLite VFS for tests that knows what a power loss would leave on the disk, and can
// be full or broken on demand.
//
// Every call goes through to the machine's own VFS. Beside it the durable image of each file is
// kept: what was written before the file's last sync. A write after it may be lost.
// Thread-safety: every call may be made from any thread. Lives longer than the stores that use it.
// Source: https://www.sqlite.org/vfs.html
#ifndef COUNTERSIGN_STORAGE_SQLITE_DROPPING_VFS_FOR_TEST_H_
#define COUNTERSIGN_STORAGE_SQLITE_DROPPING_VFS_FOR_TEST_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <sqlite3.h>

namespace countersign::storage {

class DroppingVfs {
 public:
  /// Registers the VFS under a name of its own.
  DroppingVfs();
  ~DroppingVfs();
  DroppingVfs(const DroppingVfs&) = delete;
  DroppingVfs& operator=(const DroppingVfs&) = delete;

  const std::string& name() const { return name_; }

  /// What happens to writes that were not synced when the power goes.
  enum class Unsynced {
    kLost,       ///< all of them are lost
    kSomeWrites  ///< each is lost or not, as the seed decides; the order does not matter
  };
  /// Writes the files as a power loss at this moment would leave them into `folder`.
  void write_image(const std::filesystem::path& folder, Unsynced unsynced,
                   std::uint64_t seed = 0) const;

  /// All files together may hold so many bytes; a write that needs more answers SQLITE_FULL.
  void set_disk_bytes(std::int64_t bytes);
  /// From now on so many more writes and syncs succeed, then each fails with an I/O error.
  void fail_after(std::int64_t operations);
  /// From now on syncs, and only they, fail.
  void fail_syncs();
  void heal();
  /// Syncs of write-ahead logs so far.
  std::uint64_t log_syncs() const;
  /// The size of all files together.
  std::int64_t bytes_used() const;

 private:
  struct Change;
  struct FileState;
  struct File;
  struct Calls;

  std::shared_ptr<FileState> state_of(const std::string& path);
  int may_write(FileState& state, std::int64_t end);
  bool operation_fails();

  std::string name_;
  sqlite3_vfs* base_;
  sqlite3_vfs vfs_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<FileState>> files_;
  std::int64_t disk_bytes_;
  std::int64_t operations_left_;
  bool syncs_fail_ = false;
  std::uint64_t log_syncs_ = 0;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_DROPPING_VFS_FOR_TEST_H_

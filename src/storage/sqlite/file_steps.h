// What backup and restore do with files: copies that others see whole or not at all, through fsync.
//
// Close a descriptor of a database file only while no connection of this process has it open: the
// kernel would drop the connection's locks.
// Thread-safety: every function may be called from any thread.
#ifndef COUNTERSIGN_STORAGE_SQLITE_FILE_STEPS_H_
#define COUNTERSIGN_STORAGE_SQLITE_FILE_STEPS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "countersign/result.h"

namespace countersign::storage {

/// How much of the work is done, in bytes.
using Progress = std::function<void(std::int64_t done, std::int64_t total)>;

/// A file that is being made (mode 0600) and goes with this object unless it was published. Another
/// process that makes the same one is noticed by the lock on it; what a killed one left is used.
class UnfinishedFile {
 public:
  /// kAlreadyExists if somebody else is making it; kUnwritableFile.
  static Result<UnfinishedFile> begin(const std::string& path);
  UnfinishedFile(UnfinishedFile&& other) noexcept;
  UnfinishedFile& operator=(UnfinishedFile&&) = delete;
  ~UnfinishedFile();

  const std::string& path() const { return path_; }
  int descriptor() const { return descriptor_; }
  /// Brings what was written to the disk. kUnwritableFile, kStoreFull.
  Result<void> sync() const;
  /// Syncs it and gives it its name, in place of what has that name; the folder is synced too.
  Result<void> publish(const std::string& name);

 private:
  UnfinishedFile(std::string path, int descriptor)
      : path_(std::move(path)), descriptor_(descriptor) {}
  void remove_companions() const;

  std::string path_;
  int descriptor_;
};

/// Fills `to` with the bytes of `from`.
/// kUnreadableFile, kUnwritableFile, kStoreFull.
Result<void> copy_bytes(const std::string& from, const UnfinishedFile& to,
                        const Progress& progress);

/// Syncs the folder that `path` lies in. kUnwritableFile.
Result<void> sync_folder_of(const std::string& path);

bool path_exists(const std::string& path);
/// True if both are names of one file.
bool same_file(const std::string& a, const std::string& b);
/// `PATH: what errno says`.
std::string because_of(const std::string& path, int error);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_FILE_STEPS_H_

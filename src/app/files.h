// Small private files: keys and secrets of the data directory.
// Thread-safety: every function may be called from any thread.
#ifndef COUNTERSIGN_APP_FILES_H_
#define COUNTERSIGN_APP_FILES_H_

#include <memory>
#include <string>
#include <string_view>

#include "countersign/result.h"

namespace countersign::app {

/// The whole of a file of at most 64 KiB, without one trailing line end. kUnreadableFile naming the
/// path and why.
Result<std::string> read_small_file(const std::string& path);

/// Writes a new file with mode 0600 that others see whole or not at all; replaces an older one.
/// fsynced, the folder too. kUnwritableFile.
Result<void> write_private_file(const std::string& path, std::string_view contents);

bool file_exists(const std::string& path);

/// Makes the folder (and its parents) with mode 0700 if it is not there, and proves that it can be
/// written. kUnwritableFile.
Result<void> make_data_directory(const std::string& path);

/// Held as long as a server uses the data directory; the kernel lets go of it when the process
/// dies, however it dies.
class DataDirectoryLock {
 public:
  /// kDataDirLocked naming the process that holds it; kUnwritableFile.
  static Result<DataDirectoryLock> take(const std::string& directory);
  /// Another lock, which every program holds for the moment in which it opens the directory and
  /// makes what is missing; waits for it. kUnwritableFile.
  static Result<DataDirectoryLock> wait_to_open(const std::string& directory);

  DataDirectoryLock(DataDirectoryLock&& other) noexcept;
  DataDirectoryLock& operator=(DataDirectoryLock&&) = delete;
  ~DataDirectoryLock();

 private:
  explicit DataDirectoryLock(int file) : file_(file) {}
  int file_;
};

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_FILES_H_

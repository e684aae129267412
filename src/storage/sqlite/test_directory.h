// TestDirectory: a folder for one test, removed with everything in it.
#ifndef COUNTERSIGN_STORAGE_SQLITE_TEST_DIRECTORY_H_
#define COUNTERSIGN_STORAGE_SQLITE_TEST_DIRECTORY_H_

#include <filesystem>
#include <stdexcept>
#include <string>

#include <stdlib.h>

#include "storage/sqlite/sqlite_store.h"

namespace countersign::storage {

class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "countersign-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  std::string file(const std::string& name) const { return (path_ / name).string(); }
  const std::filesystem::path& path() const { return path_; }

  /// Options for a store in this folder, with a reserve that is quick to write.
  SqliteOptions options(const std::string& name = "store.db") const {
    SqliteOptions options;
    options.path = file(name);
    options.readers = 2;
    options.reserve_bytes = 64 << 10;
    return options;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_TEST_DIRECTORY_H_

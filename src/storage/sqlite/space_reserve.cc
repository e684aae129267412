#include "storage/sqlite/space_reserve.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include <sqlite3.h>

namespace countersign::storage {
namespace {

constexpr std::int64_t kChunk = 64 << 10;

}  // namespace

SpaceReserve::SpaceReserve(const std::string& path, std::string vfs, std::int64_t bytes)
    : vfs_(std::move(vfs)), bytes_(bytes) {
  // A VFS wants the absolute path. The part after the dash makes SQLite's VFS give the file the
  // mode of the database.
  const std::unique_ptr<char, decltype(&std::free)> absolute(::realpath(path.c_str(), nullptr),
                                                             &std::free);
  path_ = (absolute ? std::string(absolute.get()) : path) + "-reserve";
}

bool SpaceReserve::take() {
  if (held_ || bytes_ == 0) return held_ = true;
  held_ = write_zeros();
  if (!held_) release();
  return held_;
}

void SpaceReserve::release() {
  held_ = false;
  sqlite3_vfs* const vfs = sqlite3_vfs_find(vfs_.empty() ? nullptr : vfs_.c_str());
  vfs->xDelete(vfs, path_.c_str(), 0);
}

bool SpaceReserve::write_zeros() {
  sqlite3_vfs* const vfs = sqlite3_vfs_find(vfs_.empty() ? nullptr : vfs_.c_str());
  std::vector<char> memory(static_cast<std::size_t>(vfs->szOsFile));
  auto* const file = reinterpret_cast<sqlite3_file*>(memory.data());
  // Two zero bytes end the path: a VFS may look for URI parameters behind it.
  const std::string path = path_ + std::string(2, '\0');
  if (vfs->xOpen(vfs, path.c_str(), file,
                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_JOURNAL,
                 nullptr) != SQLITE_OK) {
    return false;
  }
  const std::vector<char> zeros(static_cast<std::size_t>(kChunk));
  sqlite3_int64 size = 0;
  int rc = file->pMethods->xFileSize(file, &size);
  while (rc == SQLITE_OK && size < bytes_) {
    const std::int64_t amount = std::min<std::int64_t>(kChunk, bytes_ - size);
    rc = file->pMethods->xWrite(file, zeros.data(), static_cast<int>(amount), size);
    size += amount;
  }
  file->pMethods->xClose(file);
  return rc == SQLITE_OK;
}

}  // namespace countersign::storage

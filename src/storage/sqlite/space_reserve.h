// SpaceReserve: a file of zeros beside the store that is given up when the disk is full, so that
// what must still go (sign-outs, deletions, clean-up) has room to be written.
// Thread-safety: one thread at a time.
#ifndef COUNTERSIGN_STORAGE_SQLITE_SPACE_RESERVE_H_
#define COUNTERSIGN_STORAGE_SQLITE_SPACE_RESERVE_H_

#include <cstdint>
#include <string>

namespace countersign::storage {

class SpaceReserve {
 public:
  /// The reserve of the store at `path`: `PATH-reserve`, written through the same SQLite VFS.
  /// With `bytes` 0 there is none, and it counts as held.
  SpaceReserve(const std::string& path, std::string vfs, std::int64_t bytes);

  /// True if the file has its full size.
  bool held() const { return held_; }
  /// Makes the file, or makes it again. False: there is no room, and nothing is left behind.
  bool take();
  /// Deletes the file.
  void release();

 private:
  bool write_zeros();

  std::string path_;
  std::string vfs_;
  std::int64_t bytes_;
  bool held_ = false;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_SPACE_RESERVE_H_

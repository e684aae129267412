#include "storage/sqlite/dropping_vfs_for_test.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <new>
#include <random>

namespace countersign::storage {
namespace {

constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();

std::string read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace

/// A write, or a truncation where `data` is empty.
struct DroppingVfs::Change {
  std::int64_t offset;
  std::string data;

  void apply_to(std::string& image) const {
    const auto begin = static_cast<std::size_t>(offset);
    if (data.empty()) {
      image.resize(std::min(begin, image.size()));
      return;
    }
    image.resize(std::max(image.size(), begin + data.size()));
    std::copy(data.begin(), data.end(), image.begin() + static_cast<std::ptrdiff_t>(begin));
  }
};

struct DroppingVfs::FileState {
  std::string durable;           ///< as of the last sync
  std::vector<Change> unsynced;  ///< since then, in order
  std::int64_t size = 0;
  bool is_log = false;
};

/// An open file; the machine's own file follows it in memory.
struct DroppingVfs::File {
  sqlite3_file base;
  DroppingVfs* vfs;
  std::shared_ptr<FileState>* state;

  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  const sqlite3_io_methods* methods() { return real()->pMethods; }
};

/// The C functions that SQLite calls.
struct DroppingVfs::Calls {
  static File* file(sqlite3_file* base) { return reinterpret_cast<File*>(base); }
  static DroppingVfs* self(sqlite3_vfs* vfs) { return static_cast<DroppingVfs*>(vfs->pAppData); }

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* base, int flags, int* out) {
    DroppingVfs* const dropping = self(vfs);
    File* const opened = new (base) File{{nullptr}, dropping, nullptr};
    const int rc = dropping->base_->xOpen(dropping->base_, path, opened->real(), flags, out);
    if (rc != SQLITE_OK) return rc;
    // Temporary files have no name and nothing to lose.
    opened->state = new std::shared_ptr<FileState>(path != nullptr ? dropping->state_of(path)
                                                                   : std::make_shared<FileState>());
    opened->base.pMethods = methods();
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* vfs, const char* path, int sync) {
    DroppingVfs* const dropping = self(vfs);
    {
      const std::lock_guard lock(dropping->mutex_);
      dropping->files_.erase(path);
    }
    return dropping->base_->xDelete(dropping->base_, path, sync);
  }
  static int close(sqlite3_file* base) {
    const int rc = file(base)->methods()->xClose(file(base)->real());
    delete file(base)->state;
    return rc;
  }
  static int read(sqlite3_file* base, void* data, int size, sqlite3_int64 offset) {
    return file(base)->methods()->xRead(file(base)->real(), data, size, offset);
  }
  static int write(sqlite3_file* base, const void* data, int size, sqlite3_int64 offset) {
    File* const written = file(base);
    FileState& state = **written->state;
    const std::lock_guard lock(written->vfs->mutex_);
    if (const int refused = written->vfs->may_write(state, offset + size); refused != SQLITE_OK) {
      return refused;
    }
    const int rc = written->methods()->xWrite(written->real(), data, size, offset);
    if (rc == SQLITE_OK) {
      state.size = std::max<std::int64_t>(state.size, offset + size);
      state.unsynced.push_back(
          {offset, std::string(static_cast<const char*>(data), static_cast<std::size_t>(size))});
    }
    return rc;
  }
  static int truncate(sqlite3_file* base, sqlite3_int64 size) {
    File* const cut = file(base);
    FileState& state = **cut->state;
    const std::lock_guard lock(cut->vfs->mutex_);
    if (cut->vfs->operation_fails()) return SQLITE_IOERR_TRUNCATE;
    state.size = std::min<std::int64_t>(state.size, size);
    state.unsynced.push_back({size, {}});
    return cut->methods()->xTruncate(cut->real(), size);
  }
  /// Notes the sync without asking the disk: the image is what the test looks at.
  static int sync(sqlite3_file* base, int) {
    File* const synced = file(base);
    FileState& state = **synced->state;
    const std::lock_guard lock(synced->vfs->mutex_);
    if (synced->vfs->syncs_fail_ || synced->vfs->operation_fails()) return SQLITE_IOERR_FSYNC;
    for (const Change& change : state.unsynced) change.apply_to(state.durable);
    state.unsynced.clear();
    if (state.is_log) ++synced->vfs->log_syncs_;
    return SQLITE_OK;
  }
  static int file_size(sqlite3_file* base, sqlite3_int64* size) {
    return file(base)->methods()->xFileSize(file(base)->real(), size);
  }
  static int lock(sqlite3_file* base, int level) {
    return file(base)->methods()->xLock(file(base)->real(), level);
  }
  static int unlock(sqlite3_file* base, int level) {
    return file(base)->methods()->xUnlock(file(base)->real(), level);
  }
  static int check_reserved(sqlite3_file* base, int* out) {
    return file(base)->methods()->xCheckReservedLock(file(base)->real(), out);
  }
  static int control(sqlite3_file* base, int operation, void* argument) {
    return file(base)->methods()->xFileControl(file(base)->real(), operation, argument);
  }
  static int sector_size(sqlite3_file* base) {
    return file(base)->methods()->xSectorSize(file(base)->real());
  }
  static int characteristics(sqlite3_file* base) {
    return file(base)->methods()->xDeviceCharacteristics(file(base)->real());
  }
  static int shm_map(sqlite3_file* base, int page, int size, int extend, void volatile** out) {
    return file(base)->methods()->xShmMap(file(base)->real(), page, size, extend, out);
  }
  static int shm_lock(sqlite3_file* base, int offset, int count, int flags) {
    return file(base)->methods()->xShmLock(file(base)->real(), offset, count, flags);
  }
  static void shm_barrier(sqlite3_file* base) {
    file(base)->methods()->xShmBarrier(file(base)->real());
  }
  static int shm_unmap(sqlite3_file* base, int remove_it) {
    return file(base)->methods()->xShmUnmap(file(base)->real(), remove_it);
  }
  static const sqlite3_io_methods* methods() {
    static const sqlite3_io_methods table = [] {
      sqlite3_io_methods m = {};
      m.iVersion = 2;
      m.xClose = close;
      m.xRead = read;
      m.xWrite = write;
      m.xTruncate = truncate;
      m.xSync = sync;
      m.xFileSize = file_size;
      m.xLock = lock;
      m.xUnlock = unlock;
      m.xCheckReservedLock = check_reserved;
      m.xFileControl = control;
      m.xSectorSize = sector_size;
      m.xDeviceCharacteristics = characteristics;
      m.xShmMap = shm_map;
      m.xShmLock = shm_lock;
      m.xShmBarrier = shm_barrier;
      m.xShmUnmap = shm_unmap;
      return m;
    }();
    return &table;
  }
};

DroppingVfs::DroppingVfs()
    : base_(sqlite3_vfs_find(nullptr)),
      vfs_(*base_),
      disk_bytes_(kUnlimited),
      operations_left_(kUnlimited) {
  static std::atomic<int> next = 0;
  name_ = "dropping-" + std::to_string(next++);
  vfs_.zName = name_.c_str();
  vfs_.pNext = nullptr;
  vfs_.pAppData = this;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + base_->szOsFile;
  vfs_.xOpen = Calls::open;
  vfs_.xDelete = Calls::remove;
  sqlite3_vfs_register(&vfs_, 0);
}

DroppingVfs::~DroppingVfs() { sqlite3_vfs_unregister(&vfs_); }

std::shared_ptr<DroppingVfs::FileState> DroppingVfs::state_of(const std::string& path) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<FileState>& state = files_[path];
  if (!state) {
    state = std::make_shared<FileState>();
    state->durable = read_whole(path);
    state->size = static_cast<std::int64_t>(state->durable.size());
    state->is_log = path.ends_with("-wal");
  }
  return state;
}

int DroppingVfs::may_write(FileState& state, std::int64_t end) {
  if (operation_fails()) return SQLITE_IOERR_WRITE;
  std::int64_t used = std::max<std::int64_t>(0, end - state.size);
  if (used == 0) return SQLITE_OK;
  for (const auto& [path, other] : files_) used += other->size;
  return used > disk_bytes_ ? SQLITE_FULL : SQLITE_OK;
}

bool DroppingVfs::operation_fails() {
  if (operations_left_ == kUnlimited) return false;
  if (operations_left_ == 0) return true;
  --operations_left_;
  return false;
}

void DroppingVfs::write_image(const std::filesystem::path& folder, Unsynced unsynced,
                              std::uint64_t seed) const {
  std::mt19937_64 random(seed);
  const std::lock_guard lock(mutex_);
  for (const auto& [path, state] : files_) {
    std::string image = state->durable;
    for (const Change& change : state->unsynced) {
      if (unsynced == Unsynced::kSomeWrites && random() % 2 == 0) change.apply_to(image);
    }
    std::ofstream file(folder / std::filesystem::path(path).filename(), std::ios::binary);
    file.write(image.data(), static_cast<std::streamsize>(image.size()));
  }
}

void DroppingVfs::set_disk_bytes(std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  disk_bytes_ = bytes;
}

void DroppingVfs::fail_after(std::int64_t operations) {
  const std::lock_guard lock(mutex_);
  operations_left_ = operations;
}

void DroppingVfs::fail_syncs() {
  const std::lock_guard lock(mutex_);
  syncs_fail_ = true;
}

void DroppingVfs::heal() {
  const std::lock_guard lock(mutex_);
  disk_bytes_ = kUnlimited;
  operations_left_ = kUnlimited;
  syncs_fail_ = false;
}

std::uint64_t DroppingVfs::log_syncs() const {
  const std::lock_guard lock(mutex_);
  return log_syncs_;
}

std::int64_t DroppingVfs::bytes_used() const {
  const std::lock_guard lock(mutex_);
  std::int64_t used = 0;
  for (const auto& [path, state] : files_) used += state->size;
  return used;
}

}  // namespace countersign::storage

#include "storage/sqlite/file_steps.h"

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace countersign::storage {
namespace {

constexpr std::size_t kChunk = 1 << 20;
/// So much may wait for the disk: a sync of everything at the end would hold up a server's commits.
constexpr std::int64_t kSyncEvery = 8 << 20;

tl::unexpected<Error> write_failure(const std::string& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  return fail(full ? ErrorCode::kStoreFull : ErrorCode::kUnwritableFile, because_of(path, error));
}

/// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

}  // namespace

Result<UnfinishedFile> UnfinishedFile::begin(const std::string& path) {
  const int file =
      ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
  if (file < 0) return write_failure(path, errno);
  struct stat opened {};
  struct stat named {};
  // Whoever held the lock may have published the file since: then it is no longer ours to change.
  if (::flock(file, LOCK_EX | LOCK_NB) != 0 || ::fstat(file, &opened) != 0 ||
      ::stat(path.c_str(), &named) != 0 || opened.st_ino != named.st_ino) {
    ::close(file);
    return fail(ErrorCode::kAlreadyExists, path + ": another process is making it");
  }
  UnfinishedFile unfinished(path, file);
  unfinished.remove_companions();
  if (::fchmod(file, S_IRUSR | S_IWUSR) != 0 || ::ftruncate(file, 0) != 0) {
    return write_failure(path, errno);
  }
  return unfinished;
}

UnfinishedFile::UnfinishedFile(UnfinishedFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {
  other.path_.clear();
}

UnfinishedFile::~UnfinishedFile() {
  if (!path_.empty()) {
    ::unlink(path_.c_str());
    remove_companions();
  }
  if (descriptor_ >= 0) ::close(descriptor_);
}

void UnfinishedFile::remove_companions() const {
  for (const char* suffix : {"-wal", "-shm", "-journal"}) ::unlink((path_ + suffix).c_str());
}

Result<void> UnfinishedFile::sync() const {
  if (::fsync(descriptor_) != 0) return write_failure(path_, errno);
  return {};
}

Result<void> UnfinishedFile::publish(const std::string& name) {
  if (Result<void> synced = sync(); !synced) return synced;
  if (::rename(path_.c_str(), name.c_str()) != 0) return write_failure(name, errno);
  path_.clear();
  return sync_folder_of(name);
}

Result<void> copy_bytes(const std::string& from, const UnfinishedFile& to,
                        const Progress& progress) {
  const Descriptor source(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (source.get() < 0 || ::fstat(source.get(), &status) != 0) {
    return fail(ErrorCode::kUnreadableFile, because_of(from, errno));
  }
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::kUnreadableFile, from + ": is not a file");
  std::vector<char> chunk(kChunk);
  std::int64_t done = 0;
  std::int64_t synced = 0;
  for (;;) {
    const ssize_t got = ::read(source.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorCode::kUnreadableFile, because_of(from, errno));
    if (got == 0) return {};
    for (ssize_t written = 0; written < got;) {
      const ssize_t more = ::pwrite(to.descriptor(), chunk.data() + written,
                                    static_cast<std::size_t>(got - written), done + written);
      if (more < 0 && errno == EINTR) continue;
      if (more <= 0) return write_failure(to.path(), more < 0 ? errno : EIO);
      written += more;
    }
    done += got;
    if (done - synced >= kSyncEvery) {
      if (Result<void> flushed = to.sync(); !flushed) return flushed;
      synced = done;
    }
    if (progress) progress(done, status.st_size);
  }
}

Result<void> sync_folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const Descriptor directory(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() < 0 || ::fsync(directory.get()) != 0) return write_failure(folder, errno);
  return {};
}

bool path_exists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat first {};
  struct stat second {};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

std::string because_of(const std::string& path, int error) {
  return path + ": " + std::generic_category().message(error);
}

}  // namespace countersign::storage

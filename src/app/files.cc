#include "app/files.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace countersign::app {
namespace {

constexpr std::size_t kMaxSmallFile = 64 * 1024;

/// A file descriptor that closes itself.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const { return descriptor_; }
  bool ok() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

std::string because(const std::string& path, int error) {
  return path + ": " + std::generic_category().message(error);
}

bool write_all(int descriptor, std::string_view contents) {
  while (!contents.empty()) {
    const auto written = ::write(descriptor, contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    contents.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

Result<std::string> read_small_file(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.ok()) return fail(ErrorCode::kUnreadableFile, because(path, errno));
  std::string contents(kMaxSmallFile + 1, '\0');
  std::size_t size = 0;
  while (size < contents.size()) {
    const auto got = ::read(file.get(), contents.data() + size, contents.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorCode::kUnreadableFile, because(path, errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kMaxSmallFile) {
    return fail(ErrorCode::kUnreadableFile, path + ": larger than 64 KiB");
  }
  contents.resize(size);
  if (contents.ends_with('\n')) contents.pop_back();
  if (contents.ends_with('\r')) contents.pop_back();
  return contents;
}

Result<void> write_private_file(const std::string& path, std::string_view contents) {
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  {
    const File file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file.ok()) return fail(ErrorCode::kUnwritableFile, because(fresh, errno));
    if (!write_all(file.get(), contents) || ::fsync(file.get()) != 0) {
      const int error = errno;
      ::unlink(fresh.c_str());
      return fail(ErrorCode::kUnwritableFile, because(fresh, error));
    }
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    return fail(ErrorCode::kUnwritableFile, because(path, errno));
  }
  const auto folder = std::filesystem::path(path).parent_path();
  const File directory(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.ok() || ::fsync(directory.get()) != 0) {
    return fail(ErrorCode::kUnwritableFile, because(folder.string(), errno));
  }
  return {};
}

bool file_exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

Result<void> make_data_directory(const std::string& path) {
  std::error_code error;
  const bool there = std::filesystem::is_directory(path, error);
  if (!there) {
    const auto mask = ::umask(0077);
    std::filesystem::create_directories(path, error);
    ::umask(mask);
    if (error) {
      return fail(ErrorCode::kUnwritableFile, "data directory " + path + ": " + error.message());
    }
  }
  if (::access(path.c_str(), W_OK | X_OK) != 0) {
    return fail(ErrorCode::kUnwritableFile, "data directory " + because(path, errno));
  }
  return {};
}

Result<DataDirectoryLock> DataDirectoryLock::take(const std::string& directory) {
  const std::string path = directory + "/lock";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return fail(ErrorCode::kUnwritableFile, because(path, errno));
  DataDirectoryLock lock(file);
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> holder{};
    const auto size = ::read(file, holder.data(), holder.size() - 1);
    return fail(ErrorCode::kDataDirLocked,
                directory + " is used by process " + (size > 0 ? holder.data() : "(unknown)"));
  }
  const std::string id = std::to_string(::getpid());
  if (::ftruncate(file, 0) != 0 || !write_all(file, id)) {
    return fail(ErrorCode::kUnwritableFile, because(path, errno));
  }
  return lock;
}

Result<DataDirectoryLock> DataDirectoryLock::wait_to_open(const std::string& directory) {
  const std::string path = directory + "/opening";
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return fail(ErrorCode::kUnwritableFile, because(path, errno));
  DataDirectoryLock lock(file);
  while (::flock(file, LOCK_EX) != 0) {
    if (errno != EINTR) return fail(ErrorCode::kUnwritableFile, because(path, errno));
  }
  return lock;
}

DataDirectoryLock::DataDirectoryLock(DataDirectoryLock&& other) noexcept
    : file_(std::exchange(other.file_, -1)) {}

DataDirectoryLock::~DataDirectoryLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace countersign::app

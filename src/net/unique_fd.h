// UniqueFd: owns a file descriptor.
// Thread-safety: a value type.
#ifndef COUNTERSIGN_NET_UNIQUE_FD_H_
#define COUNTERSIGN_NET_UNIQUE_FD_H_

#include <utility>

#include <unistd.h>

namespace countersign::net {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  /// Gives the descriptor away.
  int release() { return std::exchange(fd_, -1); }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_UNIQUE_FD_H_

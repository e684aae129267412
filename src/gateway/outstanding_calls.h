// Outstanding calls: counts calls that will be answered on some other thread, so that what they
// refer to is not taken down under them.
// Thread-safety: every call may be made from any thread; wait() from one that answers no call.
#ifndef COUNTERSIGN_GATEWAY_OUTSTANDING_CALLS_H_
#define COUNTERSIGN_GATEWAY_OUTSTANDING_CALLS_H_

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>

namespace countersign::gateway {

class OutstandingCalls {
 public:
  /// The call is outstanding as long as a copy of this is held.
  std::shared_ptr<void> begin() {
    {
      const std::lock_guard lock(mutex_);
      ++count_;
    }
    return {nullptr, [this](void*) { end(); }};
  }
  void wait() {
    std::unique_lock lock(mutex_);
    none_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  void end() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0) none_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable none_;
  std::size_t count_ = 0;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_OUTSTANDING_CALLS_H_

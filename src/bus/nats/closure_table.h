// ClosureTable: what a C library's callbacks carry instead of a pointer.
//
// libnats may call back a moment after a connection or subscription has ended; a number that is no
// longer in the table then leads nowhere, where a pointer would lead to freed memory.
// Thread-safety: every call may be made from any thread.
#ifndef COUNTERSIGN_BUS_NATS_CLOSURE_TABLE_H_
#define COUNTERSIGN_BUS_NATS_CLOSURE_TABLE_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <utility>

namespace countersign::bus {

template <class T>
class ClosureTable {
 public:
  /// @return what to hand to the library.
  void* add(std::shared_ptr<T> object) {
    const std::unique_lock lock(mutex_);
    objects_.emplace(++last_, std::move(object));
    // NOLINTNEXTLINE(performance-no-int-to-ptr): a number, which the library only carries.
    return reinterpret_cast<void*>(last_);
  }
  void remove(void* closure) {
    std::shared_ptr<T> object;  // its destructor runs without the lock
    const std::unique_lock lock(mutex_);
    const auto found = objects_.find(reinterpret_cast<std::uintptr_t>(closure));
    if (found == objects_.end()) return;
    object = std::move(found->second);
    objects_.erase(found);
  }
  /// nullptr after remove().
  std::shared_ptr<T> find(void* closure) const {
    const std::shared_lock lock(mutex_);
    const auto found = objects_.find(reinterpret_cast<std::uintptr_t>(closure));
    return found == objects_.end() ? nullptr : found->second;
  }

 private:
  mutable std::shared_mutex mutex_;
  std::uintptr_t last_ = 0;
  std::unordered_map<std::uintptr_t, std::shared_ptr<T>> objects_;
};

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_NATS_CLOSURE_TABLE_H_

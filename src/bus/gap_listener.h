// GapListener: whom a bus tells that publications may have been missed.
// Thread-safety: every call may be made from any thread.
#ifndef COUNTERSIGN_BUS_GAP_LISTENER_H_
#define COUNTERSIGN_BUS_GAP_LISTENER_H_

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "bus/handler_slot.h"

namespace countersign::bus {

class GapListener {
 public:
  /// Replaces the listener; waits for a call of the old one that is running on another thread.
  void set(std::function<void()> listener) {
    std::shared_ptr<HandlerSlot> slot;
    if (listener) {
      slot = std::make_shared<HandlerSlot>(
          [listener = std::move(listener)](const Payload&) { listener(); });
    }
    {
      const std::lock_guard lock(mutex_);
      slot_.swap(slot);
    }
    if (slot) slot->close();
  }

  /// Calls it, if there is one; one call at a time.
  void call() {
    std::shared_ptr<HandlerSlot> slot;
    {
      const std::lock_guard lock(mutex_);
      slot = slot_;
    }
    if (slot) slot->deliver(nothing_);
  }

 private:
  const Payload nothing_ = std::make_shared<const std::string>();
  std::mutex mutex_;
  std::shared_ptr<HandlerSlot> slot_;
};

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_GAP_LISTENER_H_

// HandlerSlot: a subscription's handler, called by one thread at a time and ended for good.
//
// What comes while the handler runs waits, and the running thread hands it over afterwards: so
// nobody waits for a handler, order stays, and a handler may publish to itself.
// Thread-safety: every call may be made from any thread.
#ifndef COUNTERSIGN_BUS_HANDLER_SLOT_H_
#define COUNTERSIGN_BUS_HANDLER_SLOT_H_

#include <condition_variable>
#include <cstddef>
#include <list>
#include <mutex>
#include <thread>

#include "bus/bus.h"

namespace countersign::bus {

class HandlerSlot {
 public:
  /// What may wait while the handler runs.
  static constexpr std::size_t kMaxWaiting = 16 * 1024;
  static constexpr std::size_t kMaxWaitingBytes = 8 << 20;

  explicit HandlerSlot(Handler handler) : handler_(std::move(handler)) {}

  /// Calls the handler, or leaves the payload to the thread that is calling it.
  /// @return false if too much waits: the payload is dropped.
  bool deliver(const Payload& payload);
  /// The handler is not called afterwards. Waits for a call that is running on another thread.
  void close();

 private:
  const Handler handler_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::list<Payload> waiting_;  // owns nothing while nothing waits, as nearly always
  std::size_t waiting_bytes_ = 0;
  bool closed_ = false;
  bool running_ = false;
  std::thread::id runner_;
};

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_HANDLER_SLOT_H_

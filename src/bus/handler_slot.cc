#include "bus/handler_slot.h"

namespace countersign::bus {

bool HandlerSlot::deliver(const Payload& payload) {
  std::unique_lock lock(mutex_);
  if (closed_) return true;
  if (running_) {
    if (waiting_.size() >= kMaxWaiting || waiting_bytes_ + payload->size() > kMaxWaitingBytes) {
      return false;
    }
    waiting_bytes_ += payload->size();
    waiting_.push_back(payload);
    return true;
  }
  running_ = true;
  runner_ = std::this_thread::get_id();
  for (Payload next = payload;;) {
    lock.unlock();
    handler_(next);
    lock.lock();
    if (closed_ || waiting_.empty()) break;
    next = std::move(waiting_.front());
    waiting_.pop_front();
    waiting_bytes_ -= next->size();
  }
  running_ = false;
  idle_.notify_all();
  return true;
}

void HandlerSlot::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  waiting_.clear();
  waiting_bytes_ = 0;
  if (running_ && runner_ == std::this_thread::get_id()) return;
  idle_.wait(lock, [this] { return !running_; });
}

}  // namespace countersign::bus

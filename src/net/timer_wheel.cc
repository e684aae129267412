#include "net/timer_wheel.h"

#include <algorithm>

namespace countersign::net {

void TimerWheel::Timer::unlink() {
  if (next_ == nullptr) return;
  previous_->next_ = next_;
  next_->previous_ = previous_;
  previous_ = next_ = nullptr;
}

void TimerWheel::Timer::link_before(Timer& anchor) {
  previous_ = anchor.previous_;
  next_ = &anchor;
  previous_->next_ = this;
  anchor.previous_ = this;
}

TimerWheel::Anchor::Anchor() { previous_ = next_ = this; }

// Timers that outlive the wheel must not point into it.
TimerWheel::Anchor::~Anchor() {
  while (next_ != this) next_->unlink();
}

TimerWheel::TimerWheel(base::SteadyTime now) : now_(now), last_(tick_of(now)) {}

std::int64_t TimerWheel::tick_of(base::SteadyTime time) {
  return time.time_since_epoch() / std::chrono::duration_cast<base::SteadyTime::duration>(kTick);
}

void TimerWheel::arm(Timer& timer, base::SteadyTime when) {
  timer.unlink();
  const auto one = std::chrono::duration_cast<base::SteadyTime::duration>(kTick);
  timer.due_ = std::max(tick_of(when + one - base::SteadyTime::duration(1)), last_ + 1);
  timer.link_before(slot(timer.due_));
}

void TimerWheel::advance(base::SteadyTime now) {
  now_ = std::max(now_, now);
  const std::int64_t current = tick_of(now_);
  // After a long pause each slot needs one visit only.
  const std::int64_t first = std::max(last_ + 1, current - static_cast<std::int64_t>(kSlots) + 1);
  if (first > current) return;
  last_ = current;
  for (std::int64_t tick = first; tick <= current; ++tick) {
    Anchor& anchor = slot(tick);
    if (anchor.next_ == &anchor) continue;
    // Timers may be armed into this slot while it is served: work on what was there before.
    Anchor batch;
    batch.next_ = anchor.next_;
    batch.previous_ = anchor.previous_;
    batch.next_->previous_ = &batch;
    batch.previous_->next_ = &batch;
    anchor.next_ = anchor.previous_ = &anchor;
    while (batch.next_ != &batch) {
      Timer& timer = *batch.next_;
      timer.unlink();
      if (timer.due_ <= current) {
        timer.on_expired();
      } else {
        timer.link_before(anchor);
      }
    }
  }
}

}  // namespace countersign::net

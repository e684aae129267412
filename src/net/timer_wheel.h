// TimerWheel: thousands of coarse deadlines for the price of two pointers each.
//
// Deadlines of connections are armed far more often than they expire. A hashed wheel makes arming
// and disarming a list operation; one steady_timer a shard drives it.
// Thread-safety: none; a wheel belongs to one shard. Source: Varghese and Lauck, "Hashed and
// hierarchical timing wheels" (1987), scheme 6.
#ifndef COUNTERSIGN_NET_TIMER_WHEEL_H_
#define COUNTERSIGN_NET_TIMER_WHEEL_H_

#include <array>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace countersign::net {

class TimerWheel {
 public:
  /// How coarse the wheel is: a timer fires up to one tick late, never early.
  static constexpr std::chrono::milliseconds kTick{50};

  /// Something that wants to be woken. Disarms itself when destroyed.
  class Timer {
   public:
    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    bool armed() const { return next_ != nullptr; }

   protected:
    virtual ~Timer() { unlink(); }

   private:
    friend class TimerWheel;
    /// The time has come; the timer is disarmed and may be armed again, or destroyed.
    virtual void on_expired() = 0;
    void unlink();
    void link_before(Timer& anchor);

    Timer* previous_ = nullptr;
    Timer* next_ = nullptr;
    std::int64_t due_ = 0;  ///< tick
  };

  explicit TimerWheel(base::SteadyTime now);

  /// Arms or moves `timer`. A time that has passed fires at the next advance().
  void arm(Timer& timer, base::SteadyTime when);
  void arm_in(Timer& timer, std::chrono::milliseconds delay) { arm(timer, now_ + delay); }
  void disarm(Timer& timer) { timer.unlink(); }
  /// Fires what is due at `now`.
  void advance(base::SteadyTime now);
  /// The time of the last advance().
  base::SteadyTime now() const { return now_; }

 private:
  struct Anchor final : Timer {
    Anchor();
    ~Anchor() override;
    void on_expired() override {}
  };
  static constexpr std::size_t kSlots = 512;  // 25.6 s a turn; later timers stay for more turns

  Anchor& slot(std::int64_t tick) { return slots_[static_cast<std::size_t>(tick) % kSlots]; }
  static std::int64_t tick_of(base::SteadyTime time);

  base::SteadyTime now_;
  std::int64_t last_;  ///< the last tick that was served
  std::array<Anchor, kSlots> slots_;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_TIMER_WHEEL_H_

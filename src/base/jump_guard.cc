#include "base/jump_guard.h"

namespace countersign::base {

// What the wall clock has gained on the steady clock; negative if it has lost.
std::chrono::microseconds JumpGuard::lead(const Reading& from, const Reading& to) {
  const auto steady =
      std::chrono::duration_cast<std::chrono::microseconds>(to.steady - from.steady);
  return (to.wall - from.wall) - steady;
}

JumpGuard::Verdict JumpGuard::check(SystemTime wall, SteadyTime steady) {
  const Reading now{wall, steady};
  if (lead(trusted_, now) <= kMaxLead) {
    trusted_ = now;
    doubted_.reset();
    return {true, std::nullopt};
  }
  const auto gained = lead(doubted_.value_or(trusted_), now);
  if (gained > kMaxLead) {
    doubted_ = now;
    return {false, std::chrono::duration_cast<std::chrono::seconds>(gained)};
  }
  if (std::chrono::abs(gained) > kMaxDrift) {
    doubted_ = now;
    return {};
  }
  if (now.steady - doubted_->steady < kConfirmAfter) return {};
  trusted_ = now;
  doubted_.reset();
  return {true, std::nullopt};
}

}  // namespace countersign::base

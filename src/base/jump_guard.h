// The jump guard: whether old rows may be removed now, or the wall clock has leapt. A clock that is
// set ahead by a year, by a hand or a broken time server, would make everything old at once, and
// what is removed does not come back.
//
// Each run is compared with the last one that was allowed. If the wall clock has gained more than
// an hour on the steady clock since then, it has jumped, and nothing is removed
//   - until the clock is back within that hour, or
//   - until the new time has kept pace with the steady clock, to within five minutes, for an hour:
//     then it was a correction and counts. An operator who set the clock on purpose waits; one who
//     did not has that hour to set it right.
// A clock that is set back stops nothing: less is old then. A machine that slept looks like one
// whose clock jumped, because the steady clock slept too. A new process begins anew: nobody can
// tell how long it was away.
//
// Ask it, and remove, by the clock of the store (app/store_clock.h), which for an embedded one is
// the machine's own. A MonotonicWallClock keeps what a jump added, so that taking the jump back
// would not be seen.
//
// Thread-safety: none; it belongs to whoever does the removing.
// Source: docs/security/threat-model.md, "a clock set ahead".
#ifndef COUNTERSIGN_BASE_JUMP_GUARD_H_
#define COUNTERSIGN_BASE_JUMP_GUARD_H_

#include <chrono>
#include <optional>

#include "base/clock.h"

namespace countersign::base {

class JumpGuard {
 public:
  /// What the wall clock may gain on the steady clock from run to run.
  static constexpr std::chrono::hours kMaxLead{1};
  /// How long a new time must keep pace before it counts, and how well.
  static constexpr std::chrono::hours kConfirmAfter{1};
  static constexpr std::chrono::minutes kMaxDrift{5};

  struct Verdict {
    bool may_run = false;
    /// How far the clock has jumped: set once for each jump, for the alarm.
    std::optional<std::chrono::seconds> jumped;
  };

  /// @param wall, steady  the present, which is believed.
  JumpGuard(SystemTime wall, SteadyTime steady) : trusted_{wall, steady} {}

  /// To be asked before each run, with the present; `wall` is also what the run must go by.
  Verdict check(SystemTime wall, SteadyTime steady);

 private:
  struct Reading {
    SystemTime wall;
    SteadyTime steady;
  };
  static std::chrono::microseconds lead(const Reading& from, const Reading& to);

  Reading trusted_;                 ///< of the last run that was allowed
  std::optional<Reading> doubted_;  ///< after a jump: since when the new time has kept pace
};

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_JUMP_GUARD_H_

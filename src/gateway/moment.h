// The present, as an event of a machine sees it.
// Thread-safety: a value type.
#ifndef COUNTERSIGN_GATEWAY_MOMENT_H_
#define COUNTERSIGN_GATEWAY_MOMENT_H_

#include <cstddef>

#include "base/clock.h"

namespace countersign::gateway {

struct Moment {
  base::SteadyTime steady;       ///< for deadlines
  base::SystemTime wall;         ///< for expiry; never runs backwards
  bool fenced = false;           ///< revocations have not been heard lately: accept nobody
  std::size_t queued_bytes = 0;  ///< that wait for this client
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_MOMENT_H_

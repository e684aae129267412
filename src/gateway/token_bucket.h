// Token bucket: how many commands a client may send at once and over time.
// Thread-safety: a value type.
#ifndef COUNTERSIGN_GATEWAY_TOKEN_BUCKET_H_
#define COUNTERSIGN_GATEWAY_TOKEN_BUCKET_H_

#include <algorithm>
#include <chrono>

#include "base/clock.h"

namespace countersign::gateway {

/// Holds up to `burst` tokens and gains `rate` a second.
class TokenBucket {
 public:
  TokenBucket(double burst, base::SteadyTime now) : tokens_(static_cast<float>(burst)), at_(now) {}

  /// Takes one token; false if there is none.
  bool take(double rate, double burst, base::SteadyTime now) {
    const double passed = std::chrono::duration<double>(now - at_).count();
    tokens_ = static_cast<float>(std::min(burst, static_cast<double>(tokens_) + passed * rate));
    at_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  /// How long until take() can succeed again; at least 1 ms.
  std::chrono::milliseconds wait(double rate) const {
    const double seconds = std::max(0.0, 1.0 - static_cast<double>(tokens_)) / rate;
    return std::chrono::milliseconds(1 + static_cast<long>(seconds * 1000));
  }
  /// Nothing has been taken for so long that all is forgiven.
  bool full(double burst) const { return static_cast<double>(tokens_) + 1 >= burst; }

 private:
  float tokens_;
  base::SteadyTime at_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_TOKEN_BUCKET_H_

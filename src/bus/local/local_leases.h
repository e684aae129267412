// The leases of one process: a map with deadlines.
// Thread-safety: every call may be made from any thread.
#ifndef COUNTERSIGN_BUS_LOCAL_LOCAL_LEASES_H_
#define COUNTERSIGN_BUS_LOCAL_LOCAL_LEASES_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "bus/bus.h"

namespace countersign::bus {

/// One bucket. Leases that ended are removed by the next call.
class LocalBucket {
 public:
  explicit LocalBucket(const base::Clock& clock) : clock_(clock) {}

  void set_time_to_live(std::chrono::milliseconds time_to_live);
  Result<std::uint64_t> acquire(std::string_view key, std::string_view value);
  Result<std::uint64_t> renew(std::string_view key, std::string_view value, std::uint64_t revision);
  void release(std::string_view key, std::uint64_t revision);
  std::map<std::string, std::string> list();

 private:
  struct Lease {
    std::string value;
    std::uint64_t revision = 0;
    base::SteadyTime renewed;
  };

  /// Removes what has ended. Wants the lock.
  base::SteadyTime sweep();

  const base::Clock& clock_;
  std::mutex mutex_;
  std::chrono::milliseconds time_to_live_{};
  std::uint64_t last_revision_ = 0;
  std::map<std::string, Lease, std::less<>> leases_;
};

/// Leases on a bucket that others may have open too.
std::unique_ptr<Leases> make_local_leases(std::shared_ptr<LocalBucket> bucket);

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_LOCAL_LOCAL_LEASES_H_

// Throttle counters in PostgreSQL.
//
// update() reads without locks, lets the caller compute, and swaps the counters if they still are
// what was read: no lock waits for the program. Updates of one program that share a key come one
// after the other, so that only those of other nodes make it try again.
// Thread-safety: as Store.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_THROTTLES_H_
#define COUNTERSIGN_STORAGE_POSTGRES_THROTTLES_H_

#include <array>
#include <mutex>

#include "storage/postgres/database.h"
#include "storage/store.h"

namespace countersign::storage::postgres {

class PostgresThrottles final : public ThrottleStore {
 public:
  explicit PostgresThrottles(Database& database) : database_(database) {}

  Result<bool> update(std::span<const std::string> keys,
                      const std::function<bool(std::span<ThrottleCounter>)>& change) override;
  Result<void> remove(std::span<const std::string> keys) override;
  Result<std::size_t> remove_older(std::string_view key_prefix, SystemTime before,
                                   std::size_t limit) override;

 private:
  Result<std::vector<ThrottleCounter>> read(std::span<const std::string> keys);
  Result<bool> swap(std::span<const std::string> keys, std::span<const ThrottleCounter> before,
                    std::span<const ThrottleCounter> after);
  std::vector<std::unique_lock<std::mutex>> lock(std::span<const std::string> keys);

  Database& database_;
  std::array<std::mutex, 64> stripes_;  ///< of keys, by their hash
};

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_THROTTLES_H_

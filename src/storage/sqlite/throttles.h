// Throttle counters in SQLite.
// Thread-safety: as Store.
#ifndef COUNTERSIGN_STORAGE_SQLITE_THROTTLES_H_
#define COUNTERSIGN_STORAGE_SQLITE_THROTTLES_H_

#include "storage/sqlite/database.h"
#include "storage/store.h"

namespace countersign::storage {

class SqliteThrottles final : public ThrottleStore {
 public:
  explicit SqliteThrottles(Database& database) : database_(database) {}

  /// The writer reads, changes and writes in one transaction that holds the write lock from its
  /// start; `change` runs on the writer's thread and must be quick.
  Result<bool> update(std::span<const std::string> keys,
                      const std::function<bool(std::span<ThrottleCounter>)>& change) override;
  Result<void> remove(std::span<const std::string> keys) override;
  Result<std::size_t> remove_older(std::string_view key_prefix, SystemTime before,
                                   std::size_t limit) override;

 private:
  Database& database_;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_THROTTLES_H_

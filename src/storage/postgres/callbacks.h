// The outbox of callbacks in PostgreSQL. Rows are written by the triggers and functions of
// migrations/postgres/0011_callbacks.sql, in the transactions of what they tell about; what this
// calls are functions of that schema too, one statement each.
// Thread-safety: as CallbackStore.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_CALLBACKS_H_
#define COUNTERSIGN_STORAGE_POSTGRES_CALLBACKS_H_

#include <vector>

#include "storage/callback_store.h"
#include "storage/postgres/database.h"

namespace countersign::storage::postgres {

class PostgresCallbacks final : public CallbackStore {
 public:
  explicit PostgresCallbacks(Database& database) : database_(database) {}

  Result<void> keep(std::size_t max_rows) override;
  Result<std::vector<Callback>> lease(SystemTime now, SystemTime leased_until,
                                      std::size_t limit) override;
  Result<void> complete(std::int64_t id) override;
  Result<void> fail(std::int64_t id, SystemTime next, bool dead, std::string_view error) override;
  Result<std::vector<Callback>> list_dead(std::int64_t after, std::size_t limit) override;
  Result<std::size_t> replay(std::optional<std::int64_t> id) override;
  Result<std::size_t> remove_old(SystemTime before, SystemTime dead_before,
                                 std::size_t limit) override;
  Result<CallbackCounts> count() override;

 private:
  Database& database_;
};

/// Removes at most `limit` of what there is to tell about the user; returns how many.
Result<std::size_t> remove_callbacks_of(Database& database, const UserKey& user, std::size_t limit);

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_CALLBACKS_H_

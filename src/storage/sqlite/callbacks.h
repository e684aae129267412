// The outbox of callbacks in SQLite. The counts and the bounds are kept by the triggers of
// migrations/sqlite/0011_callbacks.sql, as are the rows of instances; those of messages are written
// by add_message_callback() in the transaction of what they tell about.
// Thread-safety: as CallbackStore; the function as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_CALLBACKS_H_
#define COUNTERSIGN_STORAGE_SQLITE_CALLBACKS_H_

#include <atomic>
#include <cstdint>
#include <string_view>

#include "storage/callback_store.h"
#include "storage/sqlite/database.h"

namespace countersign::storage {

class SqliteCallbacks final : public CallbackStore {
 public:
  explicit SqliteCallbacks(Database& database) : database_(database) {}

  /// Reads whether callbacks are kept. Before anything else.
  Result<void> open();
  /// Whether rows are written: what the hot path asks instead of the table.
  bool kept() const { return kept_.load(std::memory_order_relaxed); }

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
  std::atomic<bool> kept_{false};
};

/// Adds a row about a message inside the caller's transaction, if callbacks are kept.
/// @param conversation  its number.
Result<void> add_message_callback(Connection& connection, CallbackKind kind, const UserKey& user,
                                  std::int64_t conversation, std::int64_t seq,
                                  std::string_view msg_id, SystemTime time);
/// Removes at most `limit` of what there is to tell about the user; returns how many.
Result<std::size_t> remove_callbacks_of(Connection& connection, const UserKey& user,
                                        std::size_t limit);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_CALLBACKS_H_

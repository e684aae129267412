// The revocation log in SQLite, and the steps of it that other transactions share.
// Thread-safety: SqliteRevocations as Store; the functions as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_REVOCATIONS_H_
#define COUNTERSIGN_STORAGE_SQLITE_REVOCATIONS_H_

#include "storage/sqlite/database.h"
#include "storage/store.h"

namespace countersign::storage {

class SqliteRevocations final : public RevocationStore {
 public:
  explicit SqliteRevocations(Database& database) : database_(database) {}

  Result<void> add(std::span<const Revocation> revocations) override;
  Result<std::vector<Revocation>> poll(std::int64_t after, std::size_t limit) override;
  Result<std::int64_t> head() override;
  Result<SystemTime> watermark(std::string_view application_key, const Identity& identity) override;
  Result<std::size_t> remove_older(SystemTime before, std::size_t limit) override;

 private:
  Database& database_;
};

/// Appends one row to the log and does what it says: see RevocationStore::add.
Result<void> revoke(Connection& connection, const Revocation& revocation);
/// revoke() for each, with `now` where the row's own time is earlier and `reason` where it has
/// none.
Result<void> revoke_all(Connection& connection, std::span<const Revocation> revocations,
                        std::string_view reason, SystemTime now);
/// The identity's watermark, or the epoch.
Result<SystemTime> read_watermark(Connection& connection, std::string_view application_key,
                                  const Identity& identity);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_REVOCATIONS_H_

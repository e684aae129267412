// The revocation log in PostgreSQL.
// Thread-safety: as Store.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_REVOCATIONS_H_
#define COUNTERSIGN_STORAGE_POSTGRES_REVOCATIONS_H_

#include "storage/postgres/database.h"
#include "storage/store.h"

namespace countersign::storage::postgres {

class PostgresRevocations final : public RevocationStore {
 public:
  explicit PostgresRevocations(Database& database) : database_(database) {}

  Result<void> add(std::span<const Revocation> revocations) override;
  Result<std::vector<Revocation>> poll(std::int64_t after, std::size_t limit) override;
  Result<std::int64_t> head() override;
  Result<SystemTime> watermark(std::string_view application_key, const Identity& identity) override;
  Result<std::size_t> remove_older(SystemTime before, std::size_t limit) override;

 private:
  Database& database_;
};

/// Appends the columns of the rows, an array each, as the functions of the schema take them:
/// scopes, sessions, application keys, identity types, endpoints, instances, times and reasons.
void add_columns(Parameters& parameters, std::span<const Revocation> revocations);

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_REVOCATIONS_H_

// Applications and their sealed secrets in PostgreSQL.
// Thread-safety: as Store.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_APPLICATIONS_H_
#define COUNTERSIGN_STORAGE_POSTGRES_APPLICATIONS_H_

#include "storage/postgres/database.h"
#include "storage/store.h"

namespace countersign::storage::postgres {

class PostgresApplications final : public ApplicationStore {
 public:
  explicit PostgresApplications(Database& database) : database_(database) {}

  Result<void> create_application(const StoredApplication& application,
                                  const StoredSecret& secret) override;
  Result<std::vector<StoredApplication>> list_applications() override;
  Result<void> add_secret(const StoredSecret& secret) override;
  Result<std::vector<StoredSecret>> list_secrets() override;
  Result<void> remove_secret(std::string_view application_key,
                             std::string_view fingerprint) override;
  Result<std::int64_t> generation() override;
  Result<void> raise_generation() override;

 private:
  Database& database_;
};

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_APPLICATIONS_H_

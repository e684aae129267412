// Small named values in PostgreSQL.
// Thread-safety: as Store.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_META_H_
#define COUNTERSIGN_STORAGE_POSTGRES_META_H_

#include "storage/postgres/database.h"
#include "storage/store.h"

namespace countersign::storage::postgres {

class PostgresMeta final : public MetaStore {
 public:
  explicit PostgresMeta(Database& database) : database_(database) {}

  Result<std::optional<std::string>> get(std::string_view name) override;
  Result<void> set(std::string_view name, std::string_view value) override;
  Result<std::string> set_if_absent(std::string_view name, std::string_view value) override;

 private:
  Database& database_;
};

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_META_H_

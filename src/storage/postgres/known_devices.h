// Browsers that signed in before, in PostgreSQL.
// Thread-safety: as Store.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_KNOWN_DEVICES_H_
#define COUNTERSIGN_STORAGE_POSTGRES_KNOWN_DEVICES_H_

#include "storage/postgres/database.h"
#include "storage/store.h"

namespace countersign::storage::postgres {

class PostgresKnownDevices final : public KnownDeviceStore {
 public:
  explicit PostgresKnownDevices(Database& database) : database_(database) {}

  Result<void> create_device(const KnownDevice& device, std::size_t max_devices) override;
  Result<bool> reserve_try(std::string_view token_hash, const AccountId& account,
                           std::uint32_t max_failures) override;
  Result<void> give_back_try(std::string_view token_hash) override;
  Result<void> clear_failures(std::string_view token_hash) override;

 private:
  Database& database_;
};

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_KNOWN_DEVICES_H_

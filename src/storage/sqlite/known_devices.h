// Browsers that signed in before, in SQLite.
// Thread-safety: as Store.
#ifndef COUNTERSIGN_STORAGE_SQLITE_KNOWN_DEVICES_H_
#define COUNTERSIGN_STORAGE_SQLITE_KNOWN_DEVICES_H_

#include "storage/sqlite/database.h"
#include "storage/store.h"

namespace countersign::storage {

class SqliteKnownDevices final : public KnownDeviceStore {
 public:
  explicit SqliteKnownDevices(Database& database) : database_(database) {}

  Result<void> create_device(const KnownDevice& device, std::size_t max_devices) override;
  Result<bool> reserve_try(std::string_view token_hash, const AccountId& account,
                           std::uint32_t max_failures) override;
  Result<void> give_back_try(std::string_view token_hash) override;
  Result<void> clear_failures(std::string_view token_hash) override;

 private:
  Database& database_;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_KNOWN_DEVICES_H_

// Instances of the gateway in SQLite.
// Thread-safety: as Store.
#ifndef COUNTERSIGN_STORAGE_SQLITE_INSTANCES_H_
#define COUNTERSIGN_STORAGE_SQLITE_INSTANCES_H_

#include "storage/sqlite/database.h"
#include "storage/store.h"

namespace countersign::storage {

class SqliteInstances final : public InstanceStore {
 public:
  explicit SqliteInstances(Database& database) : database_(database) {}

  Result<void> create_instance(const Instance& instance, std::size_t max_instances,
                               const std::optional<PresentedTicket>& presented) override;
  Result<std::optional<Instance>> find_instance(const InstanceId& id) override;
  Result<std::vector<Instance>> list_instances(std::string_view application_key,
                                               const Identity& identity, std::string_view after,
                                               std::size_t limit) override;
  Result<void> refresh_instance(const InstanceId& id, const std::optional<SessionHandle>& session,
                                SystemTime ticket_created, SystemTime expires,
                                const std::optional<PresentedTicket>& presented) override;
  Result<bool> end_instance(const InstanceId& id) override;
  Result<std::size_t> remove_expired(SystemTime before, std::size_t limit) override;

 private:
  Database& database_;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_INSTANCES_H_

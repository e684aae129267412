// What the classic door keeps, in PostgreSQL: functions of migrations/postgres/0012_classic.sql,
// one statement each. Thread-safety: as ClassicStore.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_CLASSIC_H_
#define COUNTERSIGN_STORAGE_POSTGRES_CLASSIC_H_

#include "storage/classic_store.h"
#include "storage/postgres/database.h"

namespace countersign::storage::postgres {

class PostgresClassic final : public ClassicStore {
 public:
  explicit PostgresClassic(Database& database) : database_(database) {}

  Result<void> put_transport(const ClassicTransport& transport) override;
  Result<std::optional<ClassicTransport>> find_transport(std::string_view application,
                                                         std::string_view id) override;
  Result<std::vector<bool>> have_inboxes(std::span<const UserKey> users) override;
  Result<std::optional<std::string>> add_part(const ClassicPart& part,
                                              const ClassicPartLimits& limits) override;
  Result<void> drop_parts(const InstanceId& instance, std::string_view session,
                          std::string_view mark) override;
  Result<std::size_t> note_horizons(const UserKey& user, std::span<const ClassicHorizon> horizons,
                                    SystemTime now) override;
  Result<ClassicLogPage> read_log(const UserKey& user, std::int64_t position,
                                  std::size_t limit) override;
  Result<std::int64_t> position_of(const UserKey& user, std::int64_t offset) override;
  Result<std::size_t> remove_old(SystemTime before, SystemTime idle_before,
                                 std::size_t limit) override;

 private:
  Database& database_;
};

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_CLASSIC_H_

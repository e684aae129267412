// The store that the settings name: SQLite or PostgreSQL.
// Thread-safety: call at start; the store says for itself.
#ifndef COUNTERSIGN_APP_STORE_CHOICE_H_
#define COUNTERSIGN_APP_STORE_CHOICE_H_

#include <memory>
#include <vector>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "storage/migrations.h"
#include "storage/sqlite/sqlite_store.h"
#include "storage/store.h"

namespace countersign::app {

/// The SQLite file that storage.url names, with the options the settings give.
storage::SqliteOptions sqlite_options(const config::Settings& settings);

/// True if nodes with data directories of their own share the store: what they must agree on stands
/// in it then.
bool store_is_shared(const config::Settings& settings);

/// Opens the store of storage.url, migrating it. `clock` notes when; it and `metrics` outlive the
/// store.
/// @return as open_sqlite_store() and open_postgres_store().
Result<std::unique_ptr<storage::Store>> open_store(const config::Settings& settings,
                                                   const base::Clock& clock,
                                                   base::Metrics& metrics);

enum class MigrationMode {
  kList,   ///< changes nothing
  kTry,    ///< applies what is missing and undoes it
  kApply,  ///< applies what is missing
};

/// The steps of the store's schema and what became of them.
/// @return as migrate_sqlite() and migrate_postgres(); kUnwritableFile for the data directory.
Result<std::vector<storage::MigrationStep>> migrate_store(const config::Settings& settings,
                                                          MigrationMode mode);

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_STORE_CHOICE_H_

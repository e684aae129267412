// The schema's numbered steps (migrations/sqlite), embedded in the program.
//
// Each step runs in one transaction with its row in schema_migrations (number, name, SHA-256,
// time), so an interrupted run continues where it stopped, and two programs that migrate at once
// apply each step once.
// Thread-safety: pure functions on the file.
#ifndef COUNTERSIGN_STORAGE_SQLITE_MIGRATIONS_H_
#define COUNTERSIGN_STORAGE_SQLITE_MIGRATIONS_H_

#include <vector>

#include "countersign/result.h"

#include "storage/migrations.h"
#include "storage/sqlite/sqlite_store.h"

namespace countersign::storage {

/// Applies what is missing, making the file if there is none. Uses `path`, `vfs` and `clock` of the
/// options.
/// @return all steps in order. kSchemaMismatch if the store is newer than this program, a step
/// differs from the one that was applied, or the file holds another program's tables; and what
/// open_sqlite_store() answers for files.
Result<std::vector<MigrationStep>> migrate_sqlite(const SqliteOptions& options);

/// The steps and their state; changes nothing. Of a file that does not exist all are pending.
/// @return as migrate_sqlite().
Result<std::vector<MigrationStep>> list_sqlite_migrations(const SqliteOptions& options);

/// Applies what is missing and undoes it again: shows that migrating would succeed. Of a file that
/// does not exist all are pending, and none is made.
/// @return as migrate_sqlite().
Result<std::vector<MigrationStep>> try_sqlite_migrations(const SqliteOptions& options);

/// All embedded steps in order. For tests.
std::vector<EmbeddedMigration> embedded_sqlite_migrations();

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_MIGRATIONS_H_

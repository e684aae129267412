// The schema's numbered steps (migrations/postgres), embedded in the program.
//
// Each step runs in one transaction with its row in schema_migrations. An advisory lock lets one
// program at a time migrate a database, so that each step is applied once. The tables live in the
// first schema of the role's search_path.
// Thread-safety: pure functions on the database.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_MIGRATIONS_H_
#define COUNTERSIGN_STORAGE_POSTGRES_MIGRATIONS_H_

#include <vector>

#include "countersign/result.h"

#include "storage/migrations.h"
#include "storage/postgres/postgres_store.h"

namespace countersign::storage {

/// Applies what is missing.
/// @return all steps in order. kSchemaMismatch if the store is newer than this program, a step
/// differs from the one that was applied, or the schema holds another program's tables; and what
/// open_postgres_store() answers for servers.
Result<std::vector<MigrationStep>> migrate_postgres(const PostgresOptions& options);

/// Applies what is missing and undoes it again: shows that migrating would succeed.
/// @return as migrate_postgres().
Result<std::vector<MigrationStep>> try_postgres_migrations(const PostgresOptions& options);

/// The steps and their state; changes nothing.
/// @return as migrate_postgres().
Result<std::vector<MigrationStep>> list_postgres_migrations(const PostgresOptions& options);

/// All embedded steps in order. For tests.
std::vector<EmbeddedMigration> embedded_postgres_migrations();

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_POSTGRES_MIGRATIONS_H_

// Migrations: what the numbered steps of every kind of store have in common.
//
// A step is a file of migrations/KIND, embedded in the program. The store remembers number, name,
// SHA-256 and time of each step that was applied, so that an edited step and a store newer than the
// program are noticed.
// Thread-safety: value types and pure functions.
#ifndef COUNTERSIGN_STORAGE_MIGRATIONS_H_
#define COUNTERSIGN_STORAGE_MIGRATIONS_H_

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

#include "base/clock.h"

namespace countersign::storage {

/// One step, as `countersign migrate` reports it.
struct MigrationStep {
  enum class State {
    kApplied,     ///< by an earlier run
    kAppliedNow,  ///< by this call
    kTried,       ///< applied and undone by a dry run
    kPending,
  };
  int number = 0;
  std::string name;  ///< the file's: `0001_accounts.sql`
  State state = State::kPending;
  std::optional<base::SystemTime> applied;
};

/// A step as it is embedded.
struct EmbeddedMigration {
  std::string_view name;
  std::string_view sql;
};

/// A step as the store remembers it.
struct AppliedMigration {
  std::string name;
  std::string sha256;
  base::SystemTime time;
};
/// By number, from 1 on.
using AppliedMigrations = std::map<int, AppliedMigration>;

/// SHA-256 of the step in hexadecimal digits.
std::string migration_checksum(std::string_view sql);

/// kSchemaMismatch if the store holds a step that is not in `known`, or another than that one.
Result<void> check_applied(const AppliedMigrations& applied,
                           std::span<const EmbeddedMigration> known);

/// All of `known` in order: applied, or pending.
std::vector<MigrationStep> describe_migrations(std::span<const EmbeddedMigration> known,
                                               const AppliedMigrations& applied);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_MIGRATIONS_H_

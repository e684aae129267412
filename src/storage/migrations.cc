#include "storage/migrations.h"

#include "base/encoding.h"

namespace countersign::storage {

std::string migration_checksum(std::string_view sql) { return base::hex_encode(base::sha256(sql)); }

Result<void> check_applied(const AppliedMigrations& applied,
                           std::span<const EmbeddedMigration> known) {
  for (const auto& [number, step] : applied) {
    if (number < 1 || number > static_cast<int>(known.size())) {
      return fail(ErrorCode::kSchemaMismatch,
                  "the store has step " + step.name +
                      ", which this program does not know: run the version that made it, or go "
                      "back to a backup of before");
    }
    const EmbeddedMigration& ours = known[static_cast<std::size_t>(number - 1)];
    if (migration_checksum(ours.sql) != step.sha256) {
      return fail(ErrorCode::kSchemaMismatch,
                  std::string(ours.name) + " is not the step that was applied to the store");
    }
  }
  return {};
}

std::vector<MigrationStep> describe_migrations(std::span<const EmbeddedMigration> known,
                                               const AppliedMigrations& applied) {
  std::vector<MigrationStep> steps;
  for (std::size_t i = 0; i < known.size(); ++i) {
    MigrationStep step;
    step.number = static_cast<int>(i + 1);
    step.name = known[i].name;
    if (const auto found = applied.find(step.number); found != applied.end()) {
      step.state = MigrationStep::State::kApplied;
      step.applied = found->second.time;
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace countersign::storage

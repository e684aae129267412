#include "app/store_choice.h"

#include "app/files.h"
#include "storage/postgres/migrations.h"
#include "storage/postgres/postgres_store.h"
#include "storage/sqlite/migrations.h"

namespace countersign::app {
namespace {

/// Sessions beside those of the workers: the pollers, housekeeping and the readiness check.
constexpr std::size_t kSessionsBesideWorkers = 4;

storage::PostgresOptions postgres_options(const config::Settings& settings) {
  storage::PostgresOptions options;
  options.url = settings.storage_url;
  options.connections = static_cast<std::size_t>(settings.storage_workers) + kSessionsBesideWorkers;
  return options;
}

}  // namespace

storage::SqliteOptions sqlite_options(const config::Settings& settings) {
  storage::SqliteOptions options;
  options.path = settings.storage_url.substr(std::string_view("sqlite:").size());
  return options;
}

bool store_is_shared(const config::Settings& settings) {
  return !settings.storage_url.starts_with("sqlite:");
}

Result<std::unique_ptr<storage::Store>> open_store(const config::Settings& settings,
                                                   const base::Clock& clock,
                                                   base::Metrics& metrics) {
  if (store_is_shared(settings)) {
    auto options = postgres_options(settings);
    options.clock = &clock;
    return storage::open_postgres_store(options);
  }
  auto options = sqlite_options(settings);
  options.clock = &clock;
  base::Gauge& log =
      metrics.gauge("countersign_store_log_bytes", "Bytes in use of SQLite's write-ahead log.");
  options.on_log_bytes = [&log](std::int64_t bytes) { log.set(static_cast<double>(bytes)); };
  return storage::open_sqlite_store(options);
}

Result<std::vector<storage::MigrationStep>> migrate_store(const config::Settings& settings,
                                                          MigrationMode mode) {
  if (store_is_shared(settings)) {
    const auto options = postgres_options(settings);
    switch (mode) {
      case MigrationMode::kList:
        return storage::list_postgres_migrations(options);
      case MigrationMode::kTry:
        return storage::try_postgres_migrations(options);
      case MigrationMode::kApply:
        return storage::migrate_postgres(options);
    }
  }
  const auto options = sqlite_options(settings);
  if (mode == MigrationMode::kList) return storage::list_sqlite_migrations(options);
  if (mode == MigrationMode::kTry) return storage::try_sqlite_migrations(options);
  if (auto made = make_data_directory(settings.data_dir); !made) return made.failure();
  return storage::migrate_sqlite(options);
}

}  // namespace countersign::app

#include "storage/sqlite/sqlite_store.h"

#include "storage/sqlite/accounts.h"
#include "storage/sqlite/applications.h"
#include "storage/sqlite/callbacks.h"
#include "storage/sqlite/classic.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/instances.h"
#include "storage/sqlite/known_devices.h"
#include "storage/sqlite/messages.h"
#include "storage/sqlite/meta.h"
#include "storage/sqlite/revocations.h"
#include "storage/sqlite/sessions.h"
#include "storage/sqlite/throttles.h"

namespace countersign::storage {
namespace {

class SqliteStore final : public Store {
 public:
  SqliteStore(std::unique_ptr<Database> database, const MessageMutants& mutants)
      : database_(std::move(database)),
        accounts_(*database_),
        sessions_(*database_),
        throttles_(*database_),
        known_devices_(*database_),
        instances_(*database_),
        revocations_(*database_),
        applications_(*database_),
        meta_(*database_),
        callbacks_(*database_),
        messages_(*database_, callbacks_, mutants),
        classic_(*database_) {}

  Result<void> open() { return callbacks_.open(); }

  AccountStore& accounts() override { return accounts_; }
  SessionStore& sessions() override { return sessions_; }
  ThrottleStore& throttles() override { return throttles_; }
  KnownDeviceStore& known_devices() override { return known_devices_; }
  InstanceStore& instances() override { return instances_; }
  RevocationStore& revocations() override { return revocations_; }
  ApplicationStore& applications() override { return applications_; }
  MetaStore& meta() override { return meta_; }
  MessageStore& messages() override { return messages_; }
  CallbackStore* callbacks() override { return &callbacks_; }
  ClassicStore* classic() override { return &classic_; }

  Result<void> ping() override {
    if (database_->writer().dead()) {
      return fail(ErrorCode::kStoreFailed, "the store stopped after an I/O error");
    }
    return database_->read([](Connection& connection) -> Result<void> {
      Result<Statement> statement = connection.prepare("SELECT count(*) FROM schema_migrations");
      if (!statement) return statement.failure();
      if (Result<bool> row = statement->step(); !row) return row.failure();
      return {};
    });
  }

 private:
  std::unique_ptr<Database> database_;
  SqliteAccounts accounts_;
  SqliteSessions sessions_;
  SqliteThrottles throttles_;
  SqliteKnownDevices known_devices_;
  SqliteInstances instances_;
  SqliteRevocations revocations_;
  SqliteApplications applications_;
  SqliteMeta meta_;
  SqliteCallbacks callbacks_;
  SqliteMessages messages_;
  SqliteClassic classic_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite_store(const SqliteOptions& options) {
  Result<std::unique_ptr<Database>> database = Database::open(options);
  if (!database) return database.failure();
  if (options.mutants_for_test.fan_out_in_memory) {
    Result<void> forgotten = (*database)->write(WriteKind::kGrow, [](Connection& connection) {
      return connection.execute("DELETE FROM fan_out_jobs; UPDATE conversations SET jobs = 0");
    });
    if (!forgotten) return forgotten.failure();
  }
  if (options.mutants_for_test.parts_in_memory) {
    Result<void> forgotten = (*database)->write(WriteKind::kGrow, [](Connection& connection) {
      return connection.execute("DELETE FROM classic_part_sets");
    });
    if (!forgotten) return forgotten.failure();
  }
  auto store = std::make_unique<SqliteStore>(*std::move(database), options.mutants_for_test);
  if (Result<void> opened = store->open(); !opened) return opened.failure();
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace countersign::storage

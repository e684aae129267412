#include "storage/postgres/postgres_store.h"

#include "storage/postgres/accounts.h"
#include "storage/postgres/applications.h"
#include "storage/postgres/callbacks.h"
#include "storage/postgres/classic.h"
#include "storage/postgres/database.h"
#include "storage/postgres/instances.h"
#include "storage/postgres/known_devices.h"
#include "storage/postgres/messages.h"
#include "storage/postgres/meta.h"
#include "storage/postgres/revocations.h"
#include "storage/postgres/sessions.h"
#include "storage/postgres/throttles.h"

namespace countersign::storage {
namespace postgres {
namespace {

class PostgresStore final : public Store {
 public:
  PostgresStore(std::unique_ptr<Database> database, std::unique_ptr<Database> lanes)
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
        classic_(*database_),
        messages_(*database_, std::move(lanes)) {}

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
    Result<Rows> answer = database_->read("SELECT count(*) FROM schema_migrations");
    if (!answer) return answer.failure();
    return {};
  }

  Result<SystemTime> now() override {
    Result<Rows> answer =
        database_->read("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
    if (!answer) return answer.failure();
    return answer->front().time(0);
  }

 private:
  std::unique_ptr<Database> database_;
  PostgresAccounts accounts_;
  PostgresSessions sessions_;
  PostgresThrottles throttles_;
  PostgresKnownDevices known_devices_;
  PostgresInstances instances_;
  PostgresRevocations revocations_;
  PostgresApplications applications_;
  PostgresMeta meta_;
  PostgresCallbacks callbacks_;
  PostgresClassic classic_;
  PostgresMessages messages_;
};

}  // namespace
}  // namespace postgres

Result<std::unique_ptr<Store>> open_postgres_store(const PostgresOptions& options) {
  Result<std::unique_ptr<postgres::Database>> database = postgres::Database::open(options);
  if (!database) return database.failure();
  PostgresOptions of_lanes = options;
  of_lanes.migrate = false;
  of_lanes.connections =
      postgres::PostgresMessages::kAcceptLanes + postgres::PostgresMessages::kAcknowledgeLanes;
  Result<std::unique_ptr<postgres::Database>> lanes = postgres::Database::open(of_lanes);
  if (!lanes) return lanes.failure();
  return std::unique_ptr<Store>(
      new postgres::PostgresStore(*std::move(database), *std::move(lanes)));
}

}  // namespace countersign::storage

// A server in the place of another: what was acknowledged and is lost must not pass for kept. The
// new entries take the offsets of the lost ones, and clients that hold these have to be told.
#include <gtest/gtest.h>

#include "storage/conformance/message_conformance.h"
#include "storage/postgres/testing/postgres_server.h"

namespace countersign::storage::postgres {
namespace {

using Reason = Attached::Reason;

std::unique_ptr<Store> open_store(const PostgresServer& server, const std::string& database) {
  PostgresOptions options;
  options.url = server.url(database);
  options.connections = 4;
  return open_postgres_store(options).value();
}

void send_some(Store& store, const std::string& prefix, int count) {
  for (int n = 0; n < count; ++n) {
    const Result<Sent> sent = accept(store, text("ann", {"bob"}, prefix + std::to_string(n)));
    ASSERT_TRUE(succeeded(sent));
    ASSERT_FALSE(sent->refused);
  }
}

Position position_at(Store& store, std::int64_t offset) {
  const InboxPage page =
      store.messages().read_inbox(user("bob"), offset - 1, 1, kManyBytes).value();
  return Position{page.epoch, offset, page.entries.at(0).chain};
}

Attached attach_bob(Store& store, const std::string& device, std::optional<Position> resume) {
  Attach attach;
  attach.user = user("bob");
  attach.device = device;
  attach.resume = std::move(resume);
  attach.now = at(500);
  return store.messages().attach(attach).value();
}

// From here on nothing that the primary commits reaches a standby: a sender that was only asked to
// end can still pass on a last record, and a stopped standby reads it when it goes on.
void stop_replication(const PostgresServer& primary) {
  primary.execute("postgres", R"(DO $$ BEGIN
      LOOP
        PERFORM pg_stat_clear_snapshot();
        PERFORM pg_terminate_backend(pid, 1000)
          FROM pg_stat_activity WHERE backend_type = 'walsender';
        EXIT WHEN NOT FOUND;
      END LOOP;
    END $$)");
}

TEST(PostgresFailover, ToALaggingStandbyIsNoticed) {
  PostgresServer primary({"wal_level=replica", "max_wal_senders=4"});
  const std::string database = primary.create_database();
  std::unique_ptr<Store> store = open_store(primary, database);
  sign_in(*store, {"ann", "bob"});
  send_some(*store, "kept", 5);
  const Position kept = position_at(*store, 5);

  const std::unique_ptr<PostgresServer> standby = PostgresServer::standby_of(primary);
  standby->pause();
  stop_replication(primary);
  send_some(*store, "lost", 5);
  const Position lost = position_at(*store, 8);
  ASSERT_EQ(attach_bob(*store, "phone", lost).reason, Reason::kNone);
  const std::string epoch_before = store->messages().epoch().value();
  primary.kill();
  store.reset();
  standby->go_on();
  standby->promote();

  store = open_store(*standby, database);
  EXPECT_NE(store->messages().epoch().value(), epoch_before);
  EXPECT_EQ(attach_bob(*store, "phone", lost).reason, Reason::kEpoch);  // above the top
  send_some(*store, "new", 10);
  EXPECT_EQ(store->messages().tops(std::vector<UserKey>{user("bob")}).value().at(0), 15);
  const Attached attached = attach_bob(*store, "phone", lost);  // there is an entry again
  EXPECT_EQ(attached.reason, Reason::kEpoch);
  EXPECT_LE(attached.from, 5);
  EXPECT_EQ(attach_bob(*store, "phone", kept).reason, Reason::kEpoch);
  EXPECT_EQ(acknowledge(*store, Ack{user("bob"), "phone", epoch_before, 8, at(500)}).code(),
            ErrorCode::kUnrecoverablePosition);
  EXPECT_EQ(faults_of_inbox(*store, "bob"), "");
  EXPECT_EQ(attach_bob(*store, "phone", position_at(*store, 15)).reason, Reason::kNone);
}

TEST(PostgresFailover, ADeviceWithoutANoteIsToldOnce) {
  PostgresServer primary({"wal_level=replica", "max_wal_senders=4"});
  const std::string database = primary.create_database();
  std::unique_ptr<Store> store = open_store(primary, database);
  sign_in(*store, {"ann", "bob"});
  const std::unique_ptr<PostgresServer> standby = PostgresServer::standby_of(primary);
  primary.kill();
  store.reset();
  standby->promote();
  store = open_store(*standby, database);
  EXPECT_EQ(attach_bob(*store, "phone", std::nullopt).reason, Reason::kEpoch);
  EXPECT_EQ(attach_bob(*store, "phone", std::nullopt).reason, Reason::kNone);
}

TEST(PostgresFailover, AServerThatOnlyStartsAgainIsTheSame) {
  PostgresServer server;
  const std::string database = server.create_database();
  std::unique_ptr<Store> store = open_store(server, database);
  sign_in(*store, {"ann", "bob"});
  send_some(*store, "kept", 3);
  const Position place = position_at(*store, 3);
  server.kill();
  server.start_again();
  store = open_store(server, database);
  EXPECT_EQ(attach_bob(*store, "phone", place).reason, Reason::kNone);
}

TEST(PostgresFailover, ACopyOfTheFilesPutBackIsNoticed) {
  PostgresServer server;
  const std::string database = server.create_database();
  std::unique_ptr<Store> store = open_store(server, database);
  sign_in(*store, {"ann", "bob"});
  send_some(*store, "kept", 5);
  const Position kept = position_at(*store, 5);
  store.reset();
  server.stop();
  server.keep_copy();
  server.start_again();
  store = open_store(server, database);
  send_some(*store, "lost", 5);
  const Position lost = position_at(*store, 8);
  server.kill();
  store.reset();
  server.put_copy_back();
  server.start_again();

  store = open_store(server, database);
  EXPECT_EQ(attach_bob(*store, "phone", lost).reason, Reason::kEpoch);  // above the top
  send_some(*store, "new", 10);
  const Attached attached = attach_bob(*store, "phone", lost);  // another entry stands there
  EXPECT_EQ(attached.reason, Reason::kEpoch);
  EXPECT_LE(attached.from, 5);
  // What both have in common is still good: nothing is missing after it.
  EXPECT_EQ(attach_bob(*store, "phone", kept).reason, Reason::kNone);
}

}  // namespace
}  // namespace countersign::storage::postgres

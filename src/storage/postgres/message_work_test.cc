// How much PostgreSQL works for a call: rows and entries of indexes that it reads.
#include "storage/conformance/message_work.h"

#include "storage/postgres/database.h"
#include "storage/postgres/message_batches.h"
#include "storage/postgres/message_history.h"
#include "storage/postgres/rows.h"
#include "storage/postgres/testing/postgres_server.h"

namespace countersign::storage::postgres {
namespace {

class PostgresWorkHarness final : public MessageWorkHarness {
 public:
  PostgresWorkHarness() {
    store_ = open_postgres_store(database_.options()).value();
    PostgresOptions options = database_.options();
    options.connections = 1;  // counts reach the server's tables from one session when it is told
    counted_ = Database::open(options).value();
  }

  Store& store() override { return *store_; }
  void execute(const std::string& sql) override { database_.execute(sql); }
  std::string type_of_bytes() const override { return "bytea"; }

  Result<Acked> acknowledge(const Ack& ack) override {
    const Ack* const acks[] = {&ack};
    return std::move(acknowledge_batch(*counted_, acks)[0]);
  }
  Result<std::vector<Conversation>> list_conversations(const UserKey& user) override {
    return read_conversations(*counted_, user, SystemTime::max(), "", 20);
  }
  Result<std::vector<Message>> history(const UserKey& user, std::string_view conversation,
                                       std::size_t limit) override {
    return read_history(*counted_, user, conversation, kNewest, limit);
  }
  Result<std::size_t> erase(const UserKey& user, std::size_t limit) override {
    Result<Rows> erased =
        counted_->write("SELECT erase_user($1, $2, $3, $4)", user.application, std::int64_t{0},
                        user.identity.endpoint, static_cast<std::int64_t>(limit));
    if (!erased) return erased.failure();
    return static_cast<std::size_t>(erased->front().integer(0));
  }

  std::int64_t count() override {
    EXPECT_TRUE(succeeded(counted_->read("SELECT pg_stat_force_next_flush()")));
    const Result<Rows> rows = counted_->read(
        "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables)::bigint "
        "+ (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)::bigint");
    return rows ? rows->front().integer(0) : 0;
  }
  std::int64_t bound() const override { return 1'000; }

 private:
  TestDatabase database_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Database> counted_;
};

std::unique_ptr<MessageWorkHarness> make_postgres_work_harness() {
  return std::make_unique<PostgresWorkHarness>();
}

INSTANTIATE_TEST_SUITE_P(Postgres, MessageWork, testing::Values(&make_postgres_work_harness));

}  // namespace
}  // namespace countersign::storage::postgres

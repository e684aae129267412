// How much SQLite works for a call, in instructions of its virtual machine.
#include "storage/conformance/message_work.h"

#include "storage/sqlite/connection.h"
#include "storage/sqlite/devices.h"
#include "storage/sqlite/history.h"
#include "storage/sqlite/privacy.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::storage {
namespace {

class SqliteWorkHarness final : public MessageWorkHarness {
 public:
  SqliteWorkHarness() {
    store_ = open_sqlite_store(directory_.options()).value();
    ConnectionSettings settings;
    settings.path = directory_.options().path;
    connection_ = Connection::open(settings).value();
    const auto count = [](void* steps) {
      ++*static_cast<std::int64_t*>(steps);
      return 0;
    };
    sqlite3_progress_handler(connection_->handle(), 1, count, &steps_);
  }

  Store& store() override { return *store_; }
  void execute(const std::string& sql) override {
    EXPECT_TRUE(succeeded(connection_->execute(sql)));
  }
  std::string type_of_bytes() const override { return "BLOB"; }

  Result<Acked> acknowledge(const Ack& ack) override {
    return acknowledge_entries(*connection_, ack, false);
  }
  Result<std::vector<Conversation>> list_conversations(const UserKey& user) override {
    return read_conversations(*connection_, user, SystemTime::max(), "", 20);
  }
  Result<std::vector<Message>> history(const UserKey& user, std::string_view conversation,
                                       std::size_t limit) override {
    return read_history(*connection_, user, conversation, kNewest, limit);
  }
  Result<std::size_t> erase(const UserKey& user, std::size_t limit) override {
    return erase_user(*connection_, user, limit);
  }

  std::int64_t count() override { return steps_; }
  std::int64_t bound() const override { return 2'000; }

 private:
  TestDirectory directory_;
  std::unique_ptr<Store> store_;
  std::int64_t steps_ = 0;
  std::unique_ptr<Connection> connection_;
};

std::unique_ptr<MessageWorkHarness> make_sqlite_work_harness() {
  return std::make_unique<SqliteWorkHarness>();
}

INSTANTIATE_TEST_SUITE_P(Sqlite, MessageWork, testing::Values(&make_sqlite_work_harness));

}  // namespace
}  // namespace countersign::storage

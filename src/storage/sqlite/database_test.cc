// How long a read may take, and what becomes of its connection.
#include "storage/sqlite/database.h"

#include <cstdint>

#include <gtest/gtest.h>

#include "storage/conformance/conformance.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::storage {
namespace {

class SqliteRead : public testing::Test {
 protected:
  SqliteRead() {
    SqliteOptions options = directory_.options();
    options.readers = 1;
    options.max_read_time = std::chrono::milliseconds(50);
    database_ = Database::open(options).value();
  }

  const TestDirectory directory_;
  std::unique_ptr<Database> database_;
};

Result<std::int64_t> read_one(Connection& connection) { return connection.run("SELECT 1"); }

TEST_F(SqliteRead, IsEndedInTheMiddleOfAStatementThatTakesTooLong) {
  const auto read_for_ever = [](Connection& connection) {
    return connection.run(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n");
  };
  EXPECT_TRUE(failed_with(database_->read(read_for_ever), ErrorCode::kOverloaded));
  EXPECT_TRUE(succeeded(database_->read(read_one)));
}

TEST_F(SqliteRead, IsEndedBetweenStatementsAndLeavesNoTransactionThatHoldsTheLog) {
  const auto write = [](Connection& connection) -> Result<void> {
    return connection.execute("INSERT INTO meta (name, value) VALUES ('name', 'value')");
  };
  const auto read_for_ever = [](Connection& connection) -> Result<void> {
    if (Result<void> begun = connection.execute("BEGIN; SELECT count(*) FROM meta"); !begun) {
      return begun;
    }
    for (;;) {
      if (Result<std::int64_t> one = read_one(connection); !one) return one.failure();
    }
  };
  ASSERT_TRUE(succeeded(database_->write(WriteKind::kGrow, write)));
  EXPECT_TRUE(failed_with(database_->read(read_for_ever), ErrorCode::kOverloaded));
  EXPECT_TRUE(succeeded(database_->empty_log()));
  EXPECT_TRUE(succeeded(database_->read(read_one)));
}

}  // namespace
}  // namespace countersign::storage

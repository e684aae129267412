// The group commit: one transaction for all that wait, and nobody pays for a neighbour.
#include "storage/sqlite/group_writer.h"

#include <future>

#include <gtest/gtest.h>

#include "storage/conformance/conformance.h"
#include "storage/sqlite/dropping_vfs_for_test.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::storage {
namespace {

using Outcome = std::future<Result<void>>;

class GroupWriterTest : public testing::Test {
 protected:
  void SetUp() override { start({}); }

  void start(GroupWriter::Settings settings) {
    writer_.reset();
    ConnectionSettings connection_settings;
    connection_settings.path = directory_.file("store.db");
    connection_settings.vfs = vfs_.name();
    connection_settings.create = true;
    std::unique_ptr<Connection> connection = Connection::open(connection_settings).value();
    ASSERT_TRUE(succeeded(connection->execute(
        "CREATE TABLE IF NOT EXISTS t (k INTEGER PRIMARY KEY, v BLOB NOT NULL)")));
    settings.on_fatal = [this](std::string_view) { fatal_ = true; };
    connection_settings.create = false;
    writer_ = std::make_unique<GroupWriter>(
        std::move(connection), Connection::open(connection_settings).value(),
        SpaceReserve(connection_settings.path, vfs_.name(), 64 << 10), std::move(settings));
  }

  Outcome submit(GroupWriter::Work work, WriteKind kind = WriteKind::kGrow) {
    auto promise = std::make_shared<std::promise<Result<void>>>();
    writer_->submit(kind, std::move(work),
                    [promise](Result<void> result) { promise->set_value(std::move(result)); });
    return promise->get_future();
  }

  /// Keeps the writer busy until release(), so that what is submitted meanwhile is one batch.
  void hold() {
    release_ = std::promise<void>();
    std::promise<void> held;
    holder_ = submit([&held, released = release_.get_future().share()](Connection&) {
      held.set_value();
      released.wait();
      return Result<void>();
    });
    held.get_future().wait();
  }
  void release() {
    release_.set_value();
    ASSERT_TRUE(succeeded(holder_.get()));
  }

  static GroupWriter::Work insert(int key, std::size_t bytes = 1) {
    return [key, bytes](Connection& connection) -> Result<void> {
      Result<std::int64_t> inserted =
          connection.run("INSERT INTO t (k, v) VALUES (?, ?)", key, Blob{std::string(bytes, 'x')});
      if (!inserted) return inserted.failure();
      return {};
    };
  }

  int count_rows() {
    int count = 0;
    EXPECT_TRUE(succeeded(writer_->write(WriteKind::kGrow, [&](Connection& connection) {
      Result<Statement> statement = connection.prepare("SELECT count(*) FROM t");
      EXPECT_TRUE(statement->step().value());
      count = static_cast<int>(statement->integer(0));
      return Result<void>();
    })));
    return count;
  }

  TestDirectory directory_;
  DroppingVfs vfs_;
  std::atomic<bool> fatal_ = false;
  std::unique_ptr<GroupWriter> writer_;

 private:
  std::promise<void> release_;
  Outcome holder_;
};

TEST_F(GroupWriterTest, EverythingThatWaitsSharesOneCommitAndOneSync) {
  hold();
  std::vector<Outcome> outcomes;
  for (int i = 0; i < 50; ++i) outcomes.push_back(submit(insert(i)));
  const std::uint64_t commits = writer_->commits();
  const std::uint64_t syncs = vfs_.log_syncs();
  release();
  for (Outcome& outcome : outcomes) EXPECT_TRUE(succeeded(outcome.get()));
  EXPECT_EQ(writer_->commits(), commits + 2);  // the holder's, and one for the fifty
  EXPECT_LE(vfs_.log_syncs(), syncs + 2);      // the first also syncs the log's header
  EXPECT_EQ(count_rows(), 50);
}

TEST_F(GroupWriterTest, WaitingForCompanyHoldsUpNeitherALonelyWriterNorTheEnd) {
  GroupWriter::Settings settings;
  settings.gather = std::chrono::hours(1);
  start(std::move(settings));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(succeeded(submit(insert(i)).get()));
  hold();
  std::vector<Outcome> outcomes;
  for (int i = 10; i < 20; ++i) outcomes.push_back(submit(insert(i)));
  release();
  for (Outcome& outcome : outcomes) EXPECT_TRUE(succeeded(outcome.get()));
  Outcome late = submit(insert(20));  // waits for company, until
  writer_.reset();
  EXPECT_TRUE(succeeded(late.get()));
}

TEST_F(GroupWriterTest, OneThatFailsAfterItWroteIsUndoneAlone) {
  hold();
  Outcome before = submit(insert(1));
  Outcome failing = submit([](Connection& connection) -> Result<void> {
    if (Result<void> written = insert(2)(connection); !written) return written;
    return fail(ErrorCode::kAbsent, "changed my mind");
  });
  Outcome refused = submit([](Connection&) { return fail(ErrorCode::kAbsent, "from the start"); });
  Outcome after = submit(insert(3));
  const std::uint64_t commits = writer_->commits();
  release();
  EXPECT_TRUE(succeeded(before.get()));
  EXPECT_TRUE(failed_with(failing.get(), ErrorCode::kAbsent));
  EXPECT_TRUE(failed_with(refused.get(), ErrorCode::kAbsent));
  EXPECT_TRUE(succeeded(after.get()));
  EXPECT_EQ(writer_->commits(), commits + 2);  // the holder's, and one for all four
  EXPECT_EQ(count_rows(), 2);
}

TEST_F(GroupWriterTest, NothingRunsAgainAfterAnIoErrorBehindAWrite) {
  hold();
  std::atomic<int> runs = 0;
  Outcome before = submit([&runs](Connection& connection) {
    ++runs;
    return insert(1)(connection);
  });
  Outcome failing = submit([](Connection& connection) -> Result<void> {
    if (Result<void> written = insert(2)(connection); !written) return written;
    return connection.failure(SQLITE_IOERR_WRITE, "a write");
  });
  release();
  EXPECT_TRUE(failed_with(failing.get(), ErrorCode::kStoreFailed));
  EXPECT_TRUE(failed_with(before.get(), ErrorCode::kStoreFailed));
  EXPECT_TRUE(fatal_);
  EXPECT_EQ(runs, 1);
}

TEST_F(GroupWriterTest, WhatWaitsIsBoundedInBytes) {
  GroupWriter::Settings settings;
  settings.max_queue_bytes = 1000;
  start(std::move(settings));
  hold();
  std::promise<Result<void>> first;
  std::promise<Result<void>> second;
  writer_->submit(
      WriteKind::kGrow, insert(1), [&](Result<void> result) { first.set_value(result); }, 600);
  writer_->submit(
      WriteKind::kGrow, insert(2), [&](Result<void> result) { second.set_value(result); }, 600);
  EXPECT_TRUE(failed_with(second.get_future().get(), ErrorCode::kOverloaded));
  release();
  EXPECT_TRUE(succeeded(first.get_future().get()));
  std::promise<Result<void>> third;
  writer_->submit(
      WriteKind::kGrow, insert(3), [&](Result<void> result) { third.set_value(result); }, 600);
  EXPECT_TRUE(succeeded(third.get_future().get()));
  EXPECT_EQ(count_rows(), 2);
}

TEST_F(GroupWriterTest, NobodyIsAnsweredBeforeTheCommit) {
  std::atomic<std::uint64_t> syncs_when_answered = 0;
  std::promise<void> answered;
  const std::uint64_t before = vfs_.log_syncs();
  writer_->submit(WriteKind::kGrow, insert(1), [&](Result<void> result) {
    EXPECT_TRUE(succeeded(result));
    syncs_when_answered = vfs_.log_syncs();
    answered.set_value();
  });
  answered.get_future().wait();
  EXPECT_GT(syncs_when_answered, before);
}

TEST_F(GroupWriterTest, AFailingRecordIsUndoneAloneInItsBatch) {
  hold();
  Outcome first = submit(insert(1));
  Outcome failing = submit([](Connection& connection) -> Result<void> {
    EXPECT_TRUE(insert(2)(connection).ok());
    return insert(1)(connection);  // in use
  });
  Outcome throwing = submit([](Connection& connection) -> Result<void> {
    EXPECT_TRUE(insert(3)(connection).ok());
    throw std::runtime_error("thrown");
  });
  Outcome last = submit(insert(4));
  release();
  EXPECT_TRUE(succeeded(first.get()));
  EXPECT_TRUE(failed_with(failing.get(), ErrorCode::kAlreadyExists));
  EXPECT_TRUE(failed_with(throwing.get(), ErrorCode::kStoreFailed));
  EXPECT_TRUE(succeeded(last.get()));
  EXPECT_EQ(count_rows(), 2);
}

TEST_F(GroupWriterTest, ARecordThatBreaksTheTransactionFailsAlone) {
  hold();
  Outcome first = submit(insert(1));
  Outcome breaking = submit([](Connection& connection) -> Result<void> {
    EXPECT_TRUE(insert(2)(connection).ok());
    EXPECT_TRUE(connection.execute("ROLLBACK").ok());
    return fail(ErrorCode::kStoreFailed, "broken");
  });
  Outcome last = submit(insert(3));
  release();
  EXPECT_TRUE(succeeded(first.get()));
  EXPECT_TRUE(failed_with(breaking.get(), ErrorCode::kStoreFailed));
  EXPECT_TRUE(succeeded(last.get()));
  EXPECT_EQ(count_rows(), 2);
}

TEST_F(GroupWriterTest, ARecordTooLargeForTheDiskFailsAlone) {
  ASSERT_TRUE(succeeded(writer_->write(WriteKind::kGrow, insert(1))));
  hold();
  Outcome small = submit(insert(2));
  Outcome large = submit(insert(3, 4 << 20));
  Outcome removal = submit(
      [](Connection& connection) -> Result<void> {
        Result<std::int64_t> removed = connection.run("DELETE FROM t WHERE k = 1");
        if (!removed) return removed.failure();
        return {};
      },
      WriteKind::kRelief);
  vfs_.set_disk_bytes(vfs_.bytes_used() + (128 << 10));
  release();
  EXPECT_TRUE(succeeded(small.get()));
  EXPECT_TRUE(failed_with(large.get(), ErrorCode::kStoreFull));
  EXPECT_TRUE(succeeded(removal.get()));
  vfs_.heal();
  EXPECT_EQ(count_rows(), 1);
  EXPECT_FALSE(fatal_);
}

TEST_F(GroupWriterTest, RefusesWhatExceedsItsQueue) {
  GroupWriter::Settings settings;
  settings.max_queue = 2;
  start(std::move(settings));
  hold();
  Outcome first = submit(insert(1));
  Outcome second = submit(insert(2));
  Outcome third = submit(insert(3));
  EXPECT_TRUE(failed_with(third.get(), ErrorCode::kOverloaded));
  release();
  EXPECT_TRUE(succeeded(first.get()));
  EXPECT_TRUE(succeeded(second.get()));
}

TEST_F(GroupWriterTest, RunsWhatWaitsBeforeItStops) {
  hold();
  Outcome waiting = submit(insert(1));
  release();
  writer_.reset();
  EXPECT_TRUE(succeeded(waiting.get()));
}

TEST_F(GroupWriterTest, AFailedSyncIsFatalBeforeAnybodyIsAnsweredAndIsNotRetried) {
  ASSERT_TRUE(succeeded(writer_->write(WriteKind::kGrow, insert(1))));
  vfs_.fail_syncs();
  std::promise<void> answered;
  bool fatal_before_answer = false;
  writer_->submit(WriteKind::kGrow, insert(2), [&](Result<void> result) {
    EXPECT_TRUE(failed_with(result, ErrorCode::kStoreFailed));
    fatal_before_answer = fatal_;
    answered.set_value();
  });
  answered.get_future().wait();
  EXPECT_TRUE(fatal_before_answer);
  EXPECT_TRUE(writer_->dead());
  vfs_.heal();
  const std::uint64_t syncs = vfs_.log_syncs();
  EXPECT_TRUE(failed_with(writer_->write(WriteKind::kGrow, insert(3)), ErrorCode::kStoreFailed));
  EXPECT_EQ(vfs_.log_syncs(), syncs);
}

}  // namespace
}  // namespace countersign::storage

// How much a message store works, as tests: what it reads for a user must not grow with what others
// wrote and the user may never read. Work is counted, not timed: each adapter says in what unit.
//
//     INSTANTIATE_TEST_SUITE_P(Sqlite, MessageWork, testing::Values(&make_sqlite_work_harness));
//
// Thread-safety: as conformance.h.
#ifndef COUNTERSIGN_STORAGE_CONFORMANCE_MESSAGE_WORK_H_
#define COUNTERSIGN_STORAGE_CONFORMANCE_MESSAGE_WORK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "storage/conformance/message_conformance.h"

namespace countersign::storage {

/// A store, and calls of it whose work is counted.
class MessageWorkHarness {
 public:
  virtual ~MessageWorkHarness() = default;
  virtual Store& store() = 0;
  /// Runs statements that SQLite and PostgreSQL both read, but for the type of bytes.
  virtual void execute(const std::string& sql) = 0;
  virtual std::string type_of_bytes() const = 0;

  // Counted.
  virtual Result<Acked> acknowledge(const Ack& ack) = 0;
  virtual Result<std::vector<Conversation>> list_conversations(const UserKey& user) = 0;
  virtual Result<std::vector<Message>> history(const UserKey& user, std::string_view conversation,
                                               std::size_t limit) = 0;
  virtual Result<std::size_t> erase(const UserKey& user, std::size_t limit) = 0;

  /// What has been counted so far.
  virtual std::int64_t count() = 0;
  /// More than a call needs that touches a handful of messages; less than one for each of many.
  virtual std::int64_t bound() const = 0;
};

using MessageWorkHarnessFactory = std::unique_ptr<MessageWorkHarness> (*)();

class MessageWork : public testing::TestWithParam<MessageWorkHarnessFactory> {
 protected:
  void SetUp() override { harness_ = GetParam()(); }
  void TearDown() override { harness_.reset(); }

  Store& store() { return harness_->store(); }
  MessageWorkHarness& counted() { return *harness_; }
  /// Accepts; expects that it is neither refused nor a repeat.
  Sent send(Send send);
  /// Writes so many messages of Ann into the conversation, without entries for anybody.
  void fill(const std::string& conversation, int messages);
  /// Runs `call` and expects that its work stays within the bound.
  template <class Call>
  auto within_bound(const char* what, Call&& call) {
    const std::int64_t before = harness_->count();
    auto outcome = call();
    const std::int64_t work = harness_->count() - before;
    RecordProperty(what, std::to_string(work));
    EXPECT_LE(work, harness_->bound()) << what;
    return outcome;
  }
  Result<Acked> acknowledge_all(const std::string& name);

 private:
  std::unique_ptr<MessageWorkHarness> harness_;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_CONFORMANCE_MESSAGE_WORK_H_

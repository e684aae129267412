// The contract of MessageStore as tests: every adapter that keeps messages instantiates this suite.
//
//     INSTANTIATE_TEST_SUITE_P(Sqlite, MessageConformance, testing::Values(&make_sqlite_harness));
//
// The functions outside of the fixture are also for an adapter's own tests.
// Thread-safety: as conformance.h.
#ifndef COUNTERSIGN_STORAGE_CONFORMANCE_MESSAGE_CONFORMANCE_H_
#define COUNTERSIGN_STORAGE_CONFORMANCE_MESSAGE_CONFORMANCE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/conformance/conformance.h"

namespace countersign::storage {

inline constexpr std::int64_t kNewest = std::numeric_limits<std::int64_t>::max();
inline constexpr std::size_t kManyBytes = std::size_t{64} << 20;

Identity person(const std::string& name);
/// The person as a user of application "application".
UserKey user(const std::string& name);
std::vector<Identity> people(const std::vector<std::string>& names);

/// The message_id that the tests give a message: whoever knows sender and msg_id can check a chain.
std::string message_id_of(const Identity& sender, const std::string& msg_id);

/// A text from the server API, accepted at at(100). The body begins with the msg_id.
Send text(const std::string& sender, const std::vector<std::string>& to, const std::string& msg_id);
/// A text to a conversation that exists.
Send text_to(const std::string& sender, const std::string& conversation, const std::string& msg_id);
/// A change of the group `conversation`.
Send change(const std::string& sender, const std::string& conversation, const std::string& msg_id,
            GroupChange::Action action, const std::vector<std::string>& users,
            const std::string& name = "");

/// accept() and acknowledge(), waiting for their callbacks.
Result<Sent> accept(Store& store, Send send);
Result<Acked> acknowledge(Store& store, const Ack& ack);

/// Makes inboxes for users who have signed in, with a device "phone" each.
void sign_in(Store& store, const std::vector<std::string>& names);
/// The whole inbox after its floor, read page by page.
std::vector<Entry> whole_inbox(Store& store, const std::string& name);
/// What is wrong with an inbox, a line for each: holes, repeated offsets, chains that do not
/// follow, seqs of a conversation out of order. Empty: it is sound.
std::string faults_of_inbox(Store& store, const std::string& name);
/// MessageStore::remove_old() when messages are kept for 30 days; returns how many went.
std::size_t remove_old(Store& store, SystemTime before, std::size_t limit = 100);
/// Works off all jobs; returns how many steps that took.
std::size_t finish_jobs(Store& store, std::size_t limit = 100);

class MessageConformance : public testing::TestWithParam<StoreHarnessFactory> {
 protected:
  void SetUp() override { harness_ = GetParam()(); }
  void TearDown() override { harness_.reset(); }

  Store& store() { return harness_->store(); }
  MessageStore& messages() { return store().messages(); }
  Store& store_of(int index) {
    return index % 2 == 0 ? harness_->store() : harness_->second_store();
  }
  void open_both() { static_cast<void>(harness_->second_store()); }
  void reopen() { harness_->reopen(); }

  /// Accepts; expects that it is neither refused nor a repeat.
  Sent send(Send send);
  /// The code the message is refused with; nothing if it is accepted.
  std::optional<ErrorCode> refusal(Send send);
  Result<Acked> ack(const std::string& name, std::int64_t offset,
                    const std::string& device = "phone");
  Attached attach(const std::string& name, const std::string& device,
                  std::optional<Position> resume = std::nullopt, SystemTime now = at(0));
  /// The position after the entry at `offset`.
  Position position(const std::string& name, std::int64_t offset);
  std::string epoch() { return messages().epoch().value(); }
  /// Makes a group "g-NAME" of the creator and others.
  std::string make_group(const std::string& name, const std::string& creator,
                         const std::vector<std::string>& others);
  std::vector<Message> history(const std::string& name, const std::string& conversation);
  Conversation conversation(const std::string& name, const std::string& id) {
    return messages().find_conversation(user(name), id).value();
  }

 private:
  std::unique_ptr<StoreHarness> harness_;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_CONFORMANCE_MESSAGE_CONFORMANCE_H_

// The message store in SQLite: each call as one transaction around the functions of inboxes.h,
// devices.h, message_writing.h, fan_out.h, history.h, retention.h and privacy.h.
//
// accept() and acknowledge() hand a closure to the group writer and return; their callbacks run on
// its thread, after the commit.
// Thread-safety: as MessageStore.
#ifndef COUNTERSIGN_STORAGE_SQLITE_MESSAGES_H_
#define COUNTERSIGN_STORAGE_SQLITE_MESSAGES_H_

#include "storage/message_store.h"
#include "storage/sqlite/callbacks.h"
#include "storage/sqlite/database.h"
#include "storage/sqlite/message_mutants.h"

namespace countersign::storage {

class SqliteMessages final : public MessageStore {
 public:
  /// Both outlive it.
  SqliteMessages(Database& database, const SqliteCallbacks& callbacks, MessageMutants mutants)
      : database_(database), callbacks_(callbacks), mutants_(std::move(mutants)) {}

  void accept(Send send, std::function<void(Result<Sent>)> done) override;
  void acknowledge(Ack ack, std::function<void(Result<Acked>)> done) override;

  Result<Attached> attach(const Attach& attach) override;
  Result<InboxPage> read_inbox(const UserKey& user, std::int64_t after, std::size_t max_entries,
                               std::size_t max_bytes) override;
  Result<std::vector<std::int64_t>> tops(std::span<const UserKey> users) override;
  Result<std::string> epoch() override;
  Result<void> renew_epoch(std::string_view epoch) override;

  Result<std::vector<Message>> history(const UserKey& user, std::string_view conversation,
                                       std::int64_t before, std::size_t limit) override;
  Result<std::vector<Conversation>> list_conversations(const UserKey& user, SystemTime before_time,
                                                       std::string_view before_id,
                                                       std::size_t limit) override;
  Result<Conversation> find_conversation(const UserKey& user,
                                         std::string_view conversation) override;
  Result<std::vector<Horizon>> members(const UserKey& user, std::string_view conversation,
                                       const std::optional<Identity>& after,
                                       std::size_t limit) override;
  Result<std::optional<Receipt>> mark_read(const UserKey& user, std::string_view conversation,
                                           std::int64_t seq, SystemTime now) override;
  Result<std::optional<GroupCount>> count_receipts(const UserKey& sender,
                                                   std::string_view conversation) override;
  Result<std::vector<bool>> share_conversation(const UserKey& user,
                                               std::span<const Identity> others) override;

  Result<void> open_inboxes(std::span<const UserKey> users, SystemTime now) override;
  Result<bool> set_blocked(const UserKey& user, const Identity& other, bool blocked,
                           std::size_t max_blocks, SystemTime now) override;
  Result<std::vector<Identity>> list_blocked(const UserKey& user) override;

  Result<std::optional<FanOut>> fan_out(std::size_t limit) override;
  Result<Expiry> expire(SystemTime now, std::size_t limit) override;
  Result<Removal> remove_old(SystemTime before, SystemTime now, std::size_t limit) override;

  Result<void> export_messages(const UserKey& user,
                               const std::function<bool(const Message&)>& take) override;
  Result<std::size_t> erase(const UserKey& user, SystemTime now, std::size_t limit) override;

 private:
  /// Runs `work(Connection&)`, which answers a Result, in one transaction: what it reads is one
  /// state.
  template <class Work>
  auto read(Work&& work) -> std::invoke_result_t<Work&, Connection&>;

  Database& database_;
  const SqliteCallbacks& callbacks_;
  MessageMutants mutants_;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_MESSAGES_H_

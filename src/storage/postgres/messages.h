// The message store in PostgreSQL. What writes is a function of the schema
// (migrations/postgres/0010_messages.sql): one statement, so that no lock waits for a round trip.
//
// accept() and acknowledge() go through lanes, which have sessions of their own: while the pool of
// the other calls is busy, messages go on. All reads go to the primary.
// Thread-safety: as MessageStore.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_MESSAGES_H_
#define COUNTERSIGN_STORAGE_POSTGRES_MESSAGES_H_

#include <memory>

#include "storage/message_store.h"
#include "storage/postgres/database.h"
#include "storage/postgres/message_lanes.h"

namespace countersign::storage::postgres {

class PostgresMessages final : public MessageStore {
 public:
  static constexpr std::size_t kAcceptLanes = 4;
  static constexpr std::size_t kAcknowledgeLanes = 2;

  /// @param database  for the calls that block; outlives it.
  /// @param lanes  for the others: as many sessions as there are lanes.
  PostgresMessages(Database& database, std::unique_ptr<Database> lanes);

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
  Database& database_;
  std::unique_ptr<Database> lane_sessions_;
  MessageLanes<Send, Sent> accepting_;
  MessageLanes<Ack, Acked> acknowledging_;
};

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_MESSAGES_H_

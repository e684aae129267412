// Conversations in SQLite: heads and who is a member from when to when.
// Thread-safety: as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_CONVERSATIONS_H_
#define COUNTERSIGN_STORAGE_SQLITE_CONVERSATIONS_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

#include "storage/message_records.h"
#include "storage/sqlite/inboxes.h"

namespace countersign::storage {

/// The end of a membership that has not ended.
inline constexpr std::int64_t kStillMember = std::numeric_limits<std::int64_t>::max();

/// The head of a conversation.
struct ConversationHead {
  std::int64_t number = 0;  ///< its key in the tables
  std::string id;
  bool group = false;
  std::string name;
  std::int64_t version = 0;
  std::int64_t members = 0;  ///< who are members now
  std::int64_t top = 0;
  SystemTime last_time;
  std::int64_t jobs = 0;  ///< fan-outs that are not finished
};

/// How one user takes part in a conversation.
struct Membership {
  std::int64_t from_seq = 0;
  std::int64_t until_seq = 0;
  bool admin = false;
  std::int64_t delivered = 0;
  std::int64_t read = 0;
  std::int64_t fanned = 0;
  bool present() const { return until_seq == kStillMember; }
};

Result<std::optional<ConversationHead>> find_head(Connection& connection,
                                                  std::string_view application,
                                                  std::string_view id);
/// Inserts the head and gives it its number. kAlreadyExists if the id is in use.
Result<void> insert_head(Connection& connection, std::string_view application,
                         ConversationHead& head);
/// Writes what can change.
Result<void> update_head(Connection& connection, const ConversationHead& head);

Result<std::optional<Membership>> find_membership(Connection& connection, std::int64_t conversation,
                                                  std::int64_t inbox);
/// Lets the user read from `from_seq` on; keeps what they could read before. False: they are a
/// member already, nothing was written.
Result<bool> join(Connection& connection, std::int64_t conversation, std::int64_t inbox,
                  std::int64_t from_seq, bool admin);
/// Lets the user read up to `until_seq`. False: they are no member.
Result<bool> leave(Connection& connection, std::int64_t conversation, std::int64_t inbox,
                   std::int64_t until_seq, SystemTime now);

/// Everybody but the sender who is a member at `seq`, the conversation's newest, in the order of
/// their inboxes.
Result<std::vector<Recipient>> list_recipients(Connection& connection, std::int64_t conversation,
                                               std::int64_t seq, const Identity& sender,
                                               std::int64_t sender_inbox);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_CONVERSATIONS_H_

// Conversations in SQLite as their members see them: history, lists, members and horizons.
// Thread-safety: as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_HISTORY_H_
#define COUNTERSIGN_STORAGE_SQLITE_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "countersign/result.h"

#include "storage/message_records.h"
#include "storage/sqlite/connection.h"

namespace countersign::storage {

// Each is the call of MessageStore of nearly the same name, inside the caller's transaction.

Result<std::vector<Message>> read_history(Connection& connection, const UserKey& user,
                                          std::string_view conversation, std::int64_t before,
                                          std::size_t limit);
Result<std::vector<Conversation>> read_conversations(Connection& connection, const UserKey& user,
                                                     SystemTime before_time,
                                                     std::string_view before_id, std::size_t limit);
Result<Conversation> read_conversation(Connection& connection, const UserKey& user,
                                       std::string_view conversation);
Result<std::vector<Horizon>> read_members(Connection& connection, const UserKey& user,
                                          std::string_view conversation,
                                          const std::optional<Identity>& after, std::size_t limit);
Result<std::optional<Receipt>> mark_conversation_read(Connection& connection, const UserKey& user,
                                                      std::string_view conversation,
                                                      std::int64_t seq);
Result<std::optional<GroupCount>> count_group_receipts(Connection& connection,
                                                       const UserKey& sender,
                                                       std::string_view conversation);
Result<std::vector<bool>> find_shared_conversations(Connection& connection, const UserKey& user,
                                                    std::span<const Identity> others);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_HISTORY_H_

// Conversations in PostgreSQL as their members see them: history, lists, members and horizons. Each
// is one statement, or one flush of statements that see one state.
// Thread-safety: as Database.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_HISTORY_H_
#define COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_HISTORY_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "countersign/result.h"

#include "storage/message_records.h"
#include "storage/postgres/database.h"

namespace countersign::storage::postgres {

// Each is the call of MessageStore of nearly the same name.

Result<std::vector<Message>> read_history(Database& database, const UserKey& user,
                                          std::string_view conversation, std::int64_t before,
                                          std::size_t limit);
Result<std::vector<Conversation>> read_conversations(Database& database, const UserKey& user,
                                                     SystemTime before_time,
                                                     std::string_view before_id, std::size_t limit);
Result<Conversation> read_conversation(Database& database, const UserKey& user,
                                       std::string_view conversation);
Result<std::vector<Horizon>> read_members(Database& database, const UserKey& user,
                                          std::string_view conversation,
                                          const std::optional<Identity>& after, std::size_t limit);
Result<std::optional<GroupCount>> count_group_receipts(Database& database, const UserKey& sender,
                                                       std::string_view conversation);
Result<std::vector<bool>> find_shared_conversations(Database& database, const UserKey& user,
                                                    std::span<const Identity> others);
Result<void> export_all(Database& database, const UserKey& user,
                        const std::function<bool(const Message&)>& take);

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_HISTORY_H_

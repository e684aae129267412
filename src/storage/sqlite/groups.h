// Changes of groups in SQLite: who may make them, and what they do to the memberships.
// Thread-safety: as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_GROUPS_H_
#define COUNTERSIGN_STORAGE_SQLITE_GROUPS_H_

#include <optional>

#include "countersign/result.h"

#include "storage/message_records.h"
#include "storage/sqlite/conversations.h"

namespace countersign::storage {

/// Makes the group of a GroupChange::Action::kCreate, still without a message. Nothing: `head` is
/// the group's. Else why not; what was written has to be rolled back.
Result<std::optional<SendRefusal>> make_group(Connection& connection, const Send& send,
                                              const Inbox& creator, ConversationHead& head);

/// Applies any other change, whose message will be the one after `head.top`, to the memberships and
/// to `head` (which the caller writes). The answer is as above.
Result<std::optional<SendRefusal>> change_group(Connection& connection, const Send& send,
                                                const Inbox& actor, bool actor_is_admin,
                                                ConversationHead& head);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_GROUPS_H_

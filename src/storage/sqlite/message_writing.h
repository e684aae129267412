// Accepting a message in SQLite: dedupe, conversation, message and entries in one transaction.
// Thread-safety: as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_MESSAGE_WRITING_H_
#define COUNTERSIGN_STORAGE_SQLITE_MESSAGE_WRITING_H_

#include "countersign/result.h"

#include "storage/message_records.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/message_mutants.h"

namespace countersign::storage {

/// What accept_message() fails with after it has set `Sent::refused`: the caller rolls back what
/// was written and answers the refusal.
inline constexpr ErrorCode kSendRefused = ErrorCode::kBadState;

/// Writes the message inside the caller's transaction and fills `sent`, which comes empty.
/// @param callbacks  whether a callback is written with it.
/// @return kSendRefused as above; kOverloaded if too many jobs of the conversation wait; and the
/// errors of every write.
Result<void> accept_message(Connection& connection, const Send& send, const MessageMutants& mutants,
                            bool callbacks, Sent& sent);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_MESSAGE_WRITING_H_

// Fan-out jobs in SQLite: entries that are written after the message was accepted.
//
// The jobs of a conversation are worked in the order of their messages, inbox by inbox, so that in
// every inbox its messages have the order of their seqs.
// Thread-safety: as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_FAN_OUT_H_
#define COUNTERSIGN_STORAGE_SQLITE_FAN_OUT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "countersign/result.h"

#include "storage/message_records.h"
#include "storage/sqlite/inboxes.h"

namespace countersign::storage {

/// How many jobs of one conversation may wait; further messages to it are kOverloaded.
inline constexpr std::int64_t kMaxJobs = 64;

/// Leaves the entries of everybody who is a member at the message's seq, but for the inboxes
/// `left_out`, to a job.
Result<void> add_job(Connection& connection, std::int64_t conversation, std::int64_t message,
                     const std::vector<std::int64_t>& left_out);

/// Writes what the jobs of the conversation still have for `inbox`, whose user is about to get the
/// entry of message `seq` at once.
Result<void> catch_up(Connection& connection, std::int64_t conversation, std::int64_t seq,
                      Inbox& inbox);

/// True if there is a job.
Result<bool> has_job(Connection& connection);
/// MessageStore::fan_out() inside the caller's transaction.
Result<std::optional<FanOut>> work_on_job(Connection& connection, std::size_t limit);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_FAN_OUT_H_

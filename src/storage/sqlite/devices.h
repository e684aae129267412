// Devices in SQLite: where each stands in its user's inbox, and reading that inbox.
// Thread-safety: as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_DEVICES_H_
#define COUNTERSIGN_STORAGE_SQLITE_DEVICES_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "countersign/result.h"

#include "storage/message_records.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/message_mutants.h"

namespace countersign::storage {

/// MessageStore::attach() inside the caller's transaction.
/// @param may_write  false: nothing comes back if something would have to be written.
Result<std::optional<Attached>> attach_device(Connection& connection, const Attach& attach,
                                              bool may_write, const MessageMutants& mutants);

/// MessageStore::acknowledge() inside the caller's transaction.
/// @param callbacks  whether a callback is written for each delivered horizon that moves.
Result<Acked> acknowledge_entries(Connection& connection, const Ack& ack, bool callbacks);

/// MessageStore::read_inbox() inside the caller's transaction.
Result<InboxPage> read_page(Connection& connection, const UserKey& user, std::int64_t after,
                            std::size_t max_entries, std::size_t max_bytes,
                            const MessageMutants& mutants);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_DEVICES_H_

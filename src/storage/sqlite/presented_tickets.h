// Presented tickets in SQLite: the steps that the transactions of instances.cc share.
// Thread-safety: as Connection.
// Source: docs/reference/protocol.md, "A ticket for one device".
#ifndef COUNTERSIGN_STORAGE_SQLITE_PRESENTED_TICKETS_H_
#define COUNTERSIGN_STORAGE_SQLITE_PRESENTED_TICKETS_H_

#include <string_view>

#include "storage/records.h"
#include "storage/sqlite/connection.h"

namespace countersign::storage {

/// Notes the ticket with the instance it makes or prolongs; see InstanceStore::create_instance.
/// kReplayed, kOverloaded, kLimitExceeded.
Result<void> note_presented(Connection& connection, const PresentedTicket& ticket,
                            std::string_view application_key, const Identity& identity,
                            const InstanceId& instance);
/// Removes rows of tickets that expired before `before`, at most `limit`; returns how many.
Result<std::size_t> remove_presented(Connection& connection, SystemTime before, std::size_t limit);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_PRESENTED_TICKETS_H_

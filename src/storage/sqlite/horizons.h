// Horizons in SQLite: how far each member has got, and who hears of it when that moves.
// Thread-safety: as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_HORIZONS_H_
#define COUNTERSIGN_STORAGE_SQLITE_HORIZONS_H_

#include <cstdint>
#include <optional>

#include "countersign/result.h"

#include "storage/message_records.h"
#include "storage/sqlite/connection.h"

namespace countersign::storage {

/// Moves the member's delivered horizon to `seq`. Nothing if it stands there or beyond already.
Result<std::optional<Receipt>> move_delivered(Connection& connection, std::int64_t conversation,
                                              std::int64_t inbox, const Identity& member,
                                              std::int64_t seq);
/// Moves the member's read horizon to `seq`, and the delivered one if it lies below.
Result<std::optional<Receipt>> move_read(Connection& connection, std::int64_t conversation,
                                         std::int64_t inbox, const Identity& member,
                                         std::int64_t seq);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_HORIZONS_H_

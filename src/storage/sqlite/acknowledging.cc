#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/sqlite/callbacks.h"
#include "storage/sqlite/devices.h"
#include "storage/sqlite/horizons.h"
#include "storage/sqlite/inboxes.h"
#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

/// See devices.cc: the note of having been seen is written once an hour.
constexpr std::chrono::hours kSeenGrain(1);

/// A device with its inbox, and the epoch of all positions.
struct Place {
  std::string epoch;
  bool known = false;  ///< false: there is no such device
  std::int64_t inbox = 0;
  std::int64_t top = 0;
  std::int64_t acknowledged = 0;  ///< by the device that is furthest
  std::int64_t cursor = 0;
  SystemTime seen;
};

Result<Place> find_place(Connection& connection, const Ack& ack) {
  Result<std::optional<Place>> place = find_row(
      connection,
      "SELECT e.value, d.device IS NOT NULL, i.id, i.top, i.acknowledged, d.cursor, d.seen "
      "FROM meta e "
      "LEFT JOIN inboxes i ON i.application = ? AND i.type = ? AND i.endpoint = ? "
      "LEFT JOIN message_devices d ON d.inbox = i.id AND d.device = ? "
      "WHERE e.name = 'message_epoch'",
      [](const Statement& row) {
        return Place{row.bytes(0),   row.flag(1),    row.integer(2), row.integer(3),
                     row.integer(4), row.integer(5), row.time(6)};
      },
      ack.user.application, type_number(ack.user.identity), ack.user.identity.endpoint, ack.device);
  if (!place) return place.failure();
  if (!*place) return fail(ErrorCode::kStoreFailed, "the store has no epoch");
  return **std::move(place);
}

/// How far what was acknowledged reaches in each conversation. Gathered here: a GROUP BY would make
/// a temporary table for each acknowledgement.
Result<std::map<std::int64_t, std::int64_t>> find_reaches(Connection& connection,
                                                          std::int64_t inbox, std::int64_t after,
                                                          std::int64_t until) {
  std::map<std::int64_t, std::int64_t> reaches;
  Result<Statement> rows = connection.prepare(
      "SELECT m.conversation, m.seq FROM inbox_entries e JOIN messages m ON m.id = e.message "
      "WHERE e.inbox = ? AND e.\"offset\" > ? AND e.\"offset\" <= ? AND e.kind IN (1, 3) "
      "AND m.gone = 0",
      inbox, after, until);
  if (!rows) return rows.failure();
  for (;;) {
    Result<bool> stepped = rows->step();
    if (!stepped) return stepped.failure();
    if (!*stepped) return reaches;
    std::int64_t& reach = reaches[rows->integer(0)];
    reach = std::max(reach, rows->integer(1));
  }
}

}  // namespace

Result<Acked> acknowledge_entries(Connection& connection, const Ack& ack, bool callbacks) {
  Result<Place> found = find_place(connection, ack);
  if (!found) return found.failure();
  const Place& place = *found;
  if (ack.epoch != place.epoch) {
    return fail(ErrorCode::kUnrecoverablePosition, "the position is of another epoch");
  }
  if (!place.known) return fail(ErrorCode::kAbsent, "no such device");
  if (ack.offset > place.top) {
    return fail(ErrorCode::kUnrecoverablePosition, "the offset lies above the top");
  }

  Acked acked;
  acked.cursor = std::max(place.cursor, ack.offset);
  if (acked.cursor > place.cursor) {
    Result<std::int64_t> moved =
        connection.run("UPDATE message_devices SET cursor = ? WHERE inbox = ? AND device = ?",
                       acked.cursor, place.inbox, ack.device);
    if (!moved) return moved.failure();
  }
  if (ack.now - place.seen > kSeenGrain) {
    Result<std::int64_t> seen =
        connection.run("UPDATE message_devices SET seen = ? WHERE inbox = ? AND device = ?",
                       ack.now, place.inbox, ack.device);
    if (!seen) return seen.failure();
  }
  if (ack.offset <= place.acknowledged) return acked;

  Result<std::int64_t> noted =
      connection.run("UPDATE inboxes SET acknowledged = ? WHERE id = ?", ack.offset, place.inbox);
  if (!noted) return noted.failure();
  auto reaches = find_reaches(connection, place.inbox, place.acknowledged, ack.offset);
  if (!reaches) return reaches.failure();
  for (const auto& [conversation, seq] : *reaches) {
    Result<std::optional<Receipt>> receipt =
        move_delivered(connection, conversation, place.inbox, ack.user.identity, seq);
    if (!receipt) return receipt.failure();
    if (!*receipt) continue;
    if (callbacks) {
      Result<void> added = add_message_callback(connection, CallbackKind::kMessageDelivered,
                                                ack.user, conversation, seq, {}, ack.now);
      if (!added) return added.failure();
    }
    acked.receipts.push_back(**std::move(receipt));
  }
  return acked;
}

}  // namespace countersign::storage

#include "storage/sqlite/privacy.h"

#include <limits>
#include <optional>

#include "storage/sqlite/callbacks.h"
#include "storage/sqlite/conversations.h"
#include "storage/sqlite/inboxes.h"
#include "storage/sqlite/retention.h"
#include "storage/sqlite/rows.h"
#include "storage/sqlite/stored_messages.h"

namespace countersign::storage {
namespace {

/// Messages that an export reads at a time: with the largest bodies 2.4 MB.
constexpr std::int64_t kExportPage = 50;

Result<void> count_blocks(Connection& connection, std::int64_t inbox) {
  Result<std::int64_t> counted = connection.run(
      "UPDATE inboxes SET blocking = (SELECT count(*) FROM blocks WHERE inbox = ?1) "
      "WHERE id = ?1",
      inbox);
  if (!counted) return counted.failure();
  return {};
}

/// Takes the bodies of messages the user sent; returns how many. They are found by the rows that
/// tell a repeat, which outlive every message: an index of senders would cost each message more.
Result<std::size_t> take_bodies(Connection& connection, std::int64_t inbox, std::size_t limit) {
  Result<std::int64_t> taken = connection.run(
      "UPDATE messages SET body = '', device = '', gone = 1 WHERE id IN (SELECT m.id "
      "FROM accepted_sends a CROSS JOIN messages m ON m.conversation = a.conversation "
      "AND m.seq = a.seq WHERE a.sender = ? AND m.gone = 0 LIMIT ?)",
      inbox, sql_limit(limit));
  if (!taken) return taken.failure();
  return static_cast<std::size_t>(*taken);
}

/// Ends memberships as if they had never been; returns how many.
Result<std::size_t> drop_memberships(Connection& connection, std::int64_t inbox,
                                     std::size_t limit) {
  Result<std::vector<std::int64_t>> conversations =
      list_rows(connection, "SELECT conversation FROM conversation_members WHERE inbox = ? LIMIT ?",
                first_integer, inbox, sql_limit(limit));
  if (!conversations) return conversations.failure();
  for (const std::int64_t conversation : *conversations) {
    Result<std::int64_t> changed = connection.run(
        "UPDATE conversations SET members = members - 1, version = version + 1 WHERE number = ?1 "
        "AND EXISTS (SELECT 1 FROM conversation_members WHERE conversation = ?1 AND inbox = ?2 "
        "AND until_seq = ?3)",
        conversation, inbox, kStillMember);
    if (changed) {
      changed =
          connection.run("DELETE FROM conversation_members WHERE conversation = ? AND inbox = ?",
                         conversation, inbox);
    }
    if (changed) {
      changed = connection.run("DELETE FROM past_memberships WHERE conversation = ? AND inbox = ?",
                               conversation, inbox);
    }
    if (!changed) return changed.failure();
  }
  return conversations->size();
}

/// Removes one kind of small rows of an inbox; returns how many.
Result<std::size_t> drop_rows(Connection& connection, const char* sql, std::int64_t inbox,
                              std::size_t limit) {
  Result<std::int64_t> dropped = connection.run(sql, inbox, sql_limit(limit));
  if (!dropped) return dropped.failure();
  return static_cast<std::size_t>(*dropped);
}

}  // namespace

Result<bool> write_block(Connection& connection, const UserKey& user, const Identity& other,
                         bool blocked, std::size_t max_blocks, SystemTime now) {
  Result<Inbox> inbox = find_or_make_inbox(connection, user, now);
  if (!inbox) return inbox.failure();
  Result<std::int64_t> changed =
      blocked ? connection.run(
                    "INSERT INTO blocks (inbox, type, endpoint, since) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT DO NOTHING",
                    inbox->id, type_number(other), other.endpoint, now)
              : connection.run("DELETE FROM blocks WHERE inbox = ? AND type = ? AND endpoint = ?",
                               inbox->id, type_number(other), other.endpoint);
  if (!changed) return changed.failure();
  if (*changed == 0) return false;
  if (Result<void> counted = count_blocks(connection, inbox->id); !counted) {
    return counted.failure();
  }
  if (!blocked) return true;
  Result<std::optional<std::int64_t>> count =
      find_row(connection, "SELECT blocking FROM inboxes WHERE id = ?", first_integer, inbox->id);
  if (!count) return count.failure();
  if (count->value_or(0) > sql_limit(max_blocks)) {
    return fail(ErrorCode::kLimitExceeded, "the user blocks too many");
  }
  return true;
}

Result<std::vector<Identity>> read_blocks(Connection& connection, const UserKey& user) {
  return list_rows(
      connection,
      "SELECT b.type, b.endpoint FROM inboxes i JOIN blocks b ON b.inbox = i.id "
      "WHERE i.application = ? AND i.type = ? AND i.endpoint = ? "
      "ORDER BY b.type, b.endpoint",
      [](const Statement& row) { return read_identity(row, 0); }, user.application,
      type_number(user.identity), user.identity.endpoint);
}

Result<std::vector<Message>> read_for_export(Connection& connection, const UserKey& user,
                                             ExportPlace& place) {
  Result<std::optional<Inbox>> inbox = find_inbox(connection, user);
  if (!inbox) return inbox.failure();
  if (!*inbox) return fail(ErrorCode::kAbsent, "no such user");
  Result<std::vector<Message>> page = list_rows(
      connection,
      "SELECT " COUNTERSIGN_MESSAGE_COLUMNS
      " FROM conversation_members p CROSS JOIN messages m ON m.conversation = "
      "p.conversation " COUNTERSIGN_MESSAGE_JOINS
      "WHERE p.conversation = ?1 AND p.inbox = ?2 "
      "AND m.seq > max(?3, (SELECT min(from_seq) - 1 FROM " COUNTERSIGN_STRETCHES
      ")) AND m.gone = 0 "
      "AND (m.sender = p.inbox OR " COUNTERSIGN_READABLE ") ORDER BY m.seq LIMIT ?4",
      [](const Statement& row) { return read_message(row); }, place.conversation, (*inbox)->id,
      place.seq, kExportPage);
  if (!page) return page.failure();
  if (!page->empty()) place.seq = page->back().seq;
  if (sql_limit(page->size()) == kExportPage) return page;

  Result<std::optional<std::int64_t>> next =
      find_row(connection,
               "SELECT conversation FROM conversation_members WHERE inbox = ? AND conversation > ? "
               "ORDER BY conversation LIMIT 1",
               first_integer, (*inbox)->id, place.conversation);
  if (!next) return next.failure();
  place.finished = !next->has_value();
  place.conversation = next->value_or(0);
  place.seq = 0;
  return page;
}

Result<std::size_t> erase_user(Connection& connection, const UserKey& user, std::size_t limit) {
  Result<std::optional<Inbox>> inbox = find_inbox(connection, user);
  if (!inbox) return inbox.failure();
  if (!*inbox) return std::size_t{0};
  const std::int64_t id = (*inbox)->id;
  // First, so that no new message comes while the old ones go.
  Result<std::int64_t> marked = connection.run(
      "UPDATE inboxes SET erased = 1, signed_in = 0, acknowledged = top WHERE id = ?", id);
  if (!marked) return marked.failure();

  Result<std::size_t> gone = take_bodies(connection, id, limit);
  if (!gone || *gone > 0) return gone;
  gone = remove_front(connection, id, SystemTime::max(), limit);
  if (!gone || *gone > 0) return gone;
  gone = drop_memberships(connection, id, limit);
  if (!gone || *gone > 0) return gone;
  gone = remove_callbacks_of(connection, user, limit);
  if (!gone || *gone > 0) return gone;
  gone = drop_rows(connection,
                   "DELETE FROM message_devices WHERE inbox = ?1 AND device IN (SELECT device "
                   "FROM message_devices WHERE inbox = ?1 LIMIT ?2)",
                   id, limit);
  if (!gone || *gone > 0) return gone;
  gone = drop_rows(connection,
                   "DELETE FROM blocks WHERE inbox = ?1 AND (type, endpoint) IN (SELECT type, "
                   "endpoint FROM blocks WHERE inbox = ?1 LIMIT ?2)",
                   id, limit);
  if (!gone || *gone > 0) return gone;
  if (Result<void> counted = count_blocks(connection, id); !counted) return counted.failure();
  return std::size_t{0};
}

}  // namespace countersign::storage

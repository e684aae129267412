#include "storage/sqlite/retention.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "storage/sqlite/inboxes.h"
#include "storage/sqlite/rows.h"
#include "storage/sqlite/stored_messages.h"

namespace countersign::storage {
namespace {

/// A message that has expired, with what its sender is told.
struct Overdue {
  std::int64_t id = 0;
  std::int64_t conversation = 0;
  bool group = false;
  std::string message_id;
  UserKey sender;
  Message message;
};

Result<std::vector<Overdue>> list_overdue(Connection& connection, SystemTime now,
                                          std::size_t limit) {
  return list_rows(
      connection,
      "SELECT m.id, m.conversation, c.is_group, m.message_id, "
      "c.application, " COUNTERSIGN_MESSAGE_COLUMNS " FROM messages m " COUNTERSIGN_MESSAGE_JOINS
      "WHERE m.expires <= ? AND m.expires IS NOT NULL AND m.gone = 0 "
      "ORDER BY m.expires, m.id LIMIT ?",
      [](const Statement& row) {
        Overdue overdue;
        overdue.id = row.integer(0);
        overdue.conversation = row.integer(1);
        overdue.group = row.flag(2);
        overdue.message_id = row.bytes(3);
        overdue.message = read_message(row, 5);
        overdue.sender = UserKey{row.bytes(4), overdue.message.sender};
        return overdue;
      },
      now, sql_limit(limit));
}

/// Somebody who should have got a message.
struct Missed {
  std::int64_t inbox = 0;
  Identity user;
};

/// Tells the sender of each recipient who had not got the message.
Result<void> report_missed(Connection& connection, const Overdue& overdue, SystemTime now,
                           std::vector<Expired>& expired) {
  Result<std::vector<Missed>> missed = list_rows(
      connection,
      "SELECT i.id, i.type, i.endpoint FROM messages m "
      "JOIN conversation_members p ON p.conversation = m.conversation "
      "JOIN inboxes i ON i.id = p.inbox WHERE m.id = ? AND p.inbox <> m.sender "
      "AND p.delivered < m.seq AND " COUNTERSIGN_READABLE "ORDER BY i.type, i.endpoint",
      [](const Statement& row) {
        return Missed{row.integer(0), read_identity(row, 1)};
      },
      overdue.id);
  if (!missed) return missed.failure();
  if (missed->empty()) return {};
  Result<std::optional<Inbox>> sender = find_inbox(connection, overdue.sender);
  if (!sender) return sender.failure();
  if (!*sender) return fail(ErrorCode::kStoreFailed, "a sender has no inbox");
  for (const Missed& who : *missed) {
    NewEntry entry;
    entry.kind = EntryKind::kFailed;
    entry.message = overdue.id;
    entry.message_id = overdue.message_id;
    entry.time = now;
    entry.failed_inbox = who.inbox;
    Result<void> written = append_entry(connection, **sender, entry, (*sender)->id);
    if (written) written = change_uses(connection, overdue.id, 1);
    if (!written) return written;

    Expired one;
    one.sender = overdue.sender;
    one.entry.offset = (*sender)->top;
    one.entry.chain = (*sender)->chain;
    one.entry.kind = EntryKind::kFailed;
    one.entry.message = overdue.message;
    one.entry.message.body.clear();
    one.entry.message.gone = true;
    one.entry.failed = ErrorCode::kMessageExpired;
    one.entry.failed_user = who.user;
    expired.push_back(std::move(one));
  }
  return {};
}

/// An entry at the front of an inbox.
struct Front {
  std::int64_t offset = 0;
  std::string chain;
  std::int64_t size = 0;
  std::int64_t message = 0;
  std::int64_t sender = 0;
  SystemTime time;
};

Result<std::vector<Front>> list_front(Connection& connection, std::int64_t inbox,
                                      std::size_t limit) {
  return list_rows(
      connection,
      "SELECT e.\"offset\", e.chain, e.size, e.message, m.sender, "
      "coalesce(e.time, m.time) FROM inbox_entries e "
      "JOIN messages m ON m.id = e.message WHERE e.inbox = ? "
      "ORDER BY e.\"offset\" LIMIT ?",
      [](const Statement& row) {
        return Front{row.integer(0), row.bytes(1),   row.integer(2),
                     row.integer(3), row.integer(4), row.time(5)};
      },
      inbox, sql_limit(limit));
}

Result<void> lower_shares(Connection& connection, std::int64_t inbox,
                          const std::map<std::int64_t, std::int64_t>& removed) {
  for (const auto& [sender, entries] : removed) {
    Result<std::optional<std::int64_t>> left =
        find_row(connection,
                 "UPDATE sender_shares SET entries = entries - ? WHERE inbox = ? AND sender = ? "
                 "RETURNING entries",
                 first_integer, entries, inbox, sender);
    if (!left) return left.failure();
    if (left->value_or(1) > 0) continue;
    Result<std::int64_t> deleted =
        connection.run("DELETE FROM sender_shares WHERE inbox = ? AND sender = ?", inbox, sender);
    if (!deleted) return deleted.failure();
  }
  return {};
}

Result<std::optional<std::int64_t>> find_inbox_with_old_entries(Connection& connection,
                                                                SystemTime before) {
  return find_row(connection,
                  "SELECT id FROM inboxes WHERE oldest < ? AND oldest IS NOT NULL "
                  "ORDER BY oldest LIMIT 1",
                  first_integer, before);
}

}  // namespace

Result<bool> has_expired(Connection& connection, SystemTime now) {
  Result<std::optional<std::int64_t>> any = find_row(
      connection,
      "SELECT 1 FROM messages WHERE expires <= ? AND expires IS NOT NULL AND gone = 0 LIMIT 1",
      first_integer, now);
  if (!any) return any.failure();
  return any->has_value();
}

Result<Expiry> expire_messages(Connection& connection, SystemTime now, std::size_t limit) {
  Result<std::vector<Overdue>> overdue = list_overdue(connection, now, limit);
  if (!overdue) return overdue.failure();
  Expiry expiry;
  expiry.found = overdue->size();
  for (const Overdue& one : *overdue) {
    Result<std::int64_t> cleared =
        connection.run("UPDATE messages SET body = '', gone = 1 WHERE id = ?", one.id);
    if (!cleared) return cleared.failure();
    if (one.group) continue;
    if (Result<void> told = report_missed(connection, one, now, expiry.notices); !told) {
      return told.failure();
    }
  }
  return expiry;
}

Result<std::size_t> remove_front(Connection& connection, std::int64_t inbox, SystemTime before,
                                 std::size_t limit) {
  // One more than may go: its time is that of the new front.
  Result<std::vector<Front>> front = list_front(connection, inbox, limit + 1);
  if (!front) return front.failure();
  std::size_t count = 0;
  std::int64_t bytes = 0;
  std::map<std::int64_t, std::int64_t> shares;
  for (; count < front->size() && count < limit; ++count) {
    const Front& entry = (*front)[count];
    if (entry.time >= before) break;
    bytes += entry.size;
    if (entry.sender != inbox) ++shares[entry.sender];
    if (Result<void> let_go = change_uses(connection, entry.message, -1); !let_go) {
      return let_go.failure();
    }
  }
  std::optional<SystemTime> oldest;
  if (count < front->size()) oldest = (*front)[count].time;
  if (count == 0) {
    Result<std::int64_t> noted =
        connection.run("UPDATE inboxes SET oldest = ? WHERE id = ?", oldest, inbox);
    if (!noted) return noted.failure();
    return count;
  }
  const Front& last = (*front)[count - 1];
  Result<std::int64_t> removed = connection.run(
      "DELETE FROM inbox_entries WHERE inbox = ? AND \"offset\" <= ?", inbox, last.offset);
  if (!removed) return removed.failure();
  Result<std::int64_t> moved = connection.run(
      "UPDATE inboxes SET floor = ?, floor_chain = ?, bytes = bytes - ?, oldest = ? WHERE id = ?",
      last.offset, Blob{last.chain}, bytes, oldest, inbox);
  if (!moved) return moved.failure();
  if (Result<void> lowered = lower_shares(connection, inbox, shares); !lowered) {
    return lowered.failure();
  }
  return count;
}

Result<std::size_t> remove_kept_long_enough(Connection& connection, SystemTime before,
                                            std::size_t limit) {
  std::size_t removed = 0;
  while (removed < limit) {
    Result<std::optional<std::int64_t>> inbox = find_inbox_with_old_entries(connection, before);
    if (!inbox) return inbox.failure();
    if (!*inbox) break;
    Result<std::size_t> entries = remove_front(connection, **inbox, before, limit - removed);
    if (!entries) return entries.failure();
    removed += *entries;
  }
  Result<std::int64_t> devices = connection.run(
      "DELETE FROM message_devices WHERE (inbox, device) IN (SELECT inbox, device "
      "FROM message_devices WHERE seen < ? ORDER BY seen LIMIT ?)",
      before, sql_limit(limit - removed));
  if (!devices) return devices.failure();
  removed += static_cast<std::size_t>(*devices);
  // The table is in the order of time: what stands behind a younger row waits for it.
  Result<std::int64_t> repeats = connection.run(
      "DELETE FROM accepted_sends WHERE id IN (SELECT id FROM (SELECT id, time "
      "FROM accepted_sends ORDER BY id LIMIT ?) WHERE time < ?)",
      sql_limit(limit - removed), before - kRepeatsOutlive);
  if (!repeats) return repeats.failure();
  return removed + static_cast<std::size_t>(*repeats);
}

}  // namespace countersign::storage

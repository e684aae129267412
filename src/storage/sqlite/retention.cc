#include "storage/sqlite/retention.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "storage/sqlite/inboxes.h"
#include "storage/sqlite/rows.h"
#include "storage/sqlite/stored_messages.h"

namespace countersign::storage {
namespace {

/// A message whose time is over, with what its sender is told.
struct Overdue {
  std::int64_t id = 0;
  std::int64_t conversation = 0;
  bool group = false;
  std::string message_id;
  UserKey sender;
  Message message;
};

/// What read_overdue() reads, of the tables of COUNTERSIGN_MESSAGE_JOINS.
#define COUNTERSIGN_OVERDUE_COLUMNS \
  "m.id, m.conversation, c.is_group, m.message_id, c.application, " COUNTERSIGN_MESSAGE_COLUMNS

Overdue read_overdue(const Statement& row) {
  Overdue overdue;
  overdue.id = row.integer(0);
  overdue.conversation = row.integer(1);
  overdue.group = row.flag(2);
  overdue.message_id = row.bytes(3);
  overdue.message = read_message(row, 5);
  overdue.sender = UserKey{row.bytes(4), overdue.message.sender};
  return overdue;
}

Result<std::vector<Overdue>> list_overdue(Connection& connection, SystemTime now,
                                          std::size_t limit) {
  return list_rows(connection,
                   "SELECT " COUNTERSIGN_OVERDUE_COLUMNS
                   " FROM messages m " COUNTERSIGN_MESSAGE_JOINS
                   "WHERE m.expires <= ? AND m.expires IS NOT NULL AND m.gone = 0 "
                   "ORDER BY m.expires, m.id LIMIT ?",
                   read_overdue, now, sql_limit(limit));
}

/// Messages of direct conversations, of the inbox's entries up to `last`, that its user never got.
Result<std::vector<Overdue>> list_undelivered(Connection& connection, std::int64_t inbox,
                                              std::int64_t last) {
  return list_rows(
      connection,
      "SELECT " COUNTERSIGN_OVERDUE_COLUMNS
      " FROM inbox_entries e CROSS JOIN messages m ON m.id = e.message " COUNTERSIGN_MESSAGE_JOINS
      "JOIN conversation_members p ON p.conversation = m.conversation "
      "AND p.inbox = e.inbox WHERE e.inbox = ? AND e.\"offset\" <= ? AND e.kind = ? "
      "AND m.gone = 0 AND c.is_group = 0 AND p.delivered < m.seq "
      "ORDER BY e.\"offset\"",
      read_overdue, inbox, last, static_cast<std::int64_t>(EntryKind::kMessage));
}

/// Somebody who should have got a message.
struct Missed {
  std::int64_t inbox = 0;
  Identity user;
};

/// Tells the sender of each recipient who had not got the message. A backend that never signs in
/// would not read it, and its inbox would fill.
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
  if (!(*sender)->signed_in) return {};
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

/// Takes the bodies; tells the sender of each recipient who had not got the message.
Result<void> expire(Connection& connection, const std::vector<Overdue>& messages, SystemTime now,
                    std::vector<Expired>& expired) {
  for (const Overdue& one : messages) {
    Result<std::int64_t> cleared =
        connection.run("UPDATE messages SET body = '', gone = 1 WHERE id = ?", one.id);
    if (!cleared) return cleared.failure();
    if (one.group) continue;
    if (Result<void> told = report_missed(connection, one, now, expired); !told) return told;
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

/// The entries that may go from the front of an inbox.
struct OldFront {
  std::vector<Front> entries;
  std::optional<SystemTime> oldest;  ///< the time of what then stands there
};

Result<OldFront> find_old_front(Connection& connection, std::int64_t inbox, SystemTime before,
                                std::size_t limit) {
  // One more than may go: its time is that of the new front.
  Result<std::vector<Front>> entries = list_front(connection, inbox, limit + 1);
  if (!entries) return entries.failure();
  OldFront front;
  front.entries = std::move(*entries);
  const auto stays =
      std::ranges::find_if(front.entries, [&](const Front& entry) { return entry.time >= before; });
  const auto count = std::min(limit, static_cast<std::size_t>(stays - front.entries.begin()));
  if (count < front.entries.size()) front.oldest = front.entries[count].time;
  front.entries.resize(count);
  return front;
}

Result<void> remove_entries(Connection& connection, std::int64_t inbox, const OldFront& front) {
  if (front.entries.empty()) {
    Result<std::int64_t> noted =
        connection.run("UPDATE inboxes SET oldest = ? WHERE id = ?", front.oldest, inbox);
    return noted ? Result<void>() : noted.failure();
  }
  std::int64_t bytes = 0;
  std::map<std::int64_t, std::int64_t> shares;
  for (const Front& entry : front.entries) {
    bytes += entry.size;
    if (entry.sender != inbox) ++shares[entry.sender];
    Result<void> let_go = change_uses(connection, entry.message, -1);
    if (!let_go) return let_go;
  }
  const Front& last = front.entries.back();
  Result<std::int64_t> removed = connection.run(
      "DELETE FROM inbox_entries WHERE inbox = ? AND \"offset\" <= ?", inbox, last.offset);
  if (!removed) return removed.failure();
  Result<std::int64_t> moved = connection.run(
      "UPDATE inboxes SET floor = ?, floor_chain = ?, bytes = bytes - ?, oldest = ? WHERE id = ?",
      last.offset, Blob{last.chain}, bytes, front.oldest, inbox);
  if (!moved) return moved.failure();
  return lower_shares(connection, inbox, shares);
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
  if (Result<void> taken = expire(connection, *overdue, now, expiry.notices); !taken) {
    return taken.failure();
  }
  return expiry;
}

Result<std::size_t> remove_front(Connection& connection, std::int64_t inbox, SystemTime before,
                                 std::size_t limit) {
  Result<OldFront> front = find_old_front(connection, inbox, before, limit);
  if (!front) return front.failure();
  if (Result<void> removed = remove_entries(connection, inbox, *front); !removed) {
    return removed.failure();
  }
  return front->entries.size();
}

Result<Removal> remove_kept_long_enough(Connection& connection, SystemTime before, SystemTime now,
                                        std::size_t limit) {
  Removal removal;
  while (removal.removed < limit) {
    Result<std::optional<std::int64_t>> inbox = find_inbox_with_old_entries(connection, before);
    if (!inbox) return inbox.failure();
    if (!*inbox) break;
    Result<OldFront> front = find_old_front(connection, **inbox, before, limit - removal.removed);
    if (!front) return front.failure();
    if (!front->entries.empty()) {
      Result<std::vector<Overdue>> undelivered =
          list_undelivered(connection, **inbox, front->entries.back().offset);
      if (!undelivered) return undelivered.failure();
      Result<void> told = expire(connection, *undelivered, now, removal.notices);
      if (!told) return told.failure();
    }
    if (Result<void> removed = remove_entries(connection, **inbox, *front); !removed) {
      return removed.failure();
    }
    removal.removed += front->entries.size();
  }
  Result<std::int64_t> devices = connection.run(
      "DELETE FROM message_devices WHERE (inbox, device) IN (SELECT inbox, device "
      "FROM message_devices WHERE seen < ? ORDER BY seen LIMIT ?)",
      before, sql_limit(limit - removal.removed));
  if (!devices) return devices.failure();
  removal.removed += static_cast<std::size_t>(*devices);
  // The table is in the order of time: what stands behind a younger row waits for it.
  Result<std::int64_t> repeats = connection.run(
      "DELETE FROM accepted_sends WHERE id IN (SELECT id FROM (SELECT id, time "
      "FROM accepted_sends ORDER BY id LIMIT ?) WHERE time < ?)",
      sql_limit(limit - removal.removed), before - kRepeatsOutlive);
  if (!repeats) return repeats.failure();
  removal.removed += static_cast<std::size_t>(*repeats);
  return removal;
}

}  // namespace countersign::storage

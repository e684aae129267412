#include "storage/sqlite/inboxes.h"

#include "storage/message_ids.h"
#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

static_assert(static_cast<int>(IdentityType::kUsername) == 0 &&
                  static_cast<int>(IdentityType::kEmail) == 1 &&
                  static_cast<int>(IdentityType::kNumber) == 2,
              "the numbers of identity types are stored");

Inbox read_inbox_head(const Statement& row) {
  Inbox inbox;
  inbox.id = row.integer(0);
  inbox.top = row.integer(1);
  inbox.floor = row.integer(2);
  inbox.chain = row.bytes(3);
  inbox.bytes = row.integer(4);
  inbox.signed_in = row.flag(5);
  return inbox;
}

Result<void> move_head(Connection& connection, const Inbox& inbox, const NewEntry& entry) {
  // `oldest` is indexed: it is written only when the entry is the only one.
  const bool only = inbox.top == inbox.floor + 1;
  Result<std::int64_t> moved =
      only ? connection.run(
                 "UPDATE inboxes SET top = ?, chain = ?, bytes = ?, oldest = ? WHERE id = ?",
                 inbox.top, Blob{inbox.chain}, inbox.bytes, entry.time, inbox.id)
           : connection.run("UPDATE inboxes SET top = ?, chain = ?, bytes = ? WHERE id = ?",
                            inbox.top, Blob{inbox.chain}, inbox.bytes, inbox.id);
  if (!moved) return moved.failure();
  return {};
}

}  // namespace

std::int64_t type_number(const Identity& identity) {
  return static_cast<std::int64_t>(identity.type);
}

Identity read_identity(const Statement& row, int first) {
  return Identity{static_cast<IdentityType>(row.integer(first)), row.bytes(first + 1)};
}

bool Recipient::full(const MessageLimits& limits, std::size_t size) const {
  const std::size_t entries = inbox.signed_in ? limits.inbox_entries : limits.new_inbox_entries;
  const std::size_t share = inbox.signed_in ? limits.sender_entries : limits.new_sender_entries;
  return inbox.top - inbox.floor >= sql_limit(entries) || sender_entries >= sql_limit(share) ||
         inbox.bytes + sql_limit(size) > sql_limit(limits.inbox_bytes);
}

Recipient read_recipient(const Statement& row) {
  Recipient recipient;
  recipient.inbox = read_inbox_head(row);
  recipient.identity = read_identity(row, 6);
  recipient.sender_entries = row.integer(8);
  recipient.blocks_sender = row.flag(9);
  return recipient;
}

Result<std::optional<Inbox>> find_inbox(Connection& connection, const UserKey& user) {
  return find_row(
      connection,
      "SELECT id, top, floor, chain, bytes, signed_in, erased FROM inboxes "
      "WHERE application = ? AND type = ? AND endpoint = ?",
      [](const Statement& row) {
        Inbox inbox = read_inbox_head(row);
        inbox.erased = row.flag(6);
        return inbox;
      },
      user.application, type_number(user.identity), user.identity.endpoint);
}

Result<std::optional<Recipient>> find_recipient(Connection& connection, const UserKey& user,
                                                const Identity& sender, std::int64_t sender_inbox) {
  return find_row(connection,
                  "SELECT " COUNTERSIGN_RECIPIENT_COLUMNS
                  "FROM inboxes i LEFT JOIN sender_shares s ON s.inbox = i.id AND s.sender = ? "
                  "WHERE i.application = ? AND i.type = ? AND i.endpoint = ? AND i.erased = 0",
                  read_recipient, type_number(sender), sender.endpoint, sender_inbox,
                  user.application, type_number(user.identity), user.identity.endpoint);
}

Result<Inbox> find_or_make_inbox(Connection& connection, const UserKey& user, SystemTime now) {
  Result<std::optional<Inbox>> found = find_inbox(connection, user);
  if (!found) return found.failure();
  if (*found && !(*found)->erased) return **std::move(found);
  if (*found) {
    Result<std::int64_t> revived =
        connection.run("UPDATE inboxes SET erased = 0 WHERE id = ?", (*found)->id);
    if (!revived) return revived.failure();
    return **std::move(found);
  }
  Result<std::int64_t> made = connection.run(
      "INSERT INTO inboxes (application, type, endpoint, signed_in, created) "
      "VALUES (?, ?, ?, 0, ?)",
      user.application, type_number(user.identity), user.identity.endpoint, now);
  if (!made) return made.failure();
  Inbox inbox;
  inbox.id = sqlite3_last_insert_rowid(connection.handle());
  inbox.chain = first_chain();
  return inbox;
}

Result<void> append_entry(Connection& connection, Inbox& inbox, const NewEntry& entry,
                          std::int64_t sender) {
  ++inbox.top;
  inbox.chain = next_chain(inbox.chain, entry.message_id, inbox.top);
  inbox.bytes += sql_limit(entry.size);
  if (Result<void> moved = move_head(connection, inbox, entry); !moved) return moved;

  const bool failed = entry.kind == EntryKind::kFailed;
  Result<std::int64_t> inserted =
      failed ? connection.run(
                   "INSERT INTO inbox_entries (inbox, \"offset\", message, kind, chain, size, "
                   "failed, failed_inbox, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   inbox.id, inbox.top, entry.message, static_cast<int>(entry.kind),
                   Blob{inbox.chain}, entry.size, static_cast<int>(ErrorCode::kMessageExpired),
                   entry.failed_inbox, entry.time)
             : connection.run(
                   "INSERT INTO inbox_entries (inbox, \"offset\", message, kind, chain, size) "
                   "VALUES (?, ?, ?, ?, ?, ?)",
                   inbox.id, inbox.top, entry.message, static_cast<int>(entry.kind),
                   Blob{inbox.chain}, entry.size);
  if (!inserted) return inserted.failure();
  if (sender == inbox.id) return {};
  Result<std::int64_t> counted = connection.run(
      "INSERT INTO sender_shares (inbox, sender, entries) VALUES (?, ?, 1) "
      "ON CONFLICT DO UPDATE SET entries = entries + 1",
      inbox.id, sender);
  if (!counted) return counted.failure();
  return {};
}

Result<std::string> read_epoch(Connection& connection) {
  Result<std::optional<std::string>> epoch =
      find_row(connection, "SELECT value FROM meta WHERE name = 'message_epoch'", first_text);
  if (!epoch) return epoch.failure();
  if (!*epoch) return fail(ErrorCode::kStoreFailed, "the store has no epoch");
  return **std::move(epoch);
}

Result<std::optional<std::string>> find_chain(Connection& connection, std::int64_t inbox,
                                              std::int64_t offset) {
  return find_row(connection,
                  "SELECT floor_chain FROM inboxes WHERE id = ? AND floor = ? UNION ALL "
                  "SELECT chain FROM inbox_entries WHERE inbox = ? AND \"offset\" = ?",
                  first_text, inbox, offset, inbox, offset);
}

}  // namespace countersign::storage

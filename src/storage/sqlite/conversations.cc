#include "storage/sqlite/conversations.h"

#include "storage/sqlite/rows.h"

namespace countersign::storage {

Result<std::optional<ConversationHead>> find_head(Connection& connection,
                                                  std::string_view application,
                                                  std::string_view id) {
  return find_row(
      connection,
      "SELECT number, id, is_group, name, version, members, top, last_time, jobs "
      "FROM conversations WHERE id = ? AND application = ?",
      [](const Statement& row) {
        ConversationHead head;
        head.number = row.integer(0);
        head.id = row.bytes(1);
        head.group = row.flag(2);
        head.name = row.bytes(3);
        head.version = row.integer(4);
        head.members = row.integer(5);
        head.top = row.integer(6);
        head.last_time = row.time(7);
        head.jobs = row.integer(8);
        return head;
      },
      id, application);
}

Result<void> insert_head(Connection& connection, std::string_view application,
                         ConversationHead& head) {
  Result<std::int64_t> inserted = connection.run(
      "INSERT INTO conversations (id, application, is_group, name, version, members, top, "
      "last_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      head.id, application, head.group, head.name, head.version, head.members, head.top,
      head.last_time);
  if (!inserted) return inserted.failure();
  head.number = sqlite3_last_insert_rowid(connection.handle());
  return {};
}

Result<void> update_head(Connection& connection, const ConversationHead& head) {
  Result<std::int64_t> updated = connection.run(
      "UPDATE conversations SET name = ?, version = ?, members = ?, top = ?, last_time = ?, "
      "jobs = ? WHERE number = ?",
      head.name, head.version, head.members, head.top, head.last_time, head.jobs, head.number);
  if (!updated) return updated.failure();
  return {};
}

Result<std::optional<Membership>> find_membership(Connection& connection, std::int64_t conversation,
                                                  std::int64_t inbox) {
  return find_row(
      connection,
      "SELECT from_seq, until_seq, admin, delivered, read, fanned FROM conversation_members "
      "WHERE conversation = ? AND inbox = ?",
      [](const Statement& row) {
        return Membership{row.integer(0), row.integer(1), row.flag(2),
                          row.integer(3), row.integer(4), row.integer(5)};
      },
      conversation, inbox);
}

Result<bool> join(Connection& connection, std::int64_t conversation, std::int64_t inbox,
                  std::int64_t from_seq, bool admin) {
  Result<std::optional<Membership>> before = find_membership(connection, conversation, inbox);
  if (!before) return before.failure();
  if (!*before) {
    Result<std::int64_t> inserted = connection.run(
        "INSERT INTO conversation_members (conversation, inbox, from_seq, until_seq, admin, "
        "delivered, read) VALUES (?, ?, ?, ?, ?, 0, 0)",
        conversation, inbox, from_seq, kStillMember, admin);
    if (!inserted) return inserted.failure();
    return true;
  }
  if ((*before)->present()) return false;
  Result<std::int64_t> kept = connection.run(
      "INSERT INTO past_memberships (conversation, inbox, from_seq, until_seq) "
      "VALUES (?, ?, ?, ?)",
      conversation, inbox, (*before)->from_seq, (*before)->until_seq);
  if (!kept) return kept.failure();
  Result<std::int64_t> updated = connection.run(
      "UPDATE conversation_members SET from_seq = ?, until_seq = ?, "
      "until_time = NULL, admin = ? "
      "WHERE conversation = ? AND inbox = ?",
      from_seq, kStillMember, admin, conversation, inbox);
  if (!updated) return updated.failure();
  return true;
}

Result<bool> leave(Connection& connection, std::int64_t conversation, std::int64_t inbox,
                   std::int64_t until_seq, SystemTime now) {
  Result<std::int64_t> updated = connection.run(
      "UPDATE conversation_members SET until_seq = ?, until_time = ?, admin = 0 "
      "WHERE conversation = ? AND inbox = ? AND until_seq = ?",
      until_seq, now, conversation, inbox, kStillMember);
  if (!updated) return updated.failure();
  return *updated == 1;
}

Result<std::vector<Recipient>> list_recipients(Connection& connection, std::int64_t conversation,
                                               std::int64_t seq, const Identity& sender,
                                               std::int64_t sender_inbox) {
  return list_rows(connection,
                   "SELECT " COUNTERSIGN_RECIPIENT_COLUMNS
                   "FROM conversation_members m JOIN inboxes i ON i.id = m.inbox "
                   "LEFT JOIN sender_shares s ON s.inbox = i.id AND s.sender = ? "
                   "WHERE m.conversation = ? AND m.inbox <> ? AND m.until_seq >= ? "
                   "AND i.erased = 0 ORDER BY m.inbox",
                   read_recipient, type_number(sender), sender.endpoint, sender_inbox, conversation,
                   sender_inbox, seq);
}

}  // namespace countersign::storage

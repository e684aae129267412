#include "storage/sqlite/history.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "storage/sqlite/conversations.h"
#include "storage/sqlite/horizons.h"
#include "storage/sqlite/inboxes.h"
#include "storage/sqlite/rows.h"
#include "storage/sqlite/stored_messages.h"

namespace countersign::storage {
namespace {

/// Conversation::unread counts to this.
constexpr std::int64_t kMaxUnread = 100;
/// Members that a Conversation shows: all of a direct one.
constexpr std::size_t kShownMembers = 11;

/// A condition: the user with this inbox does not block the sender, table `u`.
#define COUNTERSIGN_NOT_BLOCKED_BY(inbox)                                                 \
  "NOT EXISTS (SELECT 1 FROM blocks b WHERE b.type = u.type AND b.endpoint = u.endpoint " \
  "AND b.inbox = " inbox ") "

/// A conversation and the part that one user has in it.
struct View {
  std::int64_t inbox = 0;
  ConversationHead head;
  Membership membership;
  SystemTime last_time;
  /// The highest seq the user may read.
  std::int64_t top() const { return std::min(head.top, membership.until_seq); }
};

#define COUNTERSIGN_VIEW_COLUMNS                                                           \
  "p.inbox, c.number, c.id, c.is_group, c.name, c.version, c.members, c.top, p.from_seq, " \
  "p.until_seq, p.admin, p.delivered, p.read, coalesce(p.until_time, c.last_time) "

View read_view(const Statement& row) {
  View view;
  view.inbox = row.integer(0);
  view.head.number = row.integer(1);
  view.head.id = row.bytes(2);
  view.head.group = row.flag(3);
  view.head.name = row.bytes(4);
  view.head.version = row.integer(5);
  view.head.members = row.integer(6);
  view.head.top = row.integer(7);
  view.membership.from_seq = row.integer(8);
  view.membership.until_seq = row.integer(9);
  view.membership.admin = row.flag(10);
  view.membership.delivered = row.integer(11);
  view.membership.read = row.integer(12);
  view.last_time = row.time(13);
  return view;
}

/// kAbsent if there is no such conversation, kPermissionDenied if the user never was a member.
Result<View> get_view(Connection& connection, const UserKey& user, std::string_view conversation) {
  Result<std::optional<View>> view =
      find_row(connection,
               "SELECT " COUNTERSIGN_VIEW_COLUMNS
               "FROM inboxes i JOIN conversations c ON c.id = ? "
               "JOIN conversation_members p ON p.conversation = c.number AND p.inbox = i.id "
               "WHERE i.application = ? AND i.type = ? AND i.endpoint = ?",
               read_view, conversation, user.application, type_number(user.identity),
               user.identity.endpoint);
  if (!view) return view.failure();
  if (*view) return **std::move(view);
  Result<std::optional<ConversationHead>> head =
      find_head(connection, user.application, conversation);
  if (!head) return head.failure();
  if (!*head) return fail(ErrorCode::kAbsent, "no such conversation");
  return fail(ErrorCode::kPermissionDenied, "not a member of the conversation");
}

/// Members ordered by identity, after `after`: those of now, or for somebody who has left those of
/// then, with their horizons up to then.
Result<std::vector<Horizon>> list_members(Connection& connection, const View& view,
                                          const std::optional<Identity>& after, std::size_t limit) {
  const std::int64_t top = view.top();
  const auto read = [&](const Statement& row) {
    Horizon horizon;
    horizon.conversation = view.head.id;
    horizon.member = read_identity(row, 0);
    horizon.delivered = std::min(row.integer(2), top);
    horizon.read = std::min(row.integer(3), top);
    return horizon;
  };
  const std::int64_t after_type = after ? type_number(*after) : -1;
  const std::string after_endpoint = after ? after->endpoint : std::string();
  if (view.membership.present()) {
    return list_rows(connection,
                     "SELECT i.type, i.endpoint, p.delivered, p.read FROM conversation_members p "
                     "JOIN inboxes i ON i.id = p.inbox WHERE p.conversation = ? "
                     "AND p.until_seq = ? AND (i.type, i.endpoint) > (?, ?) "
                     "ORDER BY i.type, i.endpoint LIMIT ?",
                     read, view.head.number, kStillMember, after_type, after_endpoint,
                     sql_limit(limit));
  }
  return list_rows(connection,
                   "SELECT i.type, i.endpoint, p.delivered, p.read FROM conversation_members p "
                   "JOIN inboxes i ON i.id = p.inbox JOIN (SELECT ? AS seq) m "
                   "WHERE p.conversation = ? AND " COUNTERSIGN_READABLE
                   "AND (i.type, i.endpoint) > (?, ?) ORDER BY i.type, i.endpoint LIMIT ?",
                   read, top, view.head.number, after_type, after_endpoint, sql_limit(limit));
}

/// Seqs that a member may read: `from` is one, `end` the first that is none.
struct Stretch {
  std::int64_t from = 0;
  std::int64_t end = 0;
};

/// Newest first.
Result<std::vector<Stretch>> list_stretches(Connection& connection, const View& view) {
  return list_rows(
      connection, "SELECT from_seq, until_seq FROM " COUNTERSIGN_STRETCHES "ORDER BY from_seq DESC",
      [](const Statement& row) {
        return Stretch{row.integer(0), std::min(row.integer(1), kStillMember - 1) + 1};
      },
      view.head.number, view.inbox);
}

Result<std::int64_t> count_unread(Connection& connection, const View& view) {
  Result<std::optional<std::int64_t>> count =
      find_row(connection,
               "SELECT count(*) FROM (SELECT 1 FROM " COUNTERSIGN_STRETCHES
               "CROSS JOIN messages m ON m.conversation = ?1 "
               "AND m.seq BETWEEN max(s.from_seq, ?3 + 1) AND s.until_seq "
               "JOIN inboxes u ON u.id = m.sender "
               "WHERE m.sender <> ?2 AND m.kind = 1 AND m.gone = 0 AND " COUNTERSIGN_NOT_BLOCKED_BY(
                   "?2") "LIMIT ?4)",
               first_integer, view.head.number, view.inbox, view.membership.read, kMaxUnread);
  if (!count) return count.failure();
  return count->value_or(0);
}

Result<Conversation> describe(Connection& connection, const View& view) {
  Conversation conversation;
  conversation.id = view.head.id;
  conversation.group = view.head.group;
  conversation.name = view.head.name;
  conversation.version = view.head.version;
  conversation.member = view.membership.present();
  conversation.admin = view.membership.admin;
  conversation.member_count = static_cast<std::size_t>(view.head.members);
  conversation.top = view.top();
  conversation.read = std::min(view.membership.read, view.top());
  conversation.last_time = view.last_time;

  Result<std::vector<Horizon>> members =
      list_members(connection, view, std::nullopt, kShownMembers);
  if (!members) return members.failure();
  conversation.members = *std::move(members);
  Result<std::int64_t> unread = count_unread(connection, view);
  if (!unread) return unread.failure();
  conversation.unread = static_cast<std::size_t>(*unread);
  Result<std::optional<Message>> last = find_row(
      connection,
      "SELECT " COUNTERSIGN_MESSAGE_COLUMNS
      " FROM conversation_members p JOIN messages m ON m.conversation = p.conversation "
      "AND m.seq = ? " COUNTERSIGN_MESSAGE_JOINS
      "WHERE p.conversation = ? AND p.inbox = ? AND " COUNTERSIGN_NOT_BLOCKED_BY("p.inbox"),
      [](const Statement& row) { return read_message(row); }, conversation.top, view.head.number,
      view.inbox);
  if (!last) return last.failure();
  conversation.last = *std::move(last);
  return conversation;
}

}  // namespace

Result<std::vector<Message>> read_history(Connection& connection, const UserKey& user,
                                          std::string_view conversation, std::int64_t before,
                                          std::size_t limit) {
  Result<View> view = get_view(connection, user, conversation);
  if (!view) return view.failure();
  Result<std::vector<Stretch>> stretches = list_stretches(connection, *view);
  if (!stretches) return stretches.failure();
  std::vector<Message> messages;
  for (const Stretch& stretch : *stretches) {
    if (messages.size() >= limit) break;
    Result<std::vector<Message>> part = list_rows(
        connection,
        "SELECT " COUNTERSIGN_MESSAGE_COLUMNS " FROM messages m " COUNTERSIGN_MESSAGE_JOINS
        "WHERE m.conversation = ?1 AND m.seq >= ?3 AND m.seq < ?4 "
        "AND " COUNTERSIGN_NOT_BLOCKED_BY("?2") "ORDER BY m.seq DESC LIMIT ?5",
        [](const Statement& row) { return read_message(row); }, view->head.number, view->inbox,
        stretch.from, std::min(before, stretch.end), sql_limit(limit - messages.size()));
    if (!part) return part.failure();
    std::ranges::move(*part, std::back_inserter(messages));
  }
  return messages;
}

Result<std::vector<Conversation>> read_conversations(Connection& connection, const UserKey& user,
                                                     SystemTime before_time,
                                                     std::string_view before_id,
                                                     std::size_t limit) {
  Result<std::vector<View>> views =
      list_rows(connection,
                "SELECT " COUNTERSIGN_VIEW_COLUMNS
                "FROM inboxes i JOIN conversation_members p ON p.inbox = i.id "
                "JOIN conversations c ON c.number = p.conversation "
                "WHERE i.application = ? AND i.type = ? AND i.endpoint = ? "
                "AND (coalesce(p.until_time, c.last_time), c.id) < (?, ?) "
                "ORDER BY coalesce(p.until_time, c.last_time) DESC, c.id DESC LIMIT ?",
                read_view, user.application, type_number(user.identity), user.identity.endpoint,
                before_time, before_id, sql_limit(limit));
  if (!views) return views.failure();
  std::vector<Conversation> conversations;
  for (const View& view : *views) {
    Result<Conversation> conversation = describe(connection, view);
    if (!conversation) return conversation.failure();
    conversations.push_back(*std::move(conversation));
  }
  return conversations;
}

Result<Conversation> read_conversation(Connection& connection, const UserKey& user,
                                       std::string_view conversation) {
  Result<View> view = get_view(connection, user, conversation);
  if (!view) return view.failure();
  return describe(connection, *view);
}

Result<std::vector<Horizon>> read_members(Connection& connection, const UserKey& user,
                                          std::string_view conversation,
                                          const std::optional<Identity>& after, std::size_t limit) {
  Result<View> view = get_view(connection, user, conversation);
  if (!view) return view.failure();
  return list_members(connection, *view, after, limit);
}

Result<std::optional<Receipt>> mark_conversation_read(Connection& connection, const UserKey& user,
                                                      std::string_view conversation,
                                                      std::int64_t seq) {
  Result<View> view = get_view(connection, user, conversation);
  if (!view) return view.failure();
  return move_read(connection, view->head.number, view->inbox, user.identity,
                   std::min(seq, view->top()));
}

Result<std::optional<GroupCount>> count_group_receipts(Connection& connection,
                                                       const UserKey& sender,
                                                       std::string_view conversation) {
  Result<View> view = get_view(connection, sender, conversation);
  if (!view) return view.failure();
  if (!view->head.group) return std::optional<GroupCount>();
  Result<std::optional<std::int64_t>> seq =
      find_row(connection,
               "SELECT seq FROM messages WHERE conversation = ? AND sender = ? AND kind = 1 "
               "AND gone = 0 ORDER BY seq DESC LIMIT 1",
               first_integer, view->head.number, view->inbox);
  if (!seq) return seq.failure();
  if (!*seq) return std::optional<GroupCount>();
  GroupCount count;
  count.conversation = view->head.id;
  count.sender = sender.identity;
  count.seq = **seq;
  const auto number = [](const Statement& row, int column) {
    return static_cast<std::size_t>(row.integer(column));
  };
  return find_row(
      connection,
      "SELECT count(*), count(*) FILTER (WHERE p.delivered >= m.seq), "
      "count(*) FILTER (WHERE p.read >= m.seq) FROM conversation_members p "
      "JOIN (SELECT ? AS seq) m WHERE p.conversation = ? AND p.inbox <> ? "
      "AND " COUNTERSIGN_READABLE,
      [&](const Statement& row) {
        count.members = number(row, 0);
        count.delivered = number(row, 1);
        count.read = number(row, 2);
        return count;
      },
      count.seq, view->head.number, view->inbox);
}

Result<std::vector<bool>> find_shared_conversations(Connection& connection, const UserKey& user,
                                                    std::span<const Identity> others) {
  std::vector<bool> shared(others.size(), false);
  Result<std::optional<Inbox>> own = find_inbox(connection, user);
  if (!own) return own.failure();
  if (!*own) return shared;
  for (std::size_t i = 0; i < others.size(); ++i) {
    Result<std::optional<Inbox>> other =
        find_inbox(connection, UserKey{user.application, others[i]});
    if (!other) return other.failure();
    if (!*other) continue;
    Result<std::optional<std::int64_t>> found =
        find_row(connection,
                 "SELECT 1 FROM conversation_members a JOIN conversation_members b "
                 "ON b.conversation = a.conversation AND b.inbox = ? "
                 "WHERE a.inbox = ? AND a.until_seq = ? AND b.until_seq = ? LIMIT 1",
                 first_integer, (*other)->id, (*own)->id, kStillMember, kStillMember);
    if (!found) return found.failure();
    shared[i] = found->has_value();
  }
  return shared;
}

}  // namespace countersign::storage

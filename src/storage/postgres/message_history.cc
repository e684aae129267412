#include "storage/postgres/message_history.h"

#include <algorithm>
#include <string>
#include <utility>

#include "storage/postgres/message_rows.h"

namespace countersign::storage::postgres {
namespace {

/// Messages that an export reads at a time: with the largest bodies 2.4 MB.
constexpr std::size_t kExportPage = 50;

/// The conversation `c` named by $4 and the part `p` that the user `i` ($1 to $3) has in it.
#define COUNTERSIGN_PG_VIEW                                               \
  "FROM inboxes i JOIN conversations c ON c.id = $4 "                     \
  "JOIN conversation_members p ON p.conversation = c.number AND p.inbox " \
  "= i.id WHERE i.application = $1 AND i.type = $2 AND i.endpoint = $3 "

/// A condition: the user with part `p` may read message `m`.
#define COUNTERSIGN_PG_READABLE                   \
  "(m.seq BETWEEN p.from_seq AND p.until_seq OR " \
  "could_read(p.conversation, p.inbox, m.seq)) "

/// The stretches `s` of the membership that is part `p`: between them lies what the user may not
/// read, and may be much.
#define COUNTERSIGN_PG_STRETCHES                                  \
  "CROSS JOIN LATERAL (SELECT p.from_seq, p.until_seq UNION ALL " \
  "SELECT e.from_seq, e.until_seq FROM past_memberships e "       \
  "WHERE e.conversation = p.conversation AND e.inbox = p.inbox) s "

/// A condition: the user with part `p` does not block the sender, table `u`.
#define COUNTERSIGN_PG_NOT_BLOCKED                            \
  "NOT EXISTS (SELECT FROM blocks b WHERE b.inbox = p.inbox " \
  "AND b.type = u.type AND b.endpoint = u.endpoint) "

/// Answers one row: whether there is the conversation, and whether the user is or was a member.
constexpr const char* kMayRead =
    "SELECT EXISTS (SELECT FROM conversations WHERE id = $4 AND application = $1), "
    "EXISTS (SELECT " COUNTERSIGN_PG_VIEW ")";

template <class... Values>
Query user_query(const char* sql, const UserKey& user, const Values&... values) {
  return Query(sql, user.application, type_number(user.identity), user.identity.endpoint,
               values...);
}

/// kAbsent, kPermissionDenied, or success, from the row of kMayRead.
Result<void> judge(const Rows& rows) {
  const Row row = rows.front();
  if (row.flag(1)) return {};
  if (row.flag(0)) return fail(ErrorCode::kPermissionDenied, "not a member of the conversation");
  return fail(ErrorCode::kAbsent, "no such conversation");
}

/// Runs a query about one conversation, whose first four parameters are the user and its id, with
/// the check that the user may see it.
template <class... Values>
Result<Rows> ask(Database& database, const char* sql, const UserKey& user,
                 std::string_view conversation, const Values&... values) {
  Result<std::vector<Rows>> answers = database.read_all(
      {user_query(kMayRead, user, conversation), user_query(sql, user, conversation, values...)});
  if (!answers) return answers.failure();
  if (Result<void> allowed = judge(answers->front()); !allowed) return allowed.failure();
  return std::move(answers->back());
}

// Conversations as their members see them, one row for each member that is shown (at most 11: all
// of a direct one), those of a conversation one after the other. Who has left sees the members of
// then. Unread are counted to 100.
#define COUNTERSIGN_PG_DESCRIBE                                                                \
  "SELECT v.number, v.id, v.is_group, v.name, v.version, v.until_seq = 9223372036854775807, "  \
  "v.admin, v.members, v.top, least(v.read, v.top), v.last_time, d.unread, "                   \
  "l.seq, l.kind, l.msg_id, l.type, l.endpoint, l.device, l.time, l.expires, l.body, l.gone, " \
  "o.type, o.endpoint, least(o.delivered, v.top), least(o.read, v.top) FROM v "                \
  "CROSS JOIN LATERAL (SELECT count(*) AS unread FROM (SELECT FROM conversation_members "      \
  "p " COUNTERSIGN_PG_STRETCHES                                                                \
  "CROSS JOIN LATERAL (SELECT FROM messages m JOIN inboxes u ON u.id = m.sender "              \
  "WHERE m.conversation = p.conversation "                                                     \
  "AND m.seq BETWEEN greatest(s.from_seq, p.read + 1) AND s.until_seq "                        \
  "AND m.sender <> p.inbox AND m.kind = 1 AND NOT m.gone AND " COUNTERSIGN_PG_NOT_BLOCKED      \
  "LIMIT 100) m WHERE p.conversation = v.number AND p.inbox = v.inbox LIMIT 100) n) d "        \
  "LEFT JOIN LATERAL (SELECT m.seq, m.kind, m.msg_id, u.type, u.endpoint, m.device, m.time, "  \
  "m.expires, m.body, m.gone FROM conversation_members p JOIN messages m "                     \
  "ON m.conversation = p.conversation AND m.seq = v.top JOIN inboxes u ON u.id = m.sender "    \
  "WHERE p.conversation = v.number AND p.inbox = v.inbox AND " COUNTERSIGN_PG_NOT_BLOCKED      \
  ") l ON true "                                                                               \
  "CROSS JOIN LATERAL (SELECT i.type, i.endpoint, p.delivered, p.read "                        \
  "FROM conversation_members p JOIN inboxes i ON i.id = p.inbox "                              \
  "CROSS JOIN (SELECT v.top AS seq) m WHERE p.conversation = v.number "                        \
  "AND CASE WHEN v.until_seq = 9223372036854775807 THEN p.until_seq = v.until_seq "            \
  "ELSE " COUNTERSIGN_PG_READABLE                                                              \
  "END ORDER BY i.type, i.endpoint LIMIT 11) o "                                               \
  "ORDER BY v.last_time DESC, v.id DESC, o.type, o.endpoint"

#define COUNTERSIGN_PG_VIEW_COLUMNS                                                         \
  "p.inbox, c.number, c.id, c.is_group, c.name, c.version, c.members, p.until_seq, "        \
  "p.admin, p.read, least(c.top, p.until_seq) AS top, coalesce(p.until_time, c.last_time) " \
  "AS last_time "

constexpr const char* kDescribeOne =
    "WITH v AS MATERIALIZED (SELECT " COUNTERSIGN_PG_VIEW_COLUMNS COUNTERSIGN_PG_VIEW
    ") " COUNTERSIGN_PG_DESCRIBE;

constexpr const char* kDescribeList =
    "WITH v AS MATERIALIZED (SELECT " COUNTERSIGN_PG_VIEW_COLUMNS
    "FROM inboxes i JOIN conversation_members p ON p.inbox = i.id "
    "JOIN conversations c ON c.number = p.conversation "
    "WHERE i.application = $1 AND i.type = $2 AND i.endpoint = $3 "
    "AND (coalesce(p.until_time, c.last_time), c.id) < ($4, $5 COLLATE \"C\") "
    "ORDER BY coalesce(p.until_time, c.last_time) DESC, c.id DESC LIMIT $6) "  //
    COUNTERSIGN_PG_DESCRIBE;

constexpr int kFirstOfLast = 12;
constexpr int kFirstOfMember = 22;

std::optional<Message> read_last(const Row& row, const std::string& conversation) {
  if (row.is_null(kFirstOfLast)) return std::nullopt;
  Message message;
  message.conversation = conversation;
  message.seq = row.integer(kFirstOfLast);
  message.kind = static_cast<MessageKind>(row.integer(kFirstOfLast + 1));
  message.id = row.bytes(kFirstOfLast + 2);
  message.sender = read_identity(row, kFirstOfLast + 3);
  message.device = row.bytes(kFirstOfLast + 5);
  message.time = row.time(kFirstOfLast + 6);
  if (!row.is_null(kFirstOfLast + 7)) message.expires = row.time(kFirstOfLast + 7);
  message.body = row.bytes(kFirstOfLast + 8);
  message.gone = row.flag(kFirstOfLast + 9);
  return message;
}

std::vector<Conversation> read_described(const Rows& rows) {
  std::vector<Conversation> all;
  std::int64_t number = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row row = rows[i];
    if (all.empty() || row.integer(0) != number) {
      number = row.integer(0);
      Conversation conversation;
      conversation.id = row.bytes(1);
      conversation.group = row.flag(2);
      conversation.name = row.bytes(3);
      conversation.version = row.integer(4);
      conversation.member = row.flag(5);
      conversation.admin = row.flag(6);
      conversation.member_count = static_cast<std::size_t>(row.integer(7));
      conversation.top = row.integer(8);
      conversation.read = row.integer(9);
      conversation.last_time = row.time(10);
      conversation.unread = static_cast<std::size_t>(row.integer(11));
      conversation.last = read_last(row, conversation.id);
      all.push_back(std::move(conversation));
    }
    all.back().members.push_back(Horizon{all.back().id, read_identity(row, kFirstOfMember),
                                         row.integer(kFirstOfMember + 2),
                                         row.integer(kFirstOfMember + 3)});
  }
  return all;
}

}  // namespace

Result<std::vector<Message>> read_history(Database& database, const UserKey& user,
                                          std::string_view conversation, std::int64_t before,
                                          std::size_t limit) {
  Result<Rows> rows =
      ask(database,
          "SELECT " COUNTERSIGN_PG_MESSAGE_COLUMNS
          " FROM inboxes i JOIN conversations c ON c.id = $4 "
          "JOIN conversation_members p ON p.conversation = c.number AND p.inbox = "
          "i.id " COUNTERSIGN_PG_STRETCHES
          "CROSS JOIN LATERAL (SELECT m.* FROM messages m JOIN inboxes u ON u.id = m.sender "
          "WHERE m.conversation = c.number AND m.seq BETWEEN s.from_seq AND s.until_seq "
          "AND m.seq < $5 AND " COUNTERSIGN_PG_NOT_BLOCKED
          "ORDER BY m.seq DESC LIMIT $6) m JOIN inboxes u ON u.id = m.sender "
          "WHERE i.application = $1 AND i.type = $2 AND i.endpoint = $3 "
          "ORDER BY m.seq DESC LIMIT $6",
          user, conversation, before, sql_limit(limit));
  if (!rows) return rows.failure();
  return rows->list([](const Row& row) { return read_message(row); });
}

Result<std::vector<Conversation>> read_conversations(Database& database, const UserKey& user,
                                                     SystemTime before_time,
                                                     std::string_view before_id,
                                                     std::size_t limit) {
  Result<std::vector<Rows>> rows = database.read_all(
      {user_query(kDescribeList, user, before_time, before_id, sql_limit(limit))});
  if (!rows) return rows.failure();
  return read_described(rows->front());
}

Result<Conversation> read_conversation(Database& database, const UserKey& user,
                                       std::string_view conversation) {
  Result<Rows> rows = ask(database, kDescribeOne, user, conversation);
  if (!rows) return rows.failure();
  std::vector<Conversation> described = read_described(*rows);
  if (described.empty()) return fail(ErrorCode::kStoreFailed, "a conversation without members");
  return std::move(described.front());
}

Result<std::vector<Horizon>> read_members(Database& database, const UserKey& user,
                                          std::string_view conversation,
                                          const std::optional<Identity>& after, std::size_t limit) {
  Result<Rows> rows =
      ask(database,
          "WITH v AS MATERIALIZED (SELECT c.number, p.until_seq, least(c.top, p.until_seq) AS "
          "top " COUNTERSIGN_PG_VIEW
          ") SELECT i.type, i.endpoint, least(p.delivered, v.top), least(p.read, v.top) FROM v "
          "JOIN conversation_members p ON p.conversation = v.number "
          "JOIN inboxes i ON i.id = p.inbox CROSS JOIN LATERAL (SELECT v.top AS seq) m "
          "WHERE CASE WHEN v.until_seq = 9223372036854775807 THEN p.until_seq = v.until_seq "
          "ELSE " COUNTERSIGN_PG_READABLE
          "END AND (i.type::bigint, i.endpoint) > ($5, $6 COLLATE \"C\") "
          "ORDER BY i.type, i.endpoint LIMIT $7",
          user, conversation, after ? type_number(*after) : std::int64_t{-1},
          after ? after->endpoint : std::string(), sql_limit(limit));
  if (!rows) return rows.failure();
  return rows->list([&](const Row& row) {
    return Horizon{std::string(conversation), read_identity(row, 0), row.integer(2),
                   row.integer(3)};
  });
}

Result<std::optional<GroupCount>> count_group_receipts(Database& database, const UserKey& sender,
                                                       std::string_view conversation) {
  Result<Rows> rows =
      ask(database,
          "WITH v AS MATERIALIZED (SELECT p.inbox, c.number, (SELECT m.seq FROM messages m "
          "WHERE m.conversation = c.number AND m.sender = p.inbox AND m.kind = 1 AND NOT m.gone "
          "ORDER BY m.seq DESC LIMIT 1) AS seq " COUNTERSIGN_PG_VIEW
          "AND c.is_group) SELECT v.seq, count(p.inbox), "
          "count(*) FILTER (WHERE p.delivered >= v.seq), count(*) FILTER (WHERE p.read >= v.seq) "
          "FROM v CROSS JOIN LATERAL (SELECT v.seq AS seq) m LEFT JOIN conversation_members p "
          "ON p.conversation = v.number AND p.inbox <> v.inbox AND " COUNTERSIGN_PG_READABLE
          "WHERE v.seq IS NOT NULL GROUP BY v.seq",
          sender, conversation);
  if (!rows) return rows.failure();
  const auto number = [](const Row& row, int column) {
    return static_cast<std::size_t>(row.integer(column));
  };
  return rows->find([&](const Row& row) {
    return GroupCount{std::string(conversation),
                      sender.identity,
                      row.integer(0),
                      number(row, 2),
                      number(row, 3),
                      number(row, 1)};
  });
}

Result<std::vector<bool>> find_shared_conversations(Database& database, const UserKey& user,
                                                    std::span<const Identity> others) {
  std::vector<std::int64_t> types;
  std::vector<std::string> endpoints;
  for (const Identity& other : others) {
    types.push_back(type_number(other));
    endpoints.push_back(other.endpoint);
  }
  Result<Rows> rows = database.read(
      "SELECT EXISTS (SELECT FROM inboxes i JOIN conversation_members a ON a.inbox = i.id "
      "JOIN inboxes o ON o.application = $1 AND o.type = n.type AND o.endpoint = n.endpoint "
      "JOIN conversation_members b ON b.conversation = a.conversation AND b.inbox = o.id "
      "WHERE i.application = $1 AND i.type = $2 AND i.endpoint = $3 "
      "AND a.until_seq = 9223372036854775807 AND b.until_seq = 9223372036854775807) "
      "FROM unnest($4, $5) WITH ORDINALITY AS n (type, endpoint, number) ORDER BY n.number",
      user.application, type_number(user.identity), user.identity.endpoint, types, endpoints);
  if (!rows) return rows.failure();
  return rows->list([](const Row& row) { return row.flag(0); });
}

Result<void> export_all(Database& database, const UserKey& user,
                        const std::function<bool(const Message&)>& take) {
  Result<Rows> conversations = database.read(
      "SELECT p.conversation FROM inboxes i LEFT JOIN conversation_members p ON p.inbox = i.id "
      "WHERE i.application = $1 AND i.type = $2 AND i.endpoint = $3 ORDER BY p.conversation",
      user.application, type_number(user.identity), user.identity.endpoint);
  if (!conversations) return conversations.failure();
  if (conversations->empty()) return fail(ErrorCode::kAbsent, "no such user");
  for (std::size_t i = 0; i < conversations->size(); ++i) {
    if ((*conversations)[i].is_null(0)) continue;
    const std::int64_t conversation = (*conversations)[i].integer(0);
    std::int64_t after = 0;
    for (bool finished = false; !finished;) {
      Result<Rows> rows = database.read(
          "SELECT " COUNTERSIGN_PG_MESSAGE_COLUMNS
          " FROM inboxes i JOIN conversation_members p ON p.inbox = i.id "
          "JOIN messages m ON m.conversation = p.conversation "
          "JOIN conversations c ON c.number = p.conversation JOIN inboxes u ON u.id = m.sender "
          "WHERE i.application = $1 AND i.type = $2 AND i.endpoint = $3 AND p.conversation = $4 "
          "AND m.seq > $5 AND NOT m.gone AND (m.sender = p.inbox OR " COUNTERSIGN_PG_READABLE
          ") ORDER BY m.seq LIMIT $6",
          user.application, type_number(user.identity), user.identity.endpoint, conversation, after,
          sql_limit(kExportPage));
      if (!rows) return rows.failure();
      finished = rows->size() < kExportPage;
      for (const Message& message : rows->list([](const Row& row) { return read_message(row); })) {
        if (!take(message)) return {};
        after = message.seq;
      }
    }
  }
  return {};
}

}  // namespace countersign::storage::postgres

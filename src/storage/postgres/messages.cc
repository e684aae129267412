#include "storage/postgres/messages.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "storage/message_ids.h"
#include "storage/postgres/callbacks.h"
#include "storage/postgres/message_batches.h"
#include "storage/postgres/message_history.h"
#include "storage/postgres/message_rows.h"

namespace countersign::storage::postgres {
namespace {

/// How much longer than messages the rows are kept that tell a repeat from a new message.
constexpr std::chrono::days kRepeatsOutlive(30);
/// By so many of its people a message may find its lane.
constexpr std::size_t kMaxKeys = 8;

std::size_t key_of(std::string_view application, const Identity& identity) {
  std::string key(application);
  key += static_cast<char>(identity.type);
  key += identity.endpoint;
  return std::hash<std::string>()(key);
}

std::vector<std::size_t> keys_of(const Send& send) {
  std::vector<std::size_t> keys = {key_of(send.sender.application, send.sender.identity)};
  if (!send.group.empty()) keys.push_back(std::hash<std::string>()(send.group));
  for (const Identity& to : send.to) {
    if (keys.size() > kMaxKeys) break;
    keys.push_back(key_of(send.sender.application, to));
  }
  return keys;
}

/// What a request takes up while it waits, about.
std::size_t waiting_bytes(const Send& send) {
  return sizeof(Send) + send.body.size() + send.to.size() * sizeof(Identity) +
         (send.change ? send.change->users.size() * sizeof(Identity) : 0);
}

/// What attach_device() takes.
Query attach_query(const Attach& attach, bool may_write) {
  const bool resume = attach.resume.has_value();
  const Position place = attach.resume.value_or(Position());
  std::optional<std::int64_t> offset;
  if (resume) offset = place.offset;
  return Query("SELECT * FROM attach_device($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
               attach.user.application, type_number(attach.user.identity),
               attach.user.identity.endpoint, attach.device, place.epoch, offset,
               Bytes{place.chain}, attach.now,
               sql_limit(std::max<std::size_t>(attach.max_devices, 1)), may_write);
}

Attached read_attached(const Row& row) {
  Attached attached;
  attached.epoch = row.bytes(0);
  attached.floor = row.integer(1);
  attached.top = row.integer(2);
  attached.top_chain = row.bytes(3);
  attached.cursor = row.integer(4);
  attached.from = row.integer(5);
  attached.from_chain = row.bytes(6);
  const std::string reason = row.bytes(7);
  attached.reason = reason.empty()      ? Attached::Reason::kNone
                    : reason == "epoch" ? Attached::Reason::kEpoch
                    : reason == "floor" ? Attached::Reason::kFloor
                                        : Attached::Reason::kUnknownDevice;
  return attached;
}

// The head in each row, with an entry if there is one; what one page holds is cut here, so that
// what does not fit is not sent. What is gone for this user has no body, whatever others see.
constexpr const char* kReadInbox =
    "SELECT message_epoch(), h.floor, h.top, e.* FROM (SELECT) one LEFT JOIN inboxes h "
    "ON h.application = $1 AND h.type = $2 AND h.endpoint = $3 "
    "LEFT JOIN LATERAL (SELECT n.* FROM (SELECT e.\"offset\", e.chain, e.kind, e.failed, "
    "f.type AS failed_type, f.endpoint AS failed_endpoint, c.id, m.seq, m.kind AS message_kind, "
    "m.msg_id, u.type, u.endpoint, m.device, m.time, m.expires, "
    "CASE WHEN e.kind = 5 THEN '' ELSE m.body END AS body, m.gone, "
    "sum(CASE WHEN e.kind = 5 THEN 0 ELSE octet_length(m.body) END) OVER w AS bytes, "
    "row_number() OVER w AS number "
    "FROM (SELECT * FROM inbox_entries s WHERE s.inbox = h.id AND s.\"offset\" > $4 "
    "ORDER BY s.\"offset\" LIMIT $5) e "
    "JOIN messages m ON m.id = e.message JOIN conversations c ON c.number = m.conversation "
    "JOIN inboxes u ON u.id = m.sender LEFT JOIN inboxes f ON f.id = e.failed_inbox "
    "WINDOW w AS (ORDER BY e.\"offset\")) n "
    "WHERE $4 >= h.floor AND $4 < h.top AND (n.bytes <= $6 OR n.number = 1)) e ON true "
    "ORDER BY e.\"offset\"";

Entry read_entry(const Row& row, int first) {
  Entry entry;
  entry.offset = row.integer(first);
  entry.chain = row.bytes(first + 1);
  entry.kind = static_cast<EntryKind>(row.integer(first + 2));
  if (!row.is_null(first + 3)) {
    entry.failed = static_cast<ErrorCode>(row.integer(first + 3));
    entry.failed_user = read_identity(row, first + 4);
  }
  entry.message = read_message(row, first + 6);
  if (entry.message.gone && entry.kind != EntryKind::kFailed) entry.kind = EntryKind::kGone;
  if (entry.kind == EntryKind::kGone) {
    entry.message.body.clear();
    entry.message.gone = true;
  }
  return entry;
}

/// A row of expire_these().
Expired read_expired(const Row& row) {
  Expired expired;
  expired.entry.message = read_message(row);
  expired.sender = UserKey{row.bytes(kMessageColumnCount), expired.entry.message.sender};
  expired.entry.kind = EntryKind::kFailed;
  expired.entry.failed = ErrorCode::kMessageExpired;
  expired.entry.failed_user = read_identity(row, kMessageColumnCount + 1);
  expired.entry.offset = row.integer(kMessageColumnCount + 3);
  expired.entry.chain = row.bytes(kMessageColumnCount + 4);
  return expired;
}

}  // namespace

PostgresMessages::PostgresMessages(Database& database, std::unique_ptr<Database> lanes)
    : database_(database),
      lane_sessions_(std::move(lanes)),
      accepting_(kAcceptLanes,
                 [this](std::span<const Send* const> sends) {
                   return accept_batch(*lane_sessions_, sends);
                 }),
      acknowledging_(kAcknowledgeLanes, [this](std::span<const Ack* const> acks) {
        return acknowledge_batch(*lane_sessions_, acks);
      }) {}

void PostgresMessages::accept(Send send, std::function<void(Result<Sent>)> done) {
  std::vector<std::size_t> keys = keys_of(send);
  const std::size_t bytes = waiting_bytes(send);
  accepting_.submit(std::move(send), std::move(keys), bytes, std::move(done));
}

void PostgresMessages::acknowledge(Ack ack, std::function<void(Result<Acked>)> done) {
  const std::size_t key = key_of(ack.user.application, ack.user.identity);
  acknowledging_.submit(std::move(ack), {key}, sizeof(Ack), std::move(done));
}

Result<Attached> PostgresMessages::attach(const Attach& attach) {
  // A device that comes back soon changes nothing: reading answers it, without a lock.
  Result<std::vector<Rows>> rows = database_.read_all({attach_query(attach, false)});
  if (rows && rows->front().empty()) rows = database_.write_all({attach_query(attach, true)});
  if (!rows) return rows.failure();
  if (rows->front().empty()) return fail(ErrorCode::kStoreFailed, "the device was not made");
  return read_attached(rows->front().front());
}

Result<InboxPage> PostgresMessages::read_inbox(const UserKey& user, std::int64_t after,
                                               std::size_t max_entries, std::size_t max_bytes) {
  Result<Rows> rows =
      database_.read(kReadInbox, user.application, type_number(user.identity),
                     user.identity.endpoint, after, sql_limit(max_entries), sql_limit(max_bytes));
  if (!rows) return rows.failure();
  InboxPage page;
  page.epoch = rows->front().bytes(0);
  if (rows->front().is_null(1)) return page;
  page.floor = rows->front().integer(1);
  page.top = rows->front().integer(2);
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const Row row = (*rows)[i];
    if (!row.is_null(3)) page.entries.push_back(read_entry(row, 3));
  }
  return page;
}

Result<std::vector<std::int64_t>> PostgresMessages::tops(std::span<const UserKey> users) {
  const UserArrays arrays = arrays_of(users);
  Result<Rows> rows = database_.read(
      "SELECT coalesce(i.top, 0) FROM unnest($1, $2, $3) WITH ORDINALITY "
      "AS n (application, type, endpoint, number) LEFT JOIN inboxes i "
      "ON i.application = n.application AND i.type = n.type AND i.endpoint = n.endpoint "
      "ORDER BY n.number",
      arrays.applications, arrays.types, arrays.endpoints);
  if (!rows) return rows.failure();
  return rows->list([](const Row& row) { return row.integer(0); });
}

Result<std::string> PostgresMessages::epoch() {
  Result<Rows> rows = database_.read("SELECT message_epoch()");
  if (!rows) return rows.failure();
  return rows->front().bytes(0);
}

Result<void> PostgresMessages::renew_epoch(std::string_view epoch) {
  Result<Rows> renewed =
      database_.write("UPDATE meta SET value = $1 WHERE name = 'message_epoch'", epoch);
  if (!renewed) return renewed.failure();
  return {};
}

Result<std::vector<Message>> PostgresMessages::history(const UserKey& user,
                                                       std::string_view conversation,
                                                       std::int64_t before, std::size_t limit) {
  return read_history(database_, user, conversation, before, limit);
}

Result<std::vector<Conversation>> PostgresMessages::list_conversations(const UserKey& user,
                                                                       SystemTime before_time,
                                                                       std::string_view before_id,
                                                                       std::size_t limit) {
  return read_conversations(database_, user, before_time, before_id, limit);
}

Result<Conversation> PostgresMessages::find_conversation(const UserKey& user,
                                                         std::string_view conversation) {
  return read_conversation(database_, user, conversation);
}

Result<std::vector<Horizon>> PostgresMessages::members(const UserKey& user,
                                                       std::string_view conversation,
                                                       const std::optional<Identity>& after,
                                                       std::size_t limit) {
  return read_members(database_, user, conversation, after, limit);
}

Result<std::optional<Receipt>> PostgresMessages::mark_read(const UserKey& user,
                                                           std::string_view conversation,
                                                           std::int64_t seq, SystemTime) {
  Result<Rows> rows =
      database_.write("SELECT * FROM mark_read($1, $2, $3, $4, $5)", user.application,
                      type_number(user.identity), user.identity.endpoint, conversation, seq);
  if (!rows) return rows.failure();
  if (!rows->empty() && rows->front().integer(0) == 1) {
    const std::string word = rows->front().bytes(1);
    return fail(code_of_word(word), "the conversation is refused: " + word);
  }
  std::vector<Receipt> receipts;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    add_receipt_row((*rows)[i], 0, user.identity, receipts);
  }
  if (receipts.empty()) return std::optional<Receipt>();
  return std::optional<Receipt>(std::move(receipts.front()));
}

Result<std::optional<GroupCount>> PostgresMessages::count_receipts(const UserKey& sender,
                                                                   std::string_view conversation) {
  return count_group_receipts(database_, sender, conversation);
}

Result<std::vector<bool>> PostgresMessages::share_conversation(const UserKey& user,
                                                               std::span<const Identity> others) {
  return find_shared_conversations(database_, user, others);
}

Result<void> PostgresMessages::open_inboxes(std::span<const UserKey> users, SystemTime now) {
  const UserArrays arrays = arrays_of(users);
  const std::vector<std::int64_t> times(users.size(), now.time_since_epoch().count());
  Result<Rows> opened = database_.write("SELECT open_inboxes($1, $2, $3, $4)", arrays.applications,
                                        arrays.types, arrays.endpoints, times);
  if (!opened) return opened.failure();
  return {};
}

Result<bool> PostgresMessages::set_blocked(const UserKey& user, const Identity& other, bool blocked,
                                           std::size_t max_blocks, SystemTime now) {
  Result<Rows> rows =
      database_.write("SELECT set_blocked($1, $2, $3, $4, $5, $6, $7, $8)", user.application,
                      type_number(user.identity), user.identity.endpoint, type_number(other),
                      other.endpoint, blocked, sql_limit(max_blocks), now);
  if (!rows) return rows.failure();
  const std::string word = rows->front().bytes(0);
  if (word == "too_many") return fail(code_of_word(word), "the user blocks too many");
  return word == "changed";
}

Result<std::vector<Identity>> PostgresMessages::list_blocked(const UserKey& user) {
  Result<Rows> rows = database_.read(
      "SELECT b.type, b.endpoint FROM inboxes i JOIN blocks b ON b.inbox = i.id "
      "WHERE i.application = $1 AND i.type = $2 AND i.endpoint = $3 ORDER BY b.type, b.endpoint",
      user.application, type_number(user.identity), user.identity.endpoint);
  if (!rows) return rows.failure();
  return rows->list([](const Row& row) { return read_identity(row, 0); });
}

Result<std::optional<FanOut>> PostgresMessages::fan_out(std::size_t limit) {
  // Without a job, which is nearly always, no transaction is begun.
  Result<Rows> any = database_.read("SELECT EXISTS (SELECT FROM fan_out_jobs)");
  if (!any) return any.failure();
  if (!any->front().flag(0)) return std::optional<FanOut>();
  Result<Rows> rows =
      database_.write("SELECT * FROM work_on_job($1)", sql_limit(std::max<std::size_t>(limit, 1)));
  if (!rows) return rows.failure();
  if (rows->empty()) return std::optional<FanOut>();
  FanOut fan_out;
  fan_out.message = read_message(rows->front());
  fan_out.application = rows->front().bytes(kMessageColumnCount);
  for (std::size_t i = 1; i < rows->size(); ++i) {
    const Row row = (*rows)[i];
    fan_out.deliveries.push_back(
        Delivery{read_identity(row, kMessageColumnCount + 1), row.integer(kMessageColumnCount + 3),
                 row.bytes(kMessageColumnCount + 4),
                 static_cast<EntryKind>(row.integer(kMessageColumnCount + 5))});
  }
  return std::optional<FanOut>(std::move(fan_out));
}

Result<Expiry> PostgresMessages::expire(SystemTime now, std::size_t limit) {
  Result<Rows> overdue = database_.read(
      "SELECT count(*) FROM (SELECT FROM messages WHERE expires <= $1 AND expires IS NOT NULL "
      "AND NOT gone LIMIT $2) n",
      now, sql_limit(limit));
  if (!overdue) return overdue.failure();
  Expiry expiry;
  expiry.found = static_cast<std::size_t>(overdue->front().integer(0));
  if (expiry.found == 0) return expiry;
  Result<Rows> rows =
      database_.write("SELECT * FROM expire_messages($1, $2, $3)", now, sql_limit(limit),
                      static_cast<std::int64_t>(ErrorCode::kMessageExpired));
  if (!rows) return rows.failure();
  expiry.notices = rows->list(read_expired);
  return expiry;
}

Result<Removal> PostgresMessages::remove_old(SystemTime before, SystemTime now, std::size_t limit) {
  Result<Rows> rows = database_.write("SELECT * FROM remove_old_messages($1, $2, $3, $4, $5)",
                                      before, before - kRepeatsOutlive, now, sql_limit(limit),
                                      static_cast<std::int64_t>(ErrorCode::kMessageExpired));
  if (!rows) return rows.failure();
  constexpr int kRemoved = kMessageColumnCount + 5;
  Removal removal;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const Row row = (*rows)[i];
    if (row.is_null(kRemoved)) {
      removal.notices.push_back(read_expired(row));
    } else {
      removal.removed = static_cast<std::size_t>(row.integer(kRemoved));
    }
  }
  return removal;
}

Result<void> PostgresMessages::export_messages(const UserKey& user,
                                               const std::function<bool(const Message&)>& take) {
  return export_all(database_, user, take);
}

Result<std::size_t> PostgresMessages::erase(const UserKey& user, SystemTime, std::size_t limit) {
  Result<Rows> erased =
      database_.write("SELECT erase_user($1, $2, $3, $4)", user.application,
                      type_number(user.identity), user.identity.endpoint, sql_limit(limit));
  if (!erased) return erased.failure();
  const auto gone = static_cast<std::size_t>(erased->front().integer(0));
  if (gone > 0) return gone;
  return remove_callbacks_of(database_, user, limit);
}

}  // namespace countersign::storage::postgres

#include "storage/sqlite/callbacks.h"

#include <limits>
#include <utility>

#include "storage/sqlite/inboxes.h"
#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
/// Rows that replay() turns in one transaction.
constexpr std::int64_t kReplayAtOnce = 2'000;

/// For tables `c` (callbacks), `q` (callback_queues) and `v` (conversations, joined from the left).
#define COUNTERSIGN_CALLBACK_COLUMNS                                                    \
  "c.id, c.key, c.kind, q.application, q.type, q.endpoint, coalesce(v.id, ''), c.seq, " \
  "c.msg_id, c.instance, c.time, c.attempts, c.last_error, c.dead "

Callback read_callback(const Statement& row) {
  Callback callback;
  callback.id = row.integer(0);
  callback.key = row.bytes(1);
  callback.kind = static_cast<CallbackKind>(row.integer(2));
  callback.user.application = row.bytes(3);
  callback.user.identity = read_identity(row, 4);
  callback.conversation = row.bytes(6);
  callback.seq = row.integer(7);
  callback.message_id = row.bytes(8);
  callback.instance = row.bytes(9);
  callback.time = row.time(10);
  callback.attempts = row.number(11);
  callback.last_error = row.bytes(12);
  callback.dead = row.flag(13);
  return callback;
}

Result<std::optional<std::int64_t>> find_max_rows(Connection& connection) {
  return find_row(connection, "SELECT max_rows FROM callback_outbox", first_integer);
}

/// The user's next row is due at `next`, if there is one that waits.
Result<void> set_due(Connection& connection, std::int64_t queue, std::int64_t next) {
  Result<std::int64_t> set = connection.run(
      "UPDATE callback_queues SET next = ?2 WHERE id = ?1 AND EXISTS "
      "(SELECT 1 FROM callbacks WHERE queue = ?1 AND dead = 0)",
      queue, next);
  if (!set) return set.failure();
  return {};
}

Result<std::optional<std::int64_t>> find_waiting_queue(Connection& connection, std::int64_t id) {
  return find_row(connection, "SELECT queue FROM callbacks WHERE id = ? AND dead = 0",
                  first_integer, id);
}

}  // namespace

Result<void> SqliteCallbacks::open() {
  Result<std::optional<std::int64_t>> max_rows = database_.read(find_max_rows);
  if (!max_rows) return max_rows.failure();
  kept_ = max_rows->value_or(0) > 0;
  return {};
}

Result<void> SqliteCallbacks::keep(std::size_t max_rows) {
  Result<void> set =
      database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<void> {
        Result<std::int64_t> changed =
            connection.run("UPDATE callback_outbox SET max_rows = ?", sql_limit(max_rows));
        if (!changed) return changed.failure();
        return {};
      });
  if (set) kept_ = max_rows > 0;
  return set;
}

Result<std::vector<Callback>> SqliteCallbacks::lease(SystemTime now, SystemTime leased_until,
                                                     std::size_t limit) {
  using Callbacks = std::vector<Callback>;
  // Mostly nothing is due, and then nothing is written.
  Result<std::optional<std::int64_t>> any = database_.read([&](Connection& connection) {
    return find_row(connection, "SELECT 1 FROM callback_queues WHERE next <= ? LIMIT 1",
                    first_integer, now);
  });
  if (!any) return any.failure();
  if (!*any) return Callbacks();
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<Callbacks> {
    Result<Callbacks> due = list_rows(
        connection,
        "SELECT " COUNTERSIGN_CALLBACK_COLUMNS
        "FROM (SELECT * FROM callback_queues WHERE next <= ? ORDER BY next, id LIMIT ?) q "
        "JOIN callbacks c ON c.id = (SELECT min(id) FROM callbacks WHERE queue = q.id AND dead = "
        "0) "
        "LEFT JOIN conversations v ON v.number = c.conversation ORDER BY q.next, c.id",
        read_callback, now, sql_limit(limit));
    if (!due) return due.failure();
    for (const Callback& callback : *due) {
      Result<std::int64_t> leased = connection.run(
          "UPDATE callback_queues SET next = ? WHERE id = (SELECT queue FROM callbacks WHERE id = "
          "?)",
          leased_until, callback.id);
      if (!leased) return leased.failure();
    }
    return due;
  });
}

Result<void> SqliteCallbacks::complete(std::int64_t id) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<void> {
    Result<std::optional<std::int64_t>> queue = find_waiting_queue(connection, id);
    if (!queue) return queue.failure();
    if (!*queue) return {};
    Result<std::int64_t> removed = connection.run("DELETE FROM callbacks WHERE id = ?", id);
    if (!removed) return removed.failure();
    return set_due(connection, **queue, 0);
  });
}

Result<void> SqliteCallbacks::fail(std::int64_t id, SystemTime next, bool dead,
                                   std::string_view error) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<void> {
    Result<std::optional<std::int64_t>> queue = find_waiting_queue(connection, id);
    if (!queue) return queue.failure();
    if (!*queue) return {};
    Result<std::int64_t> noted = connection.run(
        "UPDATE callbacks SET attempts = attempts + 1, last_error = ?, dead = ? WHERE id = ?",
        error, dead ? 1 : 0, id);
    if (!noted) return noted.failure();
    return set_due(connection, **queue, dead ? 0 : next.time_since_epoch().count());
  });
}

Result<std::vector<Callback>> SqliteCallbacks::list_dead(std::int64_t after, std::size_t limit) {
  return database_.read([&](Connection& connection) {
    return list_rows(connection,
                     "SELECT " COUNTERSIGN_CALLBACK_COLUMNS
                     "FROM callbacks c JOIN callback_queues q ON q.id = c.queue "
                     "LEFT JOIN conversations v ON v.number = c.conversation "
                     "WHERE c.dead = 1 AND c.id > ? ORDER BY c.id LIMIT ?",
                     read_callback, after, sql_limit(limit));
  });
}

Result<std::size_t> SqliteCallbacks::replay(std::optional<std::int64_t> id) {
  std::size_t replayed = 0;
  for (;;) {
    Result<std::int64_t> turned =
        database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<std::int64_t> {
          Result<std::vector<std::pair<std::int64_t, std::int64_t>>> rows = list_rows(
              connection,
              "SELECT id, queue FROM callbacks WHERE dead = 1 AND (?1 IS NULL OR id = ?1) "
              "ORDER BY id LIMIT max(0, min(?2, (SELECT max_rows - waiting FROM callback_outbox)))",
              [](const Statement& row) { return std::pair(row.integer(0), row.integer(1)); }, id,
              kReplayAtOnce);
          if (!rows) return rows.failure();
          for (const auto& [row, queue] : *rows) {
            Result<std::int64_t> woken = connection.run(
                "UPDATE callbacks SET dead = 0, attempts = 0, last_error = '' WHERE id = ?", row);
            if (woken) {
              woken = connection.run(
                  "UPDATE callback_queues SET next = 0 WHERE id = ? AND next = ?", queue, kNever);
            }
            if (!woken) return woken.failure();
          }
          return static_cast<std::int64_t>(rows->size());
        });
    if (!turned) return turned.failure();
    replayed += static_cast<std::size_t>(*turned);
    if (*turned < kReplayAtOnce) return replayed;
  }
}

Result<std::size_t> SqliteCallbacks::remove_old(SystemTime before, SystemTime dead_before,
                                                std::size_t limit) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<std::size_t> {
    // Ids grow with time: up to the first row that is young enough.
    Result<std::vector<std::int64_t>> late = list_rows(
        connection,
        "SELECT id FROM callbacks WHERE dead = 0 AND id < coalesce((SELECT id FROM callbacks "
        "WHERE dead = 0 AND time >= ? ORDER BY id LIMIT 1), 9223372036854775807) "
        "ORDER BY id LIMIT ?",
        first_integer, before, sql_limit(limit));
    if (!late) return late.failure();
    for (const std::int64_t id : *late) {
      Result<std::int64_t> given_up =
          connection.run("UPDATE callbacks SET dead = 1, last_error = 'too_old' WHERE id = ?", id);
      if (!given_up) return given_up.failure();
    }
    Result<std::int64_t> removed = connection.run(
        "DELETE FROM callbacks WHERE id IN (SELECT id FROM callbacks WHERE dead = 1 AND id < "
        "coalesce((SELECT id FROM callbacks WHERE dead = 1 AND time >= ? ORDER BY id LIMIT 1), "
        "9223372036854775807) ORDER BY id LIMIT ?)",
        dead_before, sql_limit(limit - late->size()));
    if (!removed) return removed.failure();
    return late->size() + static_cast<std::size_t>(*removed);
  });
}

Result<CallbackCounts> SqliteCallbacks::count() {
  return database_.read([](Connection& connection) -> Result<CallbackCounts> {
    Result<std::optional<CallbackCounts>> counts = find_row(
        connection,
        "SELECT waiting, dead, given_up, (SELECT time FROM callbacks WHERE dead = 0 ORDER BY id "
        "LIMIT 1) FROM callback_outbox",
        [](const Statement& row) {
          CallbackCounts counted;
          counted.waiting = static_cast<std::size_t>(row.integer(0));
          counted.dead = static_cast<std::size_t>(row.integer(1));
          counted.given_up = static_cast<std::size_t>(row.integer(2));
          if (!row.is_null(3)) counted.oldest = row.time(3);
          return counted;
        });
    if (!counts) return counts.failure();
    return counts->value_or(CallbackCounts());
  });
}

Result<void> add_message_callback(Connection& connection, CallbackKind kind, const UserKey& user,
                                  std::int64_t conversation, std::int64_t seq,
                                  std::string_view msg_id, SystemTime time) {
  Result<std::optional<std::int64_t>> queue = find_row(
      connection,
      "INSERT INTO callback_queues (application, type, endpoint, next) VALUES (?, ?, ?, 0) "
      "ON CONFLICT (application, type, endpoint) DO UPDATE SET "
      "next = CASE next WHEN 9223372036854775807 THEN 0 ELSE next END RETURNING id",
      first_integer, user.application, type_number(user.identity), user.identity.endpoint);
  if (!queue) return queue.failure();
  Result<std::int64_t> added = connection.run(
      "INSERT INTO callbacks (queue, kind, conversation, seq, msg_id, time) "
      "VALUES (?, ?, ?, ?, ?, ?)",
      queue->value_or(0), static_cast<int>(kind), conversation, seq, msg_id, time);
  if (!added) return added.failure();
  return {};
}

Result<std::size_t> remove_callbacks_of(Connection& connection, const UserKey& user,
                                        std::size_t limit) {
  Result<std::int64_t> removed = connection.run(
      "DELETE FROM callbacks WHERE id IN (SELECT c.id FROM callback_queues q JOIN callbacks c "
      "ON c.queue = q.id WHERE q.application = ? AND q.type = ? AND q.endpoint = ? LIMIT ?)",
      user.application, type_number(user.identity), user.identity.endpoint, sql_limit(limit));
  if (!removed) return removed.failure();
  return static_cast<std::size_t>(*removed);
}

}  // namespace countersign::storage

#include "storage/postgres/callbacks.h"

#include "storage/postgres/message_rows.h"

namespace countersign::storage::postgres {
namespace {

/// Rows that replay() turns in one transaction.
constexpr std::int64_t kReplayAtOnce = 2'000;

/// Of the columns that lease_callbacks() answers.
Callback read_callback(const Row& row) {
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

Result<void> done(const Result<Rows>& written) {
  if (!written) return written.failure();
  return {};
}

}  // namespace

Result<void> PostgresCallbacks::keep(std::size_t max_rows) {
  return done(database_.write("UPDATE callback_outbox SET max_rows = $1 WHERE max_rows <> $1",
                              sql_limit(max_rows)));
}

Result<std::vector<Callback>> PostgresCallbacks::lease(SystemTime now, SystemTime leased_until,
                                                       std::size_t limit) {
  // Mostly nothing is due, and then nothing is written.
  Result<Rows> any = database_.read(
      "SELECT EXISTS (SELECT FROM callback_queues WHERE next <= $1) "
      "OR EXISTS (SELECT FROM callbacks WHERE state = 0)",
      now);
  if (!any) return any.failure();
  if (!any->front().flag(0)) return std::vector<Callback>();
  Result<Rows> leased = database_.write("SELECT * FROM lease_callbacks($1, $2, $3)", now,
                                        leased_until, sql_limit(limit));
  if (!leased) return leased.failure();
  return leased->list(read_callback);
}

Result<void> PostgresCallbacks::complete(std::int64_t id) {
  return done(database_.write("SELECT complete_callback($1)", id));
}

Result<void> PostgresCallbacks::fail(std::int64_t id, SystemTime next, bool dead,
                                     std::string_view error) {
  return done(database_.write("SELECT fail_callback($1, $2, $3, $4)", id, next, dead, error));
}

Result<std::vector<Callback>> PostgresCallbacks::list_dead(std::int64_t after, std::size_t limit) {
  Result<Rows> rows = database_.read(
      "SELECT c.id, c.key, c.kind, c.application, c.type, c.endpoint, coalesce(v.id, ''), c.seq, "
      "c.msg_id, c.instance, c.time, c.attempts, c.last_error, true "
      "FROM callbacks c LEFT JOIN conversations v ON v.number = c.conversation "
      "WHERE c.state = 2 AND c.id > $1 ORDER BY c.id LIMIT $2",
      after, sql_limit(limit));
  if (!rows) return rows.failure();
  return rows->list(read_callback);
}

Result<std::size_t> PostgresCallbacks::replay(std::optional<std::int64_t> id) {
  std::size_t replayed = 0;
  for (;;) {
    Result<Rows> turned = database_.write("SELECT replay_callbacks($1, $2)", id, kReplayAtOnce);
    if (!turned) return turned.failure();
    const std::int64_t count = turned->front().integer(0);
    replayed += static_cast<std::size_t>(count);
    if (count < kReplayAtOnce) return replayed;
  }
}

Result<std::size_t> PostgresCallbacks::remove_old(SystemTime before, SystemTime dead_before,
                                                  std::size_t limit) {
  Result<Rows> removed = database_.write("SELECT remove_old_callbacks($1, $2, $3)", before,
                                         dead_before, sql_limit(limit));
  if (!removed) return removed.failure();
  return static_cast<std::size_t>(removed->front().integer(0));
}

Result<CallbackCounts> PostgresCallbacks::count() {
  Result<Rows> counts = database_.write("SELECT * FROM count_callbacks()");
  if (!counts) return counts.failure();
  const Row row = counts->front();
  CallbackCounts counted;
  counted.waiting = static_cast<std::size_t>(row.integer(0));
  counted.dead = static_cast<std::size_t>(row.integer(1));
  counted.given_up = static_cast<std::size_t>(row.integer(2));
  if (!row.is_null(3)) counted.oldest = row.time(3);
  return counted;
}

Result<std::size_t> remove_callbacks_of(Database& database, const UserKey& user,
                                        std::size_t limit) {
  Result<Rows> removed =
      database.write("SELECT remove_callbacks_of($1, $2, $3, $4)", user.application,
                     type_number(user.identity), user.identity.endpoint, sql_limit(limit));
  if (!removed) return removed.failure();
  return static_cast<std::size_t>(removed->front().integer(0));
}

}  // namespace countersign::storage::postgres

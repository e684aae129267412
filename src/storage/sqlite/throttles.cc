#include "storage/sqlite/throttles.h"

#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

ThrottleCounter read_counter(const Statement& row) {
  return ThrottleCounter{row.number(0), row.time(1), row.time(2), row.time(3)};
}

}  // namespace

Result<bool> SqliteThrottles::update(
    std::span<const std::string> keys,
    const std::function<bool(std::span<ThrottleCounter>)>& change) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<bool> {
    std::vector<ThrottleCounter> counters;
    for (const std::string& key : keys) {
      Result<std::optional<ThrottleCounter>> counter = find_row(
          connection,
          "SELECT failures, window_start, last_failure, blocked_until FROM throttle_counters "
          "WHERE key = ?",
          read_counter, key);
      if (!counter) return counter.failure();
      counters.push_back(counter->value_or(ThrottleCounter()));
    }
    if (!change(counters)) return false;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const ThrottleCounter& counter = counters[i];
      Result<std::int64_t> written = connection.run(
          "INSERT OR REPLACE INTO throttle_counters "
          "(key, failures, window_start, last_failure, blocked_until) VALUES (?, ?, ?, ?, ?)",
          keys[i], counter.failures, counter.window_start, counter.last_failure,
          counter.blocked_until);
      if (!written) return written.failure();
    }
    return true;
  });
}

Result<void> SqliteThrottles::remove(std::span<const std::string> keys) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<void> {
    for (const std::string& key : keys) {
      Result<std::int64_t> removed =
          connection.run("DELETE FROM throttle_counters WHERE key = ?", key);
      if (!removed) return removed.failure();
    }
    return {};
  });
}

Result<std::size_t> SqliteThrottles::remove_older(std::string_view key_prefix, SystemTime before,
                                                  std::size_t limit) {
  // A range of the primary key, where a prefix is given; keys are ASCII, so that nothing that
  // begins with it sorts after `end`. Else the index by last failure.
  const std::string end = std::string(key_prefix) + '\x7F';
  const char* sql =
      key_prefix.empty()
          ? "DELETE FROM throttle_counters WHERE key IN (SELECT key FROM throttle_counters "
            "WHERE ?1 < ?2 AND last_failure < ?3 AND blocked_until < ?3 LIMIT ?4)"
          : "DELETE FROM throttle_counters WHERE key IN (SELECT key FROM throttle_counters "
            "WHERE key >= ?1 AND key < ?2 AND +last_failure < ?3 AND blocked_until < ?3 LIMIT ?4)";
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<std::size_t> {
    Result<std::int64_t> removed = connection.run(sql, key_prefix, end, before, sql_limit(limit));
    if (!removed) return removed.failure();
    return static_cast<std::size_t>(*removed);
  });
}

}  // namespace countersign::storage

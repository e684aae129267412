#include "storage/postgres/throttles.h"

#include <functional>
#include <set>
#include <unordered_map>

namespace countersign::storage::postgres {
namespace {

/// Swaps that other nodes may forestall before a call fails. Each time one of them gets on.
constexpr int kMaxAttempts = 100;

constexpr const char* kSwap = "SELECT swap_throttle_counters($1, $2, $3, $4, $5, $6, $7, $8, $9)";

ThrottleCounter read_counter(const Row& row) {
  return ThrottleCounter{row.number(1), row.time(2), row.time(3), row.time(4)};
}

/// Appends failures, window_start, last_failure and blocked_until, an array each.
void add_columns(Parameters& parameters, std::span<const ThrottleCounter> counters) {
  std::vector<std::int64_t> columns[4];
  for (const ThrottleCounter& counter : counters) {
    columns[0].push_back(counter.failures);
    columns[1].push_back(counter.window_start.time_since_epoch().count());
    columns[2].push_back(counter.last_failure.time_since_epoch().count());
    columns[3].push_back(counter.blocked_until.time_since_epoch().count());
  }
  for (const auto& column : columns) parameters.add(column);
}

}  // namespace

std::vector<std::unique_lock<std::mutex>> PostgresThrottles::lock(
    std::span<const std::string> keys) {
  std::set<std::size_t> numbers;  // in order, so that two updates never wait for each other
  for (const std::string& key : keys) {
    numbers.insert(std::hash<std::string>()(key) % stripes_.size());
  }
  std::vector<std::unique_lock<std::mutex>> locks;
  locks.reserve(numbers.size());
  for (const std::size_t number : numbers) locks.emplace_back(stripes_[number]);
  return locks;
}

Result<std::vector<ThrottleCounter>> PostgresThrottles::read(std::span<const std::string> keys) {
  Result<Rows> rows = database_.read(
      "SELECT key, failures, window_start, last_failure, blocked_until FROM throttle_counters "
      "WHERE key = ANY ($1)",
      keys);
  if (!rows) return rows.failure();
  std::unordered_map<std::string, ThrottleCounter> known;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    known.emplace((*rows)[i].bytes(0), read_counter((*rows)[i]));
  }
  std::vector<ThrottleCounter> counters;
  counters.reserve(keys.size());
  for (const std::string& key : keys) counters.push_back(known[key]);
  return counters;
}

Result<bool> PostgresThrottles::swap(std::span<const std::string> keys,
                                     std::span<const ThrottleCounter> before,
                                     std::span<const ThrottleCounter> after) {
  Query query(kSwap, keys);
  add_columns(query.parameters, before);
  add_columns(query.parameters, after);
  Result<std::vector<Rows>> answers = database_.write_all({query});
  if (!answers) return answers.failure();
  return answers->front().front().flag(0);
}

Result<bool> PostgresThrottles::update(
    std::span<const std::string> keys,
    const std::function<bool(std::span<ThrottleCounter>)>& change) {
  const auto locks = lock(keys);
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    Result<std::vector<ThrottleCounter>> before = read(keys);
    if (!before) return before.failure();
    std::vector<ThrottleCounter> after = *before;
    if (!change(after)) return false;
    Result<bool> swapped = swap(keys, *before, after);
    if (!swapped || *swapped) return swapped;
  }
  return fail(ErrorCode::kOverloaded, "other nodes kept changing a throttle's counter");
}

Result<void> PostgresThrottles::remove(std::span<const std::string> keys) {
  Result<Rows> removed = database_.write(
      "DELETE FROM throttle_counters WHERE key IN (SELECT key FROM throttle_counters "
      "WHERE key = ANY ($1) ORDER BY key FOR UPDATE)",
      keys);
  if (!removed) return removed.failure();
  return {};
}

Result<std::size_t> PostgresThrottles::remove_older(std::string_view key_prefix, SystemTime before,
                                                    std::size_t limit) {
  // A range of the primary key; keys are ASCII, so that nothing that begins with the prefix sorts
  // after its end.
  Result<Rows> removed = database_.write(
      "DELETE FROM throttle_counters WHERE key IN (SELECT key FROM throttle_counters "
      "WHERE key >= $1 AND key < $2 AND last_failure < $3 AND blocked_until < $3 "
      "LIMIT $4 FOR UPDATE SKIP LOCKED)",
      key_prefix, std::string(key_prefix) + '\x7F', before, sql_limit(limit));
  if (!removed) return removed.failure();
  return static_cast<std::size_t>(removed->changed());
}

}  // namespace countersign::storage::postgres

#include "storage/postgres/database.h"

#include <algorithm>
#include <thread>

#include "base/log.h"
#include "storage/postgres/migrations.h"

namespace countersign::storage::postgres {
namespace {

using std::chrono::milliseconds;

/// A transaction that meets others is repeated so often before it fails.
constexpr int kMaxAttempts = 20;
constexpr milliseconds kFirstPause(50);
constexpr milliseconds kLongestPause(1'000);

ConnectionSettings settings_of(const PostgresOptions& options) {
  ConnectionSettings settings;
  settings.url = options.url;
  settings.statement_timeout = options.statement_timeout;
  settings.allow_unsafe_server_for_test = options.allow_unsafe_server_for_test;
  settings.ignore_commit_tag_for_test = options.ignore_commit_tag_for_test;
  return settings;
}

}  // namespace

Database::Database(const PostgresOptions& options)
    : settings_(settings_of(options)),
      max_connections_(std::max<std::size_t>(options.connections, 1)),
      max_wait_(options.max_wait),
      pause_(kFirstPause),
      random_(std::random_device()()) {}

Result<std::unique_ptr<Database>> Database::open(const PostgresOptions& options) {
  if (options.migrate) {
    Result<std::vector<MigrationStep>> migrated = migrate_postgres(options);
    if (!migrated) return migrated.failure();
  } else {
    Result<std::vector<MigrationStep>> steps = list_postgres_migrations(options);
    if (!steps) return steps.failure();
    for (const MigrationStep& step : *steps) {
      if (step.state == MigrationStep::State::kPending) {
        return fail(ErrorCode::kSchemaMismatch, step.name + " has not been applied to the store");
      }
    }
  }
  std::unique_ptr<Database> database(new Database(options));
  Result<std::unique_ptr<Connection>> first = Connection::open(database->settings_);
  if (!first) return first.failure();
  database->idle_.push_back(*std::move(first));
  return database;
}

Result<Rows> Database::only(Result<std::vector<Rows>> answers) {
  if (!answers) return std::move(answers).failure();
  return std::move(answers->front());
}

Result<std::vector<Rows>> Database::run(const std::vector<Query>& queries, Connection::Mode mode) {
  for (int attempt = 1;; ++attempt) {
    Result<std::unique_ptr<Connection>> connection = take();
    if (!connection) return connection.failure();
    Result<std::vector<Rows>> answers = (*connection)->run(queries, mode);
    const bool repeat = !answers && (*connection)->conflicted() && attempt < kMaxAttempts;
    if (!answers && (*connection)->broken()) {
      base::log_warning("store_session_lost", {{"detail", answers.error().detail}});
    }
    give_back(*std::move(connection));
    if (!repeat) return answers;
    pause_before_repeat(attempt);
  }
}

void Database::pause_before_repeat(int attempt) {
  std::chrono::microseconds pause;
  {
    const std::lock_guard lock(mutex_);
    pause = std::chrono::microseconds(random_() % (std::uint32_t{1'000} << std::min(attempt, 8)));
  }
  std::this_thread::sleep_for(pause);
}

Result<std::unique_ptr<Connection>> Database::take() {
  std::vector<std::unique_ptr<Connection>> ended;  // closed outside of the lock
  std::unique_lock lock(mutex_);
  if (!returned_.wait_for(lock, max_wait_, [this] { return in_use_ < max_connections_; })) {
    return fail(ErrorCode::kOverloaded, "no session with the database came free");
  }
  while (!idle_.empty()) {
    std::unique_ptr<Connection> connection = std::move(idle_.back());
    idle_.pop_back();
    if (connection->still_there()) {
      ++in_use_;
      return connection;
    }
    ended.push_back(std::move(connection));
  }
  if (unreachable_ && std::chrono::steady_clock::now() < next_try_) {
    return tl::make_unexpected(*unreachable_);
  }
  ++in_use_;
  lock.unlock();
  ended.clear();
  Result<std::unique_ptr<Connection>> connection = connect();
  if (!connection) {
    lock.lock();
    --in_use_;
    returned_.notify_one();
  }
  return connection;
}

Result<std::unique_ptr<Connection>> Database::connect() {
  Result<std::unique_ptr<Connection>> connection = Connection::open(settings_);
  const std::lock_guard lock(mutex_);
  if (connection) {
    if (unreachable_) base::log_info("store_reached_again");
    unreachable_.reset();
    pause_ = kFirstPause;
    return connection;
  }
  // Whatever the reason, at this point it is the store that fails, and may come back.
  Error why{ErrorCode::kStoreFailed, connection.error().detail};
  if (!unreachable_) base::log_error("store_unreachable", {{"detail", why.detail}});
  unreachable_ = why;
  next_try_ = std::chrono::steady_clock::now() + pause_ / 2 +
              milliseconds(random_() % static_cast<std::uint32_t>(pause_.count()));
  pause_ = std::min(pause_ * 2, kLongestPause);
  return tl::make_unexpected(std::move(why));
}

void Database::give_back(std::unique_ptr<Connection> connection) {
  std::vector<std::unique_ptr<Connection>> dropped;  // closed outside of the lock
  {
    const std::lock_guard lock(mutex_);
    --in_use_;
    if (connection->broken()) {
      dropped.swap(idle_);
      dropped.push_back(std::move(connection));
    } else {
      idle_.push_back(std::move(connection));
    }
  }
  returned_.notify_one();
}

std::size_t Database::sessions() const {
  const std::lock_guard lock(mutex_);
  return idle_.size() + in_use_;
}

}  // namespace countersign::storage::postgres

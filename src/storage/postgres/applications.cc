#include "storage/postgres/applications.h"

namespace countersign::storage::postgres {
namespace {

// Changes of applications come one after the other: the first statement locks.
constexpr const char* kRaise =
    "UPDATE application_generation SET generation = generation + 1 WHERE id = 1";
constexpr const char* kLock = "SELECT FROM application_generation WHERE id = 1 FOR UPDATE";

StoredApplication read_application(const Row& row) {
  return StoredApplication{row.bytes(0), row.bytes(1), row.time(2)};
}

StoredSecret read_secret(const Row& row) {
  return StoredSecret{row.bytes(0), row.bytes(1), row.bytes(2),
                      row.bytes(3), row.flag(4),  row.time(5)};
}

/// Appends the statements that insert the secret.
void insert_secret(std::vector<Query>& queries, const StoredSecret& secret) {
  if (secret.minting) {
    queries.emplace_back(
        "UPDATE application_secrets SET minting = false WHERE application_key = $1 AND minting",
        secret.application_key);
  }
  queries.emplace_back(
      "INSERT INTO application_secrets (application_key, fingerprint, sealed, key_id, minting, "
      "created) VALUES ($1, $2, $3, $4, $5, $6)",
      secret.application_key, secret.fingerprint, Bytes{secret.sealed}, secret.key_id,
      secret.minting, secret.created);
}

}  // namespace

Result<void> PostgresApplications::create_application(const StoredApplication& application,
                                                      const StoredSecret& secret) {
  std::vector<Query> queries;
  queries.emplace_back(kRaise);
  queries.emplace_back("INSERT INTO applications (key, name, created) VALUES ($1, $2, $3)",
                       application.key, application.name, application.created);
  insert_secret(queries, secret);
  Result<std::vector<Rows>> answers = database_.write_all(queries);
  if (!answers) return answers.failure();
  return {};
}

Result<std::vector<StoredApplication>> PostgresApplications::list_applications() {
  Result<Rows> rows = database_.read("SELECT key, name, created FROM applications ORDER BY key");
  if (!rows) return rows.failure();
  return rows->list(read_application);
}

Result<void> PostgresApplications::add_secret(const StoredSecret& secret) {
  std::vector<Query> queries;
  queries.emplace_back(kRaise);
  insert_secret(queries, secret);
  Result<std::vector<Rows>> answers = database_.write_all(queries);
  if (!answers) return answers.failure();
  return {};
}

Result<std::vector<StoredSecret>> PostgresApplications::list_secrets() {
  Result<Rows> rows = database_.read(
      "SELECT application_key, fingerprint, sealed, key_id, minting, created "
      "FROM application_secrets ORDER BY application_key, created, fingerprint");
  if (!rows) return rows.failure();
  return rows->list(read_secret);
}

Result<void> PostgresApplications::remove_secret(std::string_view application_key,
                                                 std::string_view fingerprint) {
  // The answer is what stood before: whether there was one, and whether it mints.
  const Query remove(
      "WITH removed AS (DELETE FROM application_secrets "
      "WHERE application_key = $1 AND fingerprint = $2 AND NOT minting RETURNING 1), "
      "raised AS (UPDATE application_generation SET generation = generation + 1 "
      "WHERE id = 1 AND EXISTS (SELECT FROM removed)) "
      "SELECT minting FROM application_secrets WHERE application_key = $1 AND fingerprint = $2",
      application_key, fingerprint);
  Result<std::vector<Rows>> answers = database_.write_all({Query(kLock), remove});
  if (!answers) return answers.failure();
  const Rows& before = answers->back();
  if (before.empty()) return fail(ErrorCode::kAbsent, "no such secret");
  if (before.front().flag(0)) return fail(ErrorCode::kBadState, "the secret is the one that mints");
  return {};
}

Result<std::int64_t> PostgresApplications::generation() {
  Result<Rows> rows = database_.read("SELECT generation FROM application_generation WHERE id = 1");
  if (!rows) return rows.failure();
  return rows->find([](const Row& row) { return row.integer(0); }).value_or(0);
}

Result<void> PostgresApplications::raise_generation() {
  Result<Rows> raised = database_.write(kRaise);
  if (!raised) return raised.failure();
  return {};
}

}  // namespace countersign::storage::postgres

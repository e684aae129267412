#include "storage/postgres/revocations.h"

namespace countersign::storage::postgres {
namespace {

Revocation read_revocation(const Row& row) {
  Revocation revocation;
  revocation.id = row.integer(0);
  revocation.scope = static_cast<RevocationScope>(row.integer(1));
  revocation.session = SessionHandle(row.bytes(2));
  revocation.application_key = row.bytes(3);
  revocation.identity.type = parse_identity_type(row.bytes(4)).value_or(IdentityType::kUsername);
  revocation.identity.endpoint = row.bytes(5);
  revocation.instance = InstanceId(row.bytes(6));
  revocation.reason = row.bytes(7);
  revocation.time = row.time(8);
  return revocation;
}

}  // namespace

void add_columns(Parameters& parameters, std::span<const Revocation> revocations) {
  std::vector<std::int64_t> scopes;
  std::vector<std::string> sessions;
  std::vector<std::string> application_keys;
  std::vector<std::string> types;
  std::vector<std::string> endpoints;
  std::vector<std::string> instances;
  std::vector<std::int64_t> times;
  std::vector<std::string> reasons;
  for (const Revocation& revocation : revocations) {
    scopes.push_back(static_cast<std::int64_t>(revocation.scope));
    sessions.push_back(revocation.session.text());
    application_keys.push_back(revocation.application_key);
    types.emplace_back(identity_type_name(revocation.identity.type));
    endpoints.push_back(revocation.identity.endpoint);
    instances.push_back(revocation.instance.text());
    times.push_back(revocation.time.time_since_epoch().count());
    reasons.push_back(revocation.reason);
  }
  parameters.add(scopes);
  for (const auto* column : {&sessions, &application_keys, &types, &endpoints, &instances}) {
    parameters.add(*column);
  }
  parameters.add(times);
  parameters.add(reasons);
}

Result<void> PostgresRevocations::add(std::span<const Revocation> revocations) {
  Query query("SELECT revoke_all($1, $2, $3, $4, $5, $6, $7, $8)");
  add_columns(query.parameters, revocations);
  Result<std::vector<Rows>> answers = database_.write_all({query});
  if (!answers) return answers.failure();
  return {};
}

Result<std::vector<Revocation>> PostgresRevocations::poll(std::int64_t after, std::size_t limit) {
  Result<Rows> rows = database_.read(
      "SELECT id, scope, session, application_key, identity_type, endpoint, instance, reason, time "
      "FROM revocations WHERE id > $1 ORDER BY id LIMIT $2",
      after, sql_limit(limit));
  if (!rows) return rows.failure();
  return rows->list(read_revocation);
}

Result<std::int64_t> PostgresRevocations::head() {
  Result<Rows> rows = database_.read("SELECT top FROM revocation_head WHERE id = 1");
  if (!rows) return rows.failure();
  return rows->find([](const Row& row) { return row.integer(0); }).value_or(0);
}

Result<SystemTime> PostgresRevocations::watermark(std::string_view application_key,
                                                  const Identity& identity) {
  Result<Rows> rows = database_.read(
      "SELECT greatest((SELECT tickets_after FROM watermarks "
      "WHERE application_key = $1 AND identity_type = $2 AND endpoint = $3), "
      "(SELECT value::bigint FROM meta WHERE name = $4), 0)",
      application_key, identity_type_name(identity.type), identity.endpoint, kTicketsAfterName);
  if (!rows) return rows.failure();
  return rows->find([](const Row& row) { return row.time(0); }).value_or(SystemTime());
}

Result<std::size_t> PostgresRevocations::remove_older(SystemTime before, std::size_t limit) {
  // Only from the front: what stays has no holes.
  Result<Rows> removed = database_.write(
      "DELETE FROM revocations WHERE id IN (SELECT id FROM revocations WHERE id < "
      "coalesce((SELECT id FROM revocations WHERE time >= $1 ORDER BY id LIMIT 1), "
      "9223372036854775807) ORDER BY id LIMIT $2 FOR UPDATE)",
      before, sql_limit(limit));
  if (!removed) return removed.failure();
  return static_cast<std::size_t>(removed->changed());
}

}  // namespace countersign::storage::postgres

#include "storage/sqlite/revocations.h"

#include <algorithm>

#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

Revocation read_revocation(const Statement& row) {
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

/// Raises the watermark, at least to the youngest ticket of the instances that end (such a ticket,
/// stamped by a clock ahead of ours, must not come back) and to what a ticket minted since the last
/// watermark may be stamped with, which is up to a second ahead.
Result<void> revoke_identity(Connection& connection, const Revocation& revocation) {
  const std::string_view type = identity_type_name(revocation.identity.type);
  const std::string& endpoint = revocation.identity.endpoint;
  Result<std::optional<SystemTime>> youngest = find_row(
      connection,
      "SELECT max(ticket_created) FROM instances "
      "WHERE application_key = ? AND identity_type = ? AND endpoint = ?",
      [](const Statement& row) { return row.is_null(0) ? SystemTime() : row.time(0); },
      revocation.application_key, type, endpoint);
  if (!youngest) return youngest.failure();
  Result<SystemTime> last =
      read_watermark(connection, revocation.application_key, revocation.identity);
  if (!last) return last.failure();
  SystemTime mark = std::max(revocation.time, youngest->value_or(SystemTime()));
  if (*last != SystemTime()) mark = std::max<SystemTime>(mark, base::second_after(*last));

  Result<std::int64_t> raised = connection.run(
      "INSERT INTO watermarks (application_key, identity_type, endpoint, tickets_after) "
      "VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET tickets_after = excluded.tickets_after",
      revocation.application_key, type, endpoint, mark);
  if (!raised) return raised.failure();
  Result<std::int64_t> ended = connection.run(
      "DELETE FROM instances WHERE application_key = ? AND identity_type = ? AND endpoint = ?",
      revocation.application_key, type, endpoint);
  if (!ended) return ended.failure();
  return {};
}

}  // namespace

Result<void> revoke(Connection& connection, const Revocation& revocation) {
  Result<std::optional<std::int64_t>> id =
      find_row(connection, "UPDATE revocation_head SET top = top + 1 WHERE id = 1 RETURNING top",
               first_integer);
  if (!id) return id.failure();
  if (!*id) return fail(ErrorCode::kStoreFailed, "the head row of the revocations is missing");
  Result<std::int64_t> added = connection.run(
      "INSERT INTO revocations (id, scope, session, application_key, identity_type, endpoint, "
      "instance, reason, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      **id, static_cast<int>(revocation.scope), revocation.session.text(),
      revocation.application_key, identity_type_name(revocation.identity.type),
      revocation.identity.endpoint, revocation.instance.text(), revocation.reason, revocation.time);
  if (!added) return added.failure();

  Result<std::int64_t> ended = 0;
  switch (revocation.scope) {
    case RevocationScope::kSession:
      ended = connection.run("DELETE FROM instances WHERE session = ?", revocation.session.text());
      break;
    case RevocationScope::kIdentity:
      return revoke_identity(connection, revocation);
    case RevocationScope::kInstance:
      ended = connection.run("DELETE FROM instances WHERE id = ?", revocation.instance.text());
      break;
  }
  if (!ended) return ended.failure();
  return {};
}

Result<void> revoke_all(Connection& connection, std::span<const Revocation> revocations,
                        std::string_view reason, SystemTime now) {
  for (Revocation revocation : revocations) {
    revocation.time = std::max(revocation.time, now);
    if (revocation.reason.empty()) revocation.reason = reason;
    if (Result<void> revoked = revoke(connection, revocation); !revoked) return revoked;
  }
  return {};
}

Result<SystemTime> read_watermark(Connection& connection, std::string_view application_key,
                                  const Identity& identity) {
  Result<std::optional<SystemTime>> mark = find_row(
      connection,
      "SELECT max(coalesce((SELECT tickets_after FROM watermarks "
      "WHERE application_key = ? AND identity_type = ? AND endpoint = ?), 0), "
      "coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE name = ?), 0))",
      [](const Statement& row) { return row.time(0); }, application_key,
      identity_type_name(identity.type), identity.endpoint, kTicketsAfterName);
  if (!mark) return mark.failure();
  return mark->value_or(SystemTime());
}

Result<void> SqliteRevocations::add(std::span<const Revocation> revocations) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<void> {
    for (const Revocation& revocation : revocations) {
      if (Result<void> revoked = revoke(connection, revocation); !revoked) return revoked;
    }
    return {};
  });
}

Result<std::vector<Revocation>> SqliteRevocations::poll(std::int64_t after, std::size_t limit) {
  return database_.read([&](Connection& connection) {
    return list_rows(connection,
                     "SELECT id, scope, session, application_key, identity_type, endpoint, "
                     "instance, reason, time FROM revocations WHERE id > ? ORDER BY id LIMIT ?",
                     read_revocation, after, sql_limit(limit));
  });
}

Result<std::int64_t> SqliteRevocations::head() {
  return database_.read([](Connection& connection) -> Result<std::int64_t> {
    Result<std::optional<std::int64_t>> top =
        find_row(connection, "SELECT top FROM revocation_head WHERE id = 1", first_integer);
    if (!top) return top.failure();
    return top->value_or(0);
  });
}

Result<SystemTime> SqliteRevocations::watermark(std::string_view application_key,
                                                const Identity& identity) {
  return database_.read([&](Connection& connection) {
    return read_watermark(connection, application_key, identity);
  });
}

Result<std::size_t> SqliteRevocations::remove_older(SystemTime before, std::size_t limit) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<std::size_t> {
    // Only from the front: what stays has no holes.
    Result<std::int64_t> removed = connection.run(
        "DELETE FROM revocations WHERE id IN (SELECT id FROM revocations WHERE id < "
        "coalesce((SELECT id FROM revocations WHERE time >= ? ORDER BY id LIMIT 1), "
        "9223372036854775807) ORDER BY id LIMIT ?)",
        before, sql_limit(limit));
    if (!removed) return removed.failure();
    return static_cast<std::size_t>(*removed);
  });
}

}  // namespace countersign::storage

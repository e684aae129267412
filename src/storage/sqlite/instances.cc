#include "storage/sqlite/instances.h"

#include "storage/sqlite/presented_tickets.h"
#include "storage/sqlite/revocations.h"
#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

constexpr const char* kFindInstance =
    "SELECT id, application_key, identity_type, endpoint, device, session, generation, key_id, "
    "ticket_created, created, expires FROM instances WHERE id = ?";

Instance read_instance(const Statement& row) {
  Instance instance;
  instance.id = InstanceId(row.bytes(0));
  instance.application_key = row.bytes(1);
  instance.identity.type = parse_identity_type(row.bytes(2)).value_or(IdentityType::kUsername);
  instance.identity.endpoint = row.bytes(3);
  instance.device = row.bytes(4);
  if (std::optional<std::string> session = row.optional_bytes(5)) {
    instance.session = SessionHandle(*std::move(session));
  }
  instance.generation = row.number(6);
  instance.key_id = row.bytes(7);
  instance.ticket_created = row.time(8);
  instance.created = row.time(9);
  instance.expires = row.time(10);
  return instance;
}

std::optional<std::string> session_text(const std::optional<SessionHandle>& session) {
  if (!session) return std::nullopt;
  return session->text();
}

/// kRevoked if the ticket's session is gone or dead or, for a ticket without one, if the ticket is
/// not after the identity's watermark. A session is the stronger check, and a producer whose clock
/// is fast may have put the watermark ahead of us.
Result<void> check_ticket(Connection& connection, std::string_view application_key,
                          const Identity& identity, const std::optional<SessionHandle>& session,
                          SystemTime ticket_created) {
  if (session) {
    Result<std::optional<std::int64_t>> live =
        find_row(connection,
                 "SELECT 1 FROM sessions s JOIN accounts a ON a.id = s.account "
                 "WHERE s.handle = ? AND s.epoch >= a.epoch",
                 first_integer, session->text());
    if (!live) return live.failure();
    if (!*live) return fail(ErrorCode::kRevoked, "the sign-in session has ended");
    return {};
  }
  Result<SystemTime> mark = read_watermark(connection, application_key, identity);
  if (!mark) return mark.failure();
  if (ticket_created <= *mark && *mark != SystemTime()) {
    return fail(ErrorCode::kRevoked, "the ticket is older than the identity's last sign-out");
  }
  return {};
}

}  // namespace

Result<void> SqliteInstances::create_instance(const Instance& instance, std::size_t max_instances,
                                              const std::optional<PresentedTicket>& presented) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<void> {
    Result<void> checked = check_ticket(connection, instance.application_key, instance.identity,
                                        instance.session, instance.ticket_created);
    if (!checked) return checked;
    if (presented) {
      Result<void> noted = note_presented(connection, *presented, instance.application_key,
                                          instance.identity, instance.id);
      if (!noted) return noted;
    }
    const std::string_view type = identity_type_name(instance.identity.type);
    Result<std::optional<std::int64_t>> live =
        find_row(connection,
                 "SELECT count(*) FROM instances WHERE application_key = ? "
                 "AND identity_type = ? AND endpoint = ? AND expires > ?",
                 first_integer, instance.application_key, type, instance.identity.endpoint,
                 instance.created);
    if (!live) return live.failure();
    if (live->value_or(0) >= sql_limit(max_instances)) {
      return fail(ErrorCode::kLimitExceeded, "the identity has too many instances");
    }
    Result<std::int64_t> inserted = connection.run(
        "INSERT INTO instances (id, application_key, identity_type, endpoint, device, session, "
        "generation, key_id, ticket_created, created, expires) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        instance.id.text(), instance.application_key, type, instance.identity.endpoint,
        instance.device, session_text(instance.session), instance.generation, instance.key_id,
        instance.ticket_created, instance.created, instance.expires);
    if (!inserted) return inserted.failure();
    return {};
  });
}

Result<std::optional<Instance>> SqliteInstances::find_instance(const InstanceId& id) {
  return database_.read([&](Connection& connection) {
    return find_row(connection, kFindInstance, read_instance, id.text());
  });
}

Result<std::vector<Instance>> SqliteInstances::list_instances(std::string_view application_key,
                                                              const Identity& identity,
                                                              std::string_view after,
                                                              std::size_t limit) {
  return database_.read([&](Connection& connection) {
    return list_rows(
        connection,
        "SELECT id, application_key, identity_type, endpoint, device, session, generation, key_id, "
        "ticket_created, created, expires FROM instances WHERE application_key = ? "
        "AND identity_type = ? AND endpoint = ? AND id > ? ORDER BY id LIMIT ?",
        read_instance, application_key, identity_type_name(identity.type), identity.endpoint, after,
        sql_limit(limit));
  });
}

Result<void> SqliteInstances::refresh_instance(const InstanceId& id,
                                               const std::optional<SessionHandle>& session,
                                               SystemTime ticket_created, SystemTime expires,
                                               const std::optional<PresentedTicket>& presented) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<void> {
    Result<std::optional<Instance>> instance =
        find_row(connection, kFindInstance, read_instance, id.text());
    if (!instance) return instance.failure();
    if (!*instance) return fail(ErrorCode::kAbsent, "the instance has ended");
    Result<void> checked = check_ticket(connection, (*instance)->application_key,
                                        (*instance)->identity, session, ticket_created);
    if (!checked) return checked;
    if (presented) {
      Result<void> noted = note_presented(connection, *presented, (*instance)->application_key,
                                          (*instance)->identity, id);
      if (!noted) return noted;
    }
    Result<std::int64_t> refreshed = connection.run(
        "UPDATE instances SET session = ?, ticket_created = ?, expires = ? WHERE id = ?",
        session_text(session), ticket_created, expires, id.text());
    if (!refreshed) return refreshed.failure();
    return {};
  });
}

Result<bool> SqliteInstances::end_instance(const InstanceId& id) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<bool> {
    Result<std::int64_t> deleted = connection.run("DELETE FROM instances WHERE id = ?", id.text());
    if (!deleted) return deleted.failure();
    return *deleted == 1;
  });
}

Result<std::size_t> SqliteInstances::remove_expired(SystemTime before, std::size_t limit) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<std::size_t> {
    Result<std::int64_t> removed = connection.run(
        "DELETE FROM instances WHERE id IN "
        "(SELECT id FROM instances WHERE expires < ? ORDER BY expires LIMIT ?)",
        before, sql_limit(limit));
    if (!removed) return removed.failure();
    const auto instances = static_cast<std::size_t>(*removed);
    if (instances >= limit) return instances;
    Result<std::size_t> tickets = remove_presented(connection, before, limit - instances);
    if (!tickets) return tickets.failure();
    return instances + *tickets;
  });
}

}  // namespace countersign::storage

#include "storage/postgres/instances.h"

namespace countersign::storage::postgres {
namespace {

// The functions know the watermarks of identities; that of all stands in `meta`
// (kTicketsAfterName).
constexpr const char* kCreate =
    "SELECT CASE WHEN $6::text IS NULL AND EXISTS (SELECT FROM meta "
    "WHERE name = 'tickets_after' AND value::bigint >= $9::bigint) THEN 'before_watermark' "
    "ELSE create_instance($1, $2, $3, $4, $5, $6::text, $7, $8, $9::bigint, $10, $11, $12, "
    "$13, $14, $15, $16, $17) END";
constexpr const char* kRefresh =
    "SELECT CASE WHEN $2::text IS NULL AND EXISTS (SELECT FROM meta "
    "WHERE name = 'tickets_after' AND value::bigint >= $3::bigint) THEN 'before_watermark' "
    "ELSE refresh_instance($1, $2::text, $3::bigint, $4, $5, $6, $7, $8, $9) END";

Instance read_instance(const Row& row) {
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

/// The last five parameters of both functions.
void add_ticket(Parameters& parameters, const std::optional<PresentedTicket>& presented) {
  const PresentedTicket ticket = presented.value_or(PresentedTicket());
  std::optional<Bytes> digest;
  if (presented) digest = Bytes{ticket.digest};
  parameters.add(digest);
  parameters.add(ticket.device);
  parameters.add(ticket.expires);
  parameters.add(sql_limit(ticket.max_noted));
  parameters.add(sql_limit(ticket.max_noted_of_identity));
}

/// What the functions of the schema answer: nothing, or the word for why not.
Result<void> judge(const Rows& rows) {
  const std::optional<std::string> refusal = rows.front().optional_bytes(0);
  if (!refusal) return {};
  if (*refusal == "absent") return fail(ErrorCode::kAbsent, "the instance has ended");
  if (*refusal == "session_ended") {
    return fail(ErrorCode::kRevoked, "the sign-in session has ended");
  }
  if (*refusal == "before_watermark") {
    return fail(ErrorCode::kRevoked, "the ticket is older than the identity's last sign-out");
  }
  if (*refusal == "replayed") return fail(ErrorCode::kReplayed, "the ticket was presented before");
  if (*refusal == "too_many_instances") {
    return fail(ErrorCode::kLimitExceeded, "the identity has too many instances");
  }
  if (*refusal == "too_many_tickets") {
    return fail(ErrorCode::kLimitExceeded, "the identity has presented too many tickets");
  }
  if (*refusal == "no_room") {
    return fail(ErrorCode::kOverloaded, "no room to note a presented ticket");
  }
  return fail(ErrorCode::kStoreFailed, "the schema answered " + *refusal);
}

}  // namespace

Result<void> PostgresInstances::create_instance(const Instance& instance, std::size_t max_instances,
                                                const std::optional<PresentedTicket>& presented) {
  Query query(kCreate, instance.id.text(), instance.application_key,
              identity_type_name(instance.identity.type), instance.identity.endpoint,
              instance.device, session_text(instance.session), instance.generation, instance.key_id,
              instance.ticket_created, instance.created, instance.expires,
              sql_limit(max_instances));
  add_ticket(query.parameters, presented);
  Result<std::vector<Rows>> answers = database_.write_all({query});
  if (!answers) return answers.failure();
  return judge(answers->front());
}

Result<std::optional<Instance>> PostgresInstances::find_instance(const InstanceId& id) {
  Result<Rows> rows = database_.read(
      "SELECT id, application_key, identity_type, endpoint, device, session, generation, key_id, "
      "ticket_created, created, expires FROM instances WHERE id = $1",
      id.text());
  if (!rows) return rows.failure();
  return rows->find(read_instance);
}

Result<std::vector<Instance>> PostgresInstances::list_instances(std::string_view application_key,
                                                                const Identity& identity,
                                                                std::string_view after,
                                                                std::size_t limit) {
  Result<Rows> rows = database_.read(
      "SELECT id, application_key, identity_type, endpoint, device, session, generation, key_id, "
      "ticket_created, created, expires FROM instances WHERE application_key = $1 "
      "AND identity_type = $2 AND endpoint = $3 AND id > $4 ORDER BY id LIMIT $5",
      application_key, identity_type_name(identity.type), identity.endpoint, after,
      sql_limit(limit));
  if (!rows) return rows.failure();
  return rows->list(read_instance);
}

Result<void> PostgresInstances::refresh_instance(const InstanceId& id,
                                                 const std::optional<SessionHandle>& session,
                                                 SystemTime ticket_created, SystemTime expires,
                                                 const std::optional<PresentedTicket>& presented) {
  Query query(kRefresh, id.text(), session_text(session), ticket_created, expires);
  add_ticket(query.parameters, presented);
  Result<std::vector<Rows>> answers = database_.write_all({query});
  if (!answers) return answers.failure();
  return judge(answers->front());
}

Result<bool> PostgresInstances::end_instance(const InstanceId& id) {
  Result<Rows> deleted = database_.write("DELETE FROM instances WHERE id = $1", id.text());
  if (!deleted) return deleted.failure();
  return deleted->changed() == 1;
}

Result<std::size_t> PostgresInstances::remove_expired(SystemTime before, std::size_t limit) {
  Result<Rows> removed = database_.write("SELECT remove_expired($1, $2)", before, sql_limit(limit));
  if (!removed) return removed.failure();
  return static_cast<std::size_t>(removed->front().integer(0));
}

}  // namespace countersign::storage::postgres

#include "storage/sqlite/presented_tickets.h"

#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

/// Forgetting a ticket would accept it from somebody else, so a full table refuses. An identity has
/// a smaller bound of its own, so that nobody fills the table with tickets of theirs alone.
Result<void> check_room(Connection& connection, const PresentedTicket& ticket,
                        std::string_view application_key, const Identity& identity) {
  Result<std::optional<std::int64_t>> own = find_row(
      connection,
      "SELECT count(*) FROM presented_tickets "
      "WHERE application_key = ? AND identity_type = ? AND endpoint = ?",
      first_integer, application_key, identity_type_name(identity.type), identity.endpoint);
  if (!own) return own.failure();
  if (own->value_or(0) >= sql_limit(ticket.max_noted_of_identity)) {
    return fail(ErrorCode::kLimitExceeded, "the identity has presented too many tickets");
  }
  Result<std::optional<std::int64_t>> all =
      find_row(connection, "SELECT count FROM presented_ticket_count WHERE id = 1", first_integer);
  if (!all) return all.failure();
  if (!*all) return fail(ErrorCode::kStoreFailed, "the count of presented tickets is missing");
  if (**all >= sql_limit(ticket.max_noted)) {
    return fail(ErrorCode::kOverloaded, "no room to note a presented ticket");
  }
  return {};
}

}  // namespace

Result<void> note_presented(Connection& connection, const PresentedTicket& ticket,
                            std::string_view application_key, const Identity& identity,
                            const InstanceId& instance) {
  Result<std::optional<std::string>> first =
      find_row(connection, "SELECT device FROM presented_tickets WHERE digest = ?", first_text,
               Blob{ticket.digest});
  if (!first) return first.failure();
  if (*first) {
    if (!ticket.device.empty() && **first == ticket.device) return {};
    return fail(ErrorCode::kReplayed, "the ticket was presented before");
  }
  Result<void> room = check_room(connection, ticket, application_key, identity);
  if (!room) return room;
  Result<std::int64_t> noted = connection.run(
      "INSERT INTO presented_tickets (digest, application_key, identity_type, endpoint, device, "
      "instance, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
      Blob{ticket.digest}, application_key, identity_type_name(identity.type), identity.endpoint,
      ticket.device, instance.text(), ticket.expires);
  if (!noted) return noted.failure();
  return {};
}

Result<std::size_t> remove_presented(Connection& connection, SystemTime before, std::size_t limit) {
  Result<std::int64_t> removed = connection.run(
      "DELETE FROM presented_tickets WHERE digest IN "
      "(SELECT digest FROM presented_tickets WHERE expires < ? ORDER BY expires LIMIT ?)",
      before, sql_limit(limit));
  if (!removed) return removed.failure();
  return static_cast<std::size_t>(*removed);
}

}  // namespace countersign::storage

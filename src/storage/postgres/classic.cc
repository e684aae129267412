#include "storage/postgres/classic.h"

#include "storage/message_ids.h"
#include "storage/postgres/message_rows.h"

namespace countersign::storage::postgres {
namespace {

/// Horizons as four arrays.
struct HorizonArrays {
  explicit HorizonArrays(std::span<const ClassicHorizon> horizons) {
    for (const ClassicHorizon& horizon : horizons) {
      conversations.push_back(horizon.conversation);
      types.push_back(type_number(horizon.member));
      endpoints.push_back(horizon.member.endpoint);
      seqs.push_back(horizon.seq);
    }
  }
  std::vector<std::string> conversations;
  std::vector<std::int64_t> types;
  std::vector<std::string> endpoints;
  std::vector<std::int64_t> seqs;
};

std::int64_t microseconds(SystemTime time) { return time.time_since_epoch().count(); }

}  // namespace

Result<void> PostgresClassic::put_transport(const ClassicTransport& transport) {
  std::vector<std::int64_t> types;
  std::vector<std::string> endpoints;
  for (const Identity& member : transport.members) {
    types.push_back(type_number(member));
    endpoints.push_back(member.endpoint);
  }
  Result<Rows> kept =
      database_.write("SELECT put_classic_transport($1, $2, $3, $4, $5, $6)", transport.application,
                      transport.id, transport.conversation, types, endpoints, transport.time);
  if (!kept) return kept.failure();
  return {};
}

Result<std::optional<ClassicTransport>> PostgresClassic::find_transport(
    std::string_view application, std::string_view id) {
  Result<Rows> rows = database_.read(
      "SELECT t.conversation, t.time, m.type, m.endpoint FROM classic_transports t "
      "JOIN classic_members m ON m.transport = t.number WHERE t.application = $1 AND t.id = $2",
      application, id);
  if (!rows) return rows.failure();
  if (rows->empty()) return std::optional<ClassicTransport>();
  ClassicTransport transport;
  transport.application = application;
  transport.id = id;
  transport.conversation = rows->front().bytes(0);
  transport.time = rows->front().time(1);
  transport.members =
      sorted_identities(rows->list([](const Row& row) { return read_identity(row, 2); }));
  return std::optional(std::move(transport));
}

Result<std::vector<bool>> PostgresClassic::have_inboxes(std::span<const UserKey> users) {
  const UserArrays arrays = arrays_of(users);
  Result<Rows> rows = database_.read(
      "SELECT i.id IS NOT NULL AND NOT i.erased "
      "FROM unnest($1, $2, $3) WITH ORDINALITY AS u (application, type, endpoint, place) "
      "LEFT JOIN inboxes i ON i.application = u.application AND i.type = u.type "
      "AND i.endpoint = u.endpoint ORDER BY u.place",
      arrays.applications, arrays.types, arrays.endpoints);
  if (!rows) return rows.failure();
  return rows->list([](const Row& row) { return row.flag(0); });
}

Result<std::optional<std::string>> PostgresClassic::add_part(const ClassicPart& part,
                                                             const ClassicPartLimits& limits) {
  const std::chrono::microseconds idle = limits.idle;
  Result<Rows> added = database_.write(
      "SELECT * FROM add_classic_part($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
      part.instance.text(), part.session, part.mark, part.index, part.count, part.payload,
      part.time, sql_limit(limits.sets_of_instance), sql_limit(limits.bytes_of_set), idle.count());
  if (!added) return added.failure();
  const Row row = added->front();
  if (const std::string word = row.bytes(0); !word.empty()) {
    return fail(code_of_word(word), "part of a message");
  }
  return row.optional_bytes(1);
}

Result<void> PostgresClassic::drop_parts(const InstanceId& instance, std::string_view session,
                                         std::string_view mark) {
  Result<Rows> dropped = database_.write(
      "DELETE FROM classic_part_sets WHERE instance = $1 AND session = $2 AND mark = $3",
      instance.text(), session, mark);
  if (!dropped) return dropped.failure();
  return {};
}

Result<std::size_t> PostgresClassic::note_horizons(const UserKey& user,
                                                   std::span<const ClassicHorizon> horizons,
                                                   SystemTime now) {
  const HorizonArrays arrays(horizons);
  Result<Rows> news =
      database_.read("SELECT has_classic_news($1, $2, $3, $4, $5, $6, $7)", user.application,
                     type_number(user.identity), user.identity.endpoint, arrays.conversations,
                     arrays.types, arrays.endpoints, arrays.seqs);
  if (!news) return news.failure();
  if (!news->front().flag(0)) return 0;
  Result<Rows> noted =
      database_.write("SELECT note_classic_horizons($1, $2, $3, $4, $5, $6, $7, $8)",
                      user.application, type_number(user.identity), user.identity.endpoint,
                      arrays.conversations, arrays.types, arrays.endpoints, arrays.seqs, now);
  if (!noted) return noted.failure();
  return static_cast<std::size_t>(noted->front().integer(0));
}

Result<ClassicLogPage> PostgresClassic::read_log(const UserKey& user, std::int64_t position,
                                                 std::size_t limit) {
  Result<Rows> rows = database_.read("SELECT * FROM read_classic_log($1, $2, $3, $4, $5)",
                                     user.application, type_number(user.identity),
                                     user.identity.endpoint, position, sql_limit(limit));
  if (!rows) return rows.failure();
  ClassicLogPage page;
  page.before = rows->front().integer(0);
  for (std::size_t i = 1; i < rows->size(); ++i) {
    const Row row = (*rows)[i];
    page.receipts.push_back({row.integer(1), row.integer(2), row.bytes(3), read_identity(row, 4),
                             row.integer(6), row.integer(7)});
  }
  return page;
}

Result<std::int64_t> PostgresClassic::position_of(const UserKey& user, std::int64_t offset) {
  Result<Rows> rows = database_.read("SELECT classic_position($1, $2, $3, $4)", user.application,
                                     type_number(user.identity), user.identity.endpoint, offset);
  if (!rows) return rows.failure();
  return rows->front().integer(0);
}

Result<std::size_t> PostgresClassic::remove_old(SystemTime before, SystemTime idle_before,
                                                std::size_t limit) {
  Result<Rows> removed =
      database_.write("SELECT remove_old_classic($1, $2, $3)", microseconds(before),
                      microseconds(idle_before), sql_limit(limit));
  if (!removed) return removed.failure();
  return static_cast<std::size_t>(removed->front().integer(0));
}

}  // namespace countersign::storage::postgres

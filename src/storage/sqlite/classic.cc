#include "storage/sqlite/classic.h"

#include "storage/message_ids.h"
#include "storage/sqlite/inboxes.h"
#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

/// The head of a receipt log.
struct LogHead {
  std::int64_t top = 0;
  std::int64_t floor = 0;
};

Result<std::optional<LogHead>> find_log(Connection& connection, std::int64_t inbox) {
  return find_row(
      connection, "SELECT top, floor FROM classic_logs WHERE inbox = ?",
      [](const Statement& row) {
        return LogHead{row.integer(0), row.integer(1)};
      },
      inbox);
}

Result<std::int64_t> find_told(Connection& connection, std::int64_t inbox,
                               const ClassicHorizon& horizon) {
  Result<std::optional<std::int64_t>> seq =
      find_row(connection,
               "SELECT seq FROM classic_horizons WHERE inbox = ? AND conversation = ? AND type = ? "
               "AND endpoint = ?",
               first_integer, inbox, horizon.conversation, type_number(horizon.member),
               horizon.member.endpoint);
  if (!seq) return seq.failure();
  return seq->value_or(0);
}

/// Whether note_horizons() would write something.
Result<bool> has_news(Connection& connection, const UserKey& user,
                      std::span<const ClassicHorizon> horizons) {
  Result<std::optional<Inbox>> inbox = find_inbox(connection, user);
  if (!inbox) return inbox.failure();
  if (!*inbox) return false;
  Result<std::optional<LogHead>> log = find_log(connection, (*inbox)->id);
  if (!log) return log.failure();
  if (!*log) return true;
  for (const ClassicHorizon& horizon : horizons) {
    Result<std::int64_t> told = find_told(connection, (*inbox)->id, horizon);
    if (!told) return told.failure();
    if (*told < horizon.seq) return true;
  }
  return false;
}

Result<void> append_receipt(Connection& connection, const Inbox& inbox, std::int64_t number,
                            const ClassicHorizon& horizon, std::int64_t told, SystemTime now) {
  Result<std::int64_t> added = connection.run(
      "INSERT INTO classic_receipts (inbox, number, \"offset\", conversation, type, endpoint, "
      "after_seq, seq, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      inbox.id, number, inbox.top, horizon.conversation, type_number(horizon.member),
      horizon.member.endpoint, told, horizon.seq, now);
  if (!added) return added.failure();
  return {};
}

Result<std::size_t> append_receipts(Connection& connection, const UserKey& user,
                                    std::span<const ClassicHorizon> horizons, SystemTime now) {
  Result<std::optional<Inbox>> inbox = find_inbox(connection, user);
  if (!inbox) return inbox.failure();
  if (!*inbox) return 0;
  const std::int64_t id = (*inbox)->id;
  Result<std::optional<LogHead>> log = find_log(connection, id);
  if (!log) return log.failure();
  const std::int64_t before = *log ? (*log)->top : 0;
  std::int64_t top = before;
  for (const ClassicHorizon& horizon : horizons) {
    Result<std::int64_t> told = find_told(connection, id, horizon);
    if (!told) return told.failure();
    if (*told >= horizon.seq) continue;
    Result<std::int64_t> noted = connection.run(
        "INSERT INTO classic_horizons (inbox, conversation, type, endpoint, seq) "
        "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq",
        id, horizon.conversation, type_number(horizon.member), horizon.member.endpoint,
        horizon.seq);
    if (!noted) return noted.failure();
    if (!*log) continue;
    Result<void> added = append_receipt(connection, **inbox, ++top, horizon, *told, now);
    if (!added) return added.failure();
  }
  Result<std::int64_t> moved = connection.run(
      "INSERT INTO classic_logs (inbox, top) VALUES (?, ?) ON CONFLICT DO UPDATE SET top = "
      "excluded.top",
      id, top);
  if (!moved) return moved.failure();
  return static_cast<std::size_t>(top - before);
}

ClassicReceipt read_receipt(const Statement& row) {
  ClassicReceipt receipt;
  receipt.number = row.integer(0);
  receipt.position = row.integer(1);
  receipt.conversation = row.bytes(2);
  receipt.member = read_identity(row, 3);
  receipt.after = row.integer(5);
  receipt.seq = row.integer(6);
  return receipt;
}

struct PartSet {
  std::int64_t number = 0;
  std::int64_t count = 0;
  std::int64_t bytes = 0;
};

Result<std::optional<PartSet>> find_set(Connection& connection, const ClassicPart& part) {
  return find_row(
      connection,
      "SELECT number, count, bytes FROM classic_part_sets WHERE instance = ? AND session = ? "
      "AND mark = ?",
      [](const Statement& row) {
        return PartSet{row.integer(0), row.integer(1), row.integer(2)};
      },
      part.instance.text(), part.session, part.mark);
}

/// The set of the part, made if there is none.
Result<PartSet> open_set(Connection& connection, const ClassicPart& part,
                         const ClassicPartLimits& limits) {
  Result<std::optional<PartSet>> found = find_set(connection, part);
  if (!found) return found.failure();
  if (*found) {
    if ((*found)->count != part.count) {
      return fail(ErrorCode::kIdempotencyConflict, "the set has another count");
    }
    return **found;
  }
  Result<std::int64_t> removed =
      connection.run("DELETE FROM classic_part_sets WHERE instance = ? AND time < ?",
                     part.instance.text(), part.time - limits.idle);
  if (!removed) return removed.failure();
  Result<std::optional<std::int64_t>> sets =
      find_row(connection, "SELECT count(*) FROM classic_part_sets WHERE instance = ?",
               first_integer, part.instance.text());
  if (!sets) return sets.failure();
  if (sets->value_or(0) >= sql_limit(limits.sets_of_instance)) {
    return fail(ErrorCode::kLimitExceeded, "too many messages in parts");
  }
  Result<std::optional<std::int64_t>> made =
      find_row(connection,
               "INSERT INTO classic_part_sets (instance, session, mark, count, time) "
               "VALUES (?, ?, ?, ?, ?) RETURNING number",
               first_integer, part.instance.text(), part.session, part.mark, part.count, part.time);
  if (!made) return made.failure();
  return PartSet{made->value_or(0), part.count, 0};
}

Result<void> keep_part(Connection& connection, const PartSet& set, const ClassicPart& part,
                       const ClassicPartLimits& limits) {
  Result<std::optional<std::string>> present =
      find_row(connection, "SELECT payload FROM classic_parts WHERE part_set = ? AND place = ?",
               first_text, set.number, part.index);
  if (!present) return present.failure();
  if (*present) {
    if (**present == part.payload) return {};
    return fail(ErrorCode::kIdempotencyConflict, "another part is in its place");
  }
  const std::int64_t bytes = set.bytes + static_cast<std::int64_t>(part.payload.size());
  if (bytes > sql_limit(limits.bytes_of_set)) {
    return fail(ErrorCode::kLimitExceeded, "a message in parts is too large");
  }
  Result<std::int64_t> kept =
      connection.run("INSERT INTO classic_parts (part_set, place, payload) VALUES (?, ?, ?)",
                     set.number, part.index, part.payload);
  if (kept) {
    kept = connection.run("UPDATE classic_part_sets SET bytes = ?, time = ? WHERE number = ?",
                          bytes, part.time, set.number);
  }
  if (!kept) return kept.failure();
  return {};
}

Result<std::size_t> remove_receipts(Connection& connection, SystemTime before, std::size_t limit) {
  // Numbers grow with time: the front of each log is what is oldest.
  using Row = std::pair<std::int64_t, std::int64_t>;
  Result<std::vector<Row>> old = list_rows(
      connection,
      "SELECT inbox, number FROM classic_receipts WHERE time < ? ORDER BY time, inbox, number "
      "LIMIT ?",
      [](const Statement& row) { return Row(row.integer(0), row.integer(1)); }, before,
      sql_limit(limit));
  if (!old) return old.failure();
  for (const auto& [inbox, number] : *old) {
    Result<std::int64_t> removed = connection.run(
        "DELETE FROM classic_receipts WHERE inbox = ? AND number <= ?", inbox, number);
    if (removed) {
      removed = connection.run("UPDATE classic_logs SET floor = max(floor, ?) WHERE inbox = ?",
                               number, inbox);
    }
    if (!removed) return removed.failure();
  }
  return old->size();
}

}  // namespace

Result<void> SqliteClassic::put_transport(const ClassicTransport& transport) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<void> {
    Result<std::int64_t> again =
        connection.run("UPDATE classic_transports SET time = ? WHERE application = ? AND id = ?",
                       transport.time, transport.application, transport.id);
    if (!again) return again.failure();
    if (*again > 0) return {};
    Result<std::optional<std::int64_t>> made = find_row(
        connection,
        "INSERT INTO classic_transports (application, id, conversation, time) "
        "VALUES (?, ?, ?, ?) RETURNING number",
        first_integer, transport.application, transport.id, transport.conversation, transport.time);
    if (!made) return made.failure();
    for (const Identity& member : transport.members) {
      Result<std::int64_t> added = connection.run(
          "INSERT OR IGNORE INTO classic_members (transport, type, endpoint) VALUES (?, ?, ?)",
          made->value_or(0), type_number(member), member.endpoint);
      if (!added) return added.failure();
    }
    return {};
  });
}

Result<std::optional<ClassicTransport>> SqliteClassic::find_transport(std::string_view application,
                                                                      std::string_view id) {
  using Found = std::optional<ClassicTransport>;
  return database_.read([&](Connection& connection) -> Result<Found> {
    ClassicTransport transport;
    transport.application = application;
    transport.id = id;
    Result<std::optional<std::int64_t>> number = find_row(
        connection,
        "SELECT number, conversation, time FROM classic_transports "
        "WHERE application = ? AND id = ?",
        [&transport](const Statement& row) {
          transport.conversation = row.bytes(1);
          transport.time = row.time(2);
          return row.integer(0);
        },
        application, id);
    if (!number) return number.failure();
    if (!*number) return Found();
    Result<std::vector<Identity>> members = list_rows(
        connection, "SELECT type, endpoint FROM classic_members WHERE transport = ?",
        [](const Statement& row) { return read_identity(row, 0); }, **number);
    if (!members) return members.failure();
    transport.members = sorted_identities(*std::move(members));
    return Found(std::move(transport));
  });
}

Result<std::vector<bool>> SqliteClassic::have_inboxes(std::span<const UserKey> users) {
  return database_.read([&](Connection& connection) -> Result<std::vector<bool>> {
    std::vector<bool> have;
    for (const UserKey& user : users) {
      Result<std::optional<Inbox>> inbox = find_inbox(connection, user);
      if (!inbox) return inbox.failure();
      have.push_back(inbox->has_value() && !(*inbox)->erased);
    }
    return have;
  });
}

Result<std::optional<std::string>> SqliteClassic::add_part(const ClassicPart& part,
                                                           const ClassicPartLimits& limits) {
  using Whole = std::optional<std::string>;
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<Whole> {
    Result<PartSet> set = open_set(connection, part, limits);
    if (!set) return set.failure();
    if (Result<void> kept = keep_part(connection, *set, part, limits); !kept) return kept.failure();
    Result<std::vector<std::string>> parts =
        list_rows(connection, "SELECT payload FROM classic_parts WHERE part_set = ? ORDER BY place",
                  first_text, set->number);
    if (!parts) return parts.failure();
    if (parts->size() < part.count) return Whole();
    std::string whole;
    for (const std::string& payload : *parts) whole += payload;
    return Whole(std::move(whole));
  });
}

Result<void> SqliteClassic::drop_parts(const InstanceId& instance, std::string_view session,
                                       std::string_view mark) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<void> {
    Result<std::int64_t> dropped = connection.run(
        "DELETE FROM classic_part_sets WHERE instance = ? AND session = ? AND mark = ?",
        instance.text(), session, mark);
    if (!dropped) return dropped.failure();
    return {};
  });
}

Result<std::size_t> SqliteClassic::note_horizons(const UserKey& user,
                                                 std::span<const ClassicHorizon> horizons,
                                                 SystemTime now) {
  Result<bool> news =
      database_.read([&](Connection& connection) { return has_news(connection, user, horizons); });
  if (!news) return news.failure();
  if (!*news) return 0;
  return database_.write(WriteKind::kGrow, [&](Connection& connection) {
    return append_receipts(connection, user, horizons, now);
  });
}

Result<ClassicLogPage> SqliteClassic::read_log(const UserKey& user, std::int64_t position,
                                               std::size_t limit) {
  return database_.read([&](Connection& connection) -> Result<ClassicLogPage> {
    ClassicLogPage page;
    Result<std::optional<Inbox>> inbox = find_inbox(connection, user);
    if (!inbox) return inbox.failure();
    if (!*inbox) return page;
    const std::int64_t id = (*inbox)->id;
    Result<std::optional<LogHead>> log = find_log(connection, id);
    if (!log) return log.failure();
    if (!*log) return page;
    Result<std::optional<std::int64_t>> last =
        find_row(connection,
                 "SELECT number FROM classic_receipts WHERE inbox = ? AND \"offset\" + number <= ? "
                 "ORDER BY \"offset\" + number DESC LIMIT 1",
                 first_integer, id, position);
    if (!last) return last.failure();
    page.before = last->value_or((*log)->floor);
    Result<std::vector<ClassicReceipt>> receipts = list_rows(
        connection,
        "SELECT number, \"offset\" + number, conversation, type, endpoint, after_seq, seq "
        "FROM classic_receipts WHERE inbox = ? AND number > ? ORDER BY number LIMIT ?",
        read_receipt, id, page.before, sql_limit(limit));
    if (!receipts) return receipts.failure();
    page.receipts = *std::move(receipts);
    return page;
  });
}

Result<std::int64_t> SqliteClassic::position_of(const UserKey& user, std::int64_t offset) {
  return database_.read([&](Connection& connection) -> Result<std::int64_t> {
    Result<std::optional<Inbox>> inbox = find_inbox(connection, user);
    if (!inbox) return inbox.failure();
    if (!*inbox) return offset;
    Result<std::optional<LogHead>> log = find_log(connection, (*inbox)->id);
    if (!log) return log.failure();
    if (!*log) return offset;
    Result<std::optional<std::int64_t>> last =
        find_row(connection,
                 "SELECT number FROM classic_receipts WHERE inbox = ? AND \"offset\" < ? "
                 "ORDER BY number DESC LIMIT 1",
                 first_integer, (*inbox)->id, offset);
    if (!last) return last.failure();
    return offset + last->value_or((*log)->floor);
  });
}

Result<std::size_t> SqliteClassic::remove_old(SystemTime before, SystemTime idle_before,
                                              std::size_t limit) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<std::size_t> {
    Result<std::size_t> receipts = remove_receipts(connection, before, limit);
    if (!receipts) return receipts;
    std::size_t count = *receipts;
    Result<std::int64_t> removed = connection.run(
        "DELETE FROM classic_transports WHERE number IN (SELECT number FROM classic_transports "
        "WHERE time < ? ORDER BY time LIMIT ?)",
        before, sql_limit(limit - std::min(count, limit)));
    if (!removed) return removed.failure();
    count += static_cast<std::size_t>(*removed);
    removed = connection.run(
        "DELETE FROM classic_part_sets WHERE number IN (SELECT number FROM classic_part_sets "
        "WHERE time < ? ORDER BY time LIMIT ?)",
        idle_before, sql_limit(limit - std::min(count, limit)));
    if (!removed) return removed.failure();
    return count + static_cast<std::size_t>(*removed);
  });
}

}  // namespace countersign::storage

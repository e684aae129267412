#include "storage/sqlite/devices.h"

#include <algorithm>
#include <string>
#include <utility>

#include "storage/message_ids.h"
#include "storage/sqlite/inboxes.h"
#include "storage/sqlite/rows.h"
#include "storage/sqlite/stored_messages.h"

namespace countersign::storage {
namespace {

/// How old a device's note of having been seen may get before it is written anew: it is for
/// retention, which counts in days, and every write of it would move an index.
constexpr std::chrono::hours kSeenGrain(1);

struct Device {
  std::int64_t cursor = 0;
  std::string epoch;
  SystemTime seen;
};

Result<std::optional<Device>> find_device(Connection& connection, std::int64_t inbox,
                                          std::string_view device) {
  return find_row(
      connection, "SELECT cursor, epoch, seen FROM message_devices WHERE inbox = ? AND device = ?",
      [](const Statement& row) {
        return Device{row.integer(0), row.bytes(1), row.time(2)};
      },
      inbox, device);
}

Result<void> write_device(Connection& connection, std::int64_t inbox, std::string_view name,
                          const Device& device) {
  Result<std::int64_t> written = connection.run(
      "INSERT INTO message_devices (inbox, device, cursor, epoch, seen) VALUES (?, ?, ?, ?, ?) "
      "ON CONFLICT DO UPDATE SET cursor = excluded.cursor, epoch = excluded.epoch, "
      "seen = max(seen, excluded.seen)",
      inbox, name, device.cursor, device.epoch, device.seen);
  if (!written) return written.failure();
  return {};
}

/// Removes the devices longest away while there are more than `max_devices`, but not `keep`.
Result<void> drop_devices(Connection& connection, std::int64_t inbox, std::string_view keep,
                          std::size_t max_devices) {
  Result<std::int64_t> dropped = connection.run(
      "DELETE FROM message_devices WHERE inbox = ?1 AND device IN (SELECT device "
      "FROM message_devices WHERE inbox = ?1 AND device <> ?2 ORDER BY seen DESC, device "
      "LIMIT -1 OFFSET ?3)",
      inbox, keep, sql_limit(std::max<std::size_t>(max_devices, 1) - 1));
  if (!dropped) return dropped.failure();
  return {};
}

/// What is wrong with the position a device says it stands at; kNone if nothing is.
Result<Attached::Reason> judge(Connection& connection, const Inbox& inbox, const Position& resume,
                               std::string_view epoch, const MessageMutants& mutants) {
  if (mutants.keep_epoch && resume.offset <= inbox.top) return Attached::Reason::kNone;
  if (resume.epoch != epoch || resume.offset > inbox.top || resume.offset < 0) {
    return Attached::Reason::kEpoch;
  }
  if (resume.offset < inbox.floor) return Attached::Reason::kFloor;
  Result<std::optional<std::string>> chain = find_chain(connection, inbox.id, resume.offset);
  if (!chain) return chain.failure();
  return *chain == resume.chain ? Attached::Reason::kNone : Attached::Reason::kEpoch;
}

/// Where a device begins that the store does not know: no later than any other of the user.
Result<std::int64_t> first_cursor(Connection& connection, const Inbox& inbox) {
  Result<std::optional<std::int64_t>> lowest =
      find_row(connection, "SELECT coalesce(min(cursor), 0) FROM message_devices WHERE inbox = ?",
               first_integer, inbox.id);
  if (!lowest) return lowest.failure();
  return lowest->value_or(0);
}

Entry read_entry(const Statement& row) {
  Entry entry;
  entry.offset = row.integer(0);
  entry.chain = row.bytes(1);
  entry.kind = static_cast<EntryKind>(row.integer(2));
  if (!row.is_null(3)) {
    entry.failed = static_cast<ErrorCode>(row.integer(3));
    entry.failed_user = read_identity(row, 4);
  }
  entry.message = read_message(row, 6);
  if (entry.message.gone && entry.kind != EntryKind::kFailed) entry.kind = EntryKind::kGone;
  // What the sender wrote stays in the store for others; for this user it is not there.
  if (entry.kind == EntryKind::kGone) {
    entry.message.body.clear();
    entry.message.gone = true;
  }
  return entry;
}

}  // namespace

Result<std::optional<Attached>> attach_device(Connection& connection, const Attach& attach,
                                              bool may_write, const MessageMutants& mutants) {
  constexpr std::optional<Attached> kHasToWrite;
  Result<std::string> epoch = read_epoch(connection);
  if (!epoch) return epoch.failure();
  Result<std::optional<Inbox>> found = find_inbox(connection, attach.user);
  if (!found) return found.failure();
  const bool known_inbox = *found && (*found)->signed_in;
  if (!known_inbox) {
    if (!may_write) return kHasToWrite;
    Result<Inbox> made = find_or_make_inbox(connection, attach.user, attach.now);
    if (!made) return made.failure();
    Result<std::int64_t> marked =
        connection.run("UPDATE inboxes SET signed_in = 1 WHERE id = ?", made->id);
    if (!marked) return marked.failure();
    *found = *std::move(made);
  }
  const Inbox& inbox = **found;
  Result<std::optional<Device>> known = find_device(connection, inbox.id, attach.device);
  if (!known) return known.failure();

  Attached::Reason reason = Attached::Reason::kUnknownDevice;
  if (attach.resume) {
    Result<Attached::Reason> judged = judge(connection, inbox, *attach.resume, *epoch, mutants);
    if (!judged) return judged.failure();
    reason = *judged;
  } else if (*known) {
    reason = (*known)->epoch != *epoch        ? Attached::Reason::kEpoch
             : (*known)->cursor < inbox.floor ? Attached::Reason::kFloor
                                              : Attached::Reason::kNone;
  }
  const bool resumed = attach.resume && reason == Attached::Reason::kNone;

  Device device;
  if (*known) {
    device = **known;
  } else {
    Result<std::int64_t> first = first_cursor(connection, inbox);
    if (!first) return first.failure();
    device.cursor = *first;
  }
  device.cursor = std::clamp(device.cursor, inbox.floor, inbox.top);
  if (!*known || device.cursor != (*known)->cursor || (*known)->epoch != *epoch ||
      attach.now - (*known)->seen > kSeenGrain) {
    if (!may_write) return kHasToWrite;
    device.epoch = *epoch;
    device.seen = attach.now;
    Result<void> written = write_device(connection, inbox.id, attach.device, device);
    if (written && !*known) {
      written = drop_devices(connection, inbox.id, attach.device, attach.max_devices);
    }
    if (!written) return written.failure();
  }

  Attached attached;
  attached.epoch = *std::move(epoch);
  attached.floor = inbox.floor;
  attached.top = inbox.top;
  attached.top_chain = inbox.chain;
  attached.cursor = device.cursor;
  attached.from = resumed ? attach.resume->offset : device.cursor;
  attached.reason = reason;
  Result<std::optional<std::string>> chain = find_chain(connection, inbox.id, attached.from);
  if (!chain) return chain.failure();
  attached.from_chain = chain->value_or(first_chain());
  return std::optional<Attached>(std::move(attached));
}

Result<InboxPage> read_page(Connection& connection, const UserKey& user, std::int64_t after,
                            std::size_t max_entries, std::size_t max_bytes,
                            const MessageMutants& mutants) {
  InboxPage page;
  Result<std::string> epoch = read_epoch(connection);
  if (!epoch) return epoch.failure();
  page.epoch = *std::move(epoch);
  Result<std::optional<Inbox>> inbox = find_inbox(connection, user);
  if (!inbox) return inbox.failure();
  if (!*inbox) return page;
  page.floor = (*inbox)->floor;
  page.top = (*inbox)->top;
  if (mutants.read_in_two_steps && mutants.between_steps) mutants.between_steps();
  if (after >= page.top || after < page.floor) return page;

  Result<Statement> rows = connection.prepare(
      "SELECT e.\"offset\", e.chain, e.kind, e.failed, f.type, "
      "f.endpoint, " COUNTERSIGN_MESSAGE_COLUMNS
      " FROM inbox_entries e JOIN messages m ON m.id = e.message " COUNTERSIGN_MESSAGE_JOINS
      "LEFT JOIN inboxes f ON f.id = e.failed_inbox "
      "WHERE e.inbox = ? AND e.\"offset\" > ? ORDER BY e.\"offset\" LIMIT ?",
      (*inbox)->id, after, sql_limit(max_entries));
  if (!rows) return rows.failure();
  std::size_t bytes = 0;
  for (;;) {
    Result<bool> row = rows->step();
    if (!row) return row.failure();
    if (!*row) return page;
    Entry entry = read_entry(*rows);
    bytes += entry.message.body.size();
    if (bytes > max_bytes && !page.entries.empty()) return page;
    page.entries.push_back(std::move(entry));
  }
}

}  // namespace countersign::storage

#include "storage/sqlite/fan_out.h"

#include <algorithm>
#include <string>
#include <utility>

#include "storage/sqlite/conversations.h"
#include "storage/sqlite/rows.h"
#include "storage/sqlite/stored_messages.h"

namespace countersign::storage {
namespace {

struct Job {
  std::int64_t id = 0;
  std::int64_t conversation = 0;
  std::int64_t message = 0;
  std::int64_t after_inbox = 0;
  std::int64_t sender = 0;
  std::string message_id;
  std::string application;
  Message content;
};

Result<std::optional<Job>> find_oldest_job(Connection& connection) {
  return find_row(
      connection,
      "SELECT j.id, j.conversation, j.message, j.after_inbox, m.sender, m.message_id, "
      "c.application, " COUNTERSIGN_MESSAGE_COLUMNS
      " FROM fan_out_jobs j JOIN messages m ON m.id = j.message " COUNTERSIGN_MESSAGE_JOINS
      "ORDER BY j.id LIMIT 1",
      [](const Statement& row) {
        Job job;
        job.id = row.integer(0);
        job.conversation = row.integer(1);
        job.message = row.integer(2);
        job.after_inbox = row.integer(3);
        job.sender = row.integer(4);
        job.message_id = row.bytes(5);
        job.application = row.bytes(6);
        job.content = read_message(row, 7);
        return job;
      });
}

Result<std::vector<Recipient>> list_next(Connection& connection, const Job& job,
                                         std::size_t limit) {
  return list_rows(connection,
                   "SELECT " COUNTERSIGN_RECIPIENT_COLUMNS
                   "FROM conversation_members p JOIN messages m ON m.id = ? "
                   "JOIN inboxes i ON i.id = p.inbox "
                   "LEFT JOIN sender_shares s ON s.inbox = i.id AND s.sender = m.sender "
                   "WHERE p.conversation = ? AND p.inbox > ? AND p.fanned < m.seq "
                   "AND i.erased = 0 "
                   "AND " COUNTERSIGN_READABLE
                   "AND NOT EXISTS (SELECT 1 FROM fan_out_left_out l "
                   "WHERE l.message = m.id AND l.inbox = p.inbox) "
                   "ORDER BY p.inbox LIMIT ?",
                   read_recipient, type_number(job.content.sender), job.content.sender.endpoint,
                   job.message, job.conversation, job.after_inbox, sql_limit(limit));
}

/// What an entry of the message says to somebody who did not send it.
EntryKind kind_for_others(MessageKind kind, bool blocked) {
  if (blocked) return EntryKind::kGone;
  return kind == MessageKind::kGroup ? EntryKind::kGroup : EntryKind::kMessage;
}

Result<void> finish_job(Connection& connection, const Job& job) {
  Result<std::int64_t> done = connection.run("DELETE FROM fan_out_jobs WHERE id = ?", job.id);
  if (!done) return done.failure();
  done = connection.run("DELETE FROM fan_out_left_out WHERE message = ?", job.message);
  if (!done) return done.failure();
  done =
      connection.run("UPDATE conversations SET jobs = jobs - 1 WHERE number = ?", job.conversation);
  if (!done) return done.failure();
  return change_uses(connection, job.message, -1);
}

/// A message that a job still owes to somebody.
struct Owed {
  NewEntry entry;
  std::string message_id;
  std::int64_t sender = 0;
};

}  // namespace

Result<bool> has_job(Connection& connection) {
  Result<std::optional<std::int64_t>> job =
      find_row(connection, "SELECT id FROM fan_out_jobs LIMIT 1", first_integer);
  if (!job) return job.failure();
  return job->has_value();
}

Result<void> add_job(Connection& connection, std::int64_t conversation, std::int64_t message,
                     const std::vector<std::int64_t>& left_out) {
  Result<std::optional<std::int64_t>> jobs = find_row(
      connection, "UPDATE conversations SET jobs = jobs + 1 WHERE number = ? RETURNING jobs",
      first_integer, conversation);
  if (!jobs) return jobs.failure();
  if (jobs->value_or(0) > kMaxJobs) {
    return fail(ErrorCode::kOverloaded, "too many messages of the conversation wait for fan-out");
  }
  Result<std::int64_t> inserted = connection.run(
      "INSERT INTO fan_out_jobs (conversation, message, after_inbox) VALUES (?, ?, 0)",
      conversation, message);
  if (!inserted) return inserted.failure();
  for (const std::int64_t inbox : left_out) {
    inserted = connection.run("INSERT INTO fan_out_left_out (message, inbox) VALUES (?, ?)",
                              message, inbox);
    if (!inserted) return inserted.failure();
  }
  return {};
}

Result<void> catch_up(Connection& connection, std::int64_t conversation, std::int64_t seq,
                      Inbox& inbox) {
  Result<std::vector<Owed>> all = list_rows(
      connection,
      "SELECT m.id, m.message_id, m.kind, m.time, m.sender, length(CAST(m.body AS BLOB)), m.gone, "
      "EXISTS (SELECT 1 FROM blocks b JOIN inboxes u ON b.type = u.type "
      "AND b.endpoint = u.endpoint WHERE u.id = m.sender AND b.inbox = p.inbox) "
      "FROM fan_out_jobs j JOIN messages m ON m.id = j.message "
      "JOIN conversation_members p ON p.conversation = j.conversation AND p.inbox = ? "
      "WHERE j.conversation = ? AND j.after_inbox < p.inbox AND p.fanned < m.seq "
      "AND " COUNTERSIGN_READABLE
      "AND NOT EXISTS (SELECT 1 FROM fan_out_left_out l "
      "WHERE l.message = m.id AND l.inbox = p.inbox) ORDER BY j.id",
      [](const Statement& row) {
        Owed owed;
        owed.message_id = row.bytes(1);
        owed.sender = row.integer(4);
        owed.entry.message = row.integer(0);
        owed.entry.time = row.time(3);
        const bool gone = row.flag(6);
        owed.entry.kind = kind_for_others(static_cast<MessageKind>(row.integer(2)), row.flag(7));
        owed.entry.size = gone || row.flag(7) ? 0 : static_cast<std::size_t>(row.integer(5));
        return owed;
      },
      inbox.id, conversation);
  if (!all) return all.failure();
  for (Owed& owed : *all) {
    owed.entry.message_id = owed.message_id;
    Result<void> written = append_entry(connection, inbox, owed.entry, owed.sender);
    if (written) written = change_uses(connection, owed.entry.message, 1);
    if (!written) return written;
  }
  Result<std::int64_t> noted = connection.run(
      "UPDATE conversation_members SET fanned = ? WHERE conversation = ? AND inbox = ?", seq,
      conversation, inbox.id);
  if (!noted) return noted.failure();
  return {};
}

Result<std::optional<FanOut>> work_on_job(Connection& connection, std::size_t limit) {
  Result<std::optional<Job>> found = find_oldest_job(connection);
  if (!found) return found.failure();
  if (!*found) return std::optional<FanOut>();
  const Job& job = **found;
  limit = std::max<std::size_t>(limit, 1);
  Result<std::vector<Recipient>> recipients = list_next(connection, job, limit);
  if (!recipients) return recipients.failure();

  FanOut fan_out;
  fan_out.application = job.application;
  fan_out.message = job.content;
  for (Recipient& recipient : *recipients) {
    NewEntry entry;
    entry.kind = kind_for_others(job.content.kind, recipient.blocks_sender);
    entry.message = job.message;
    entry.message_id = job.message_id;
    entry.size = recipient.blocks_sender ? 0 : job.content.body.size();
    entry.time = job.content.time;
    Result<void> written = append_entry(connection, recipient.inbox, entry, job.sender);
    if (!written) return written.failure();
    fan_out.deliveries.push_back(Delivery{recipient.identity, recipient.inbox.top,
                                          recipient.inbox.chain,
                                          job.content.gone ? EntryKind::kGone : entry.kind});
  }
  Result<void> noted = change_uses(connection, job.message, sql_limit(recipients->size()));
  if (noted && recipients->size() < limit) {
    noted = finish_job(connection, job);
  } else if (noted) {
    Result<std::int64_t> moved =
        connection.run("UPDATE fan_out_jobs SET after_inbox = ? WHERE id = ?",
                       recipients->back().inbox.id, job.id);
    if (!moved) return moved.failure();
  }
  if (!noted) return noted.failure();
  return std::optional<FanOut>(std::move(fan_out));
}

}  // namespace countersign::storage

#include "storage/sqlite/messages.h"

#include <memory>
#include <utility>

#include "storage/sqlite/devices.h"
#include "storage/sqlite/fan_out.h"
#include "storage/sqlite/history.h"
#include "storage/sqlite/inboxes.h"
#include "storage/sqlite/message_writing.h"
#include "storage/sqlite/privacy.h"
#include "storage/sqlite/retention.h"
#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

/// A call that waits for its commit. Shared, because the writer's closures are copyable.
template <class Request, class Answer>
struct Pending {
  Request request;
  std::function<void(Result<Answer>)> done;
  Answer answer{};
  bool answered = false;  ///< too early, by a mutant
};

/// What a request takes up while it waits, about.
std::size_t waiting_bytes(const Send& send) {
  return sizeof(Send) + send.body.size() + send.to.size() * sizeof(Identity);
}

}  // namespace

template <class Work>
auto SqliteMessages::read(Work&& work) -> std::invoke_result_t<Work&, Connection&> {
  return database_.read([&](Connection& connection) -> std::invoke_result_t<Work&, Connection&> {
    Result<std::int64_t> begun = connection.run("BEGIN");
    if (!begun) return begun.failure();
    auto outcome = work(connection);
    Result<std::int64_t> ended = connection.run("COMMIT");
    if (!ended) return ended.failure();
    return outcome;
  });
}

void SqliteMessages::accept(Send send, std::function<void(Result<Sent>)> done) {
  using Call = Pending<Send, Sent>;
  const auto call = std::make_shared<Call>(Call{std::move(send), std::move(done)});
  const auto work = [this, call](Connection& connection) -> Result<void> {
    call->answer = Sent();
    Result<void> accepted =
        accept_message(connection, call->request, mutants_, callbacks_.kept(), call->answer);
    if (mutants_.acknowledge_before_commit && accepted && !call->answered) {
      call->answered = true;
      call->done(call->answer);
    }
    return accepted;
  };
  const auto finish = [call](Result<void> outcome) {
    if (call->answered) return;
    if (outcome.ok() || (outcome.code() == kSendRefused && call->answer.refused)) {
      call->done(std::move(call->answer));
    } else {
      call->done(outcome.failure());
    }
  };
  database_.writer().submit(WriteKind::kGrow, work, finish, waiting_bytes(call->request));
}

void SqliteMessages::acknowledge(Ack ack, std::function<void(Result<Acked>)> done) {
  using Call = Pending<Ack, Acked>;
  const auto call = std::make_shared<Call>(Call{std::move(ack), std::move(done)});
  const auto work = [this, call](Connection& connection) -> Result<void> {
    Result<Acked> acked = acknowledge_entries(connection, call->request, callbacks_.kept());
    if (!acked) return acked.failure();
    call->answer = *std::move(acked);
    return {};
  };
  const auto finish = [call](Result<void> outcome) {
    if (outcome.ok()) {
      call->done(std::move(call->answer));
    } else {
      call->done(outcome.failure());
    }
  };
  // It keeps nothing new, so it goes on while the disk is full.
  database_.writer().submit(WriteKind::kRelief, work, finish);
}

Result<Attached> SqliteMessages::attach(const Attach& attach) {
  // A device that comes back soon changes nothing: reading answers it, even all of them at once.
  Result<std::optional<Attached>> attached = read(
      [&](Connection& connection) { return attach_device(connection, attach, false, mutants_); });
  if (attached && !*attached) {
    attached = database_.write(WriteKind::kGrow, [&](Connection& connection) {
      return attach_device(connection, attach, true, mutants_);
    });
  }
  if (!attached) return attached.failure();
  return **std::move(attached);
}

Result<InboxPage> SqliteMessages::read_inbox(const UserKey& user, std::int64_t after,
                                             std::size_t max_entries, std::size_t max_bytes) {
  const auto work = [&](Connection& connection) {
    return read_page(connection, user, after, max_entries, max_bytes, mutants_);
  };
  return mutants_.read_in_two_steps ? database_.read(work) : read(work);
}

Result<std::vector<std::int64_t>> SqliteMessages::tops(std::span<const UserKey> users) {
  return read([&](Connection& connection) -> Result<std::vector<std::int64_t>> {
    std::vector<std::int64_t> tops;
    tops.reserve(users.size());
    for (const UserKey& user : users) {
      Result<std::optional<Inbox>> inbox = find_inbox(connection, user);
      if (!inbox) return inbox.failure();
      tops.push_back(*inbox ? (*inbox)->top : 0);
    }
    return tops;
  });
}

Result<std::string> SqliteMessages::epoch() { return database_.read(read_epoch); }

Result<void> SqliteMessages::renew_epoch(std::string_view epoch) {
  if (mutants_.keep_epoch) return {};
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<void> {
    Result<std::int64_t> renewed =
        connection.run("UPDATE meta SET value = ? WHERE name = 'message_epoch'", epoch);
    if (!renewed) return renewed.failure();
    return {};
  });
}

Result<void> SqliteMessages::open_inboxes(std::span<const UserKey> users, SystemTime now) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<void> {
    for (const UserKey& user : users) {
      Result<Inbox> inbox = find_or_make_inbox(connection, user, now);
      if (!inbox) return inbox.failure();
    }
    return {};
  });
}

Result<std::vector<Message>> SqliteMessages::history(const UserKey& user,
                                                     std::string_view conversation,
                                                     std::int64_t before, std::size_t limit) {
  return read([&](Connection& connection) {
    return read_history(connection, user, conversation, before, limit);
  });
}

Result<std::vector<Conversation>> SqliteMessages::list_conversations(const UserKey& user,
                                                                     SystemTime before_time,
                                                                     std::string_view before_id,
                                                                     std::size_t limit) {
  return read([&](Connection& connection) {
    return read_conversations(connection, user, before_time, before_id, limit);
  });
}

Result<Conversation> SqliteMessages::find_conversation(const UserKey& user,
                                                       std::string_view conversation) {
  return read(
      [&](Connection& connection) { return read_conversation(connection, user, conversation); });
}

Result<std::vector<Horizon>> SqliteMessages::members(const UserKey& user,
                                                     std::string_view conversation,
                                                     const std::optional<Identity>& after,
                                                     std::size_t limit) {
  return read([&](Connection& connection) {
    return read_members(connection, user, conversation, after, limit);
  });
}

Result<std::optional<Receipt>> SqliteMessages::mark_read(const UserKey& user,
                                                         std::string_view conversation,
                                                         std::int64_t seq, SystemTime) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) {
    return mark_conversation_read(connection, user, conversation, seq);
  });
}

Result<std::optional<GroupCount>> SqliteMessages::count_receipts(const UserKey& sender,
                                                                 std::string_view conversation) {
  return read([&](Connection& connection) {
    return count_group_receipts(connection, sender, conversation);
  });
}

Result<std::vector<bool>> SqliteMessages::share_conversation(const UserKey& user,
                                                             std::span<const Identity> others) {
  return read(
      [&](Connection& connection) { return find_shared_conversations(connection, user, others); });
}

Result<bool> SqliteMessages::set_blocked(const UserKey& user, const Identity& other, bool blocked,
                                         std::size_t max_blocks, SystemTime now) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) {
    return write_block(connection, user, other, blocked, max_blocks, now);
  });
}

Result<std::vector<Identity>> SqliteMessages::list_blocked(const UserKey& user) {
  return read([&](Connection& connection) { return read_blocks(connection, user); });
}

Result<std::optional<FanOut>> SqliteMessages::fan_out(std::size_t limit) {
  // Without a job, which is nearly always, nothing is written.
  Result<bool> any = database_.read(has_job);
  if (!any) return any.failure();
  if (!*any) return std::optional<FanOut>();
  return database_.write(WriteKind::kGrow,
                         [&](Connection& connection) { return work_on_job(connection, limit); });
}

Result<Expiry> SqliteMessages::expire(SystemTime now, std::size_t limit) {
  Result<bool> any =
      database_.read([&](Connection& connection) { return has_expired(connection, now); });
  if (!any) return any.failure();
  if (!*any) return Expiry();
  return database_.write(WriteKind::kRelief, [&](Connection& connection) {
    return expire_messages(connection, now, limit);
  });
}

Result<Removal> SqliteMessages::remove_old(SystemTime before, SystemTime now, std::size_t limit) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) {
    return remove_kept_long_enough(connection, before, now, limit);
  });
}

Result<void> SqliteMessages::export_messages(const UserKey& user,
                                             const std::function<bool(const Message&)>& take) {
  ExportPlace place;
  while (!place.finished) {
    Result<std::vector<Message>> page =
        read([&](Connection& connection) { return read_for_export(connection, user, place); });
    if (!page) return page.failure();
    for (const Message& message : *page) {
      if (!take(message)) return {};
    }
  }
  return {};
}

Result<std::size_t> SqliteMessages::erase(const UserKey& user, SystemTime, std::size_t limit) {
  Result<std::size_t> erased = database_.write(WriteKind::kRelief, [&](Connection& connection) {
    return erase_user(connection, user, limit);
  });
  if (!erased || *erased > 0) return erased;
  // What was overwritten in the database may still stand in the log.
  if (Result<void> emptied = database_.empty_log(); !emptied) return emptied.failure();
  return erased;
}

}  // namespace countersign::storage

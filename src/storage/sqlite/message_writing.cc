#include "storage/sqlite/message_writing.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "storage/message_ids.h"
#include "storage/sqlite/callbacks.h"
#include "storage/sqlite/conversations.h"
#include "storage/sqlite/fan_out.h"
#include "storage/sqlite/groups.h"
#include "storage/sqlite/inboxes.h"
#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

/// One message on its way in. The steps are called in the order in which they stand.
class Acceptance {
 public:
  Acceptance(Connection& connection, const Send& send, const MessageMutants& mutants,
             bool callbacks, Sent& sent)
      : connection_(connection),
        send_(send),
        mutants_(mutants),
        callbacks_(callbacks),
        sent_(sent) {}

  Result<void> run() {
    if (Result<void> live = check_instance(); !live) return live;
    Result<std::optional<Inbox>> known = find_inbox(connection_, send_.sender);
    if (!known) return known.failure();
    if (*known) {
      sender_ = **std::move(known);
      Result<bool> repeat = answer_repeat();
      if (!repeat) return repeat.failure();
      if (*repeat) return {};
    }
    if (sender_.id == 0 || sender_.erased) {
      Result<Inbox> made = find_or_make_inbox(connection_, send_.sender, send_.now);
      if (!made) return made.failure();
      sender_ = *std::move(made);
    }
    if (Result<void> room = check_own_room(); !room) return room;
    Result<void> resolved = send_.group.empty() ? resolve_people() : resolve_conversation();
    if (!resolved) return resolved;
    return write();
  }

 private:
  Result<void> refuse(ErrorCode code, std::vector<Identity> users = {}) {
    sent_.refused = SendRefusal{code, std::move(users)};
    return fail(kSendRefused, "refused");
  }

  Result<void> check_instance() {
    if (send_.instance.empty()) return {};
    Result<std::optional<std::int64_t>> live = find_row(
        connection_, "SELECT 1 FROM instances WHERE id = ?", first_integer, send_.instance.text());
    if (!live) return live.failure();
    if (!*live) return refuse(ErrorCode::kRevoked);
    return {};
  }

  /// True if the message was accepted before: `sent_` says what was answered then.
  Result<bool> answer_repeat() {
    const auto read = [this](const Statement& row) {
      sent_.conversation = row.bytes(1);
      sent_.seq = row.integer(2);
      sent_.offset = row.integer(3);
      sent_.time = row.time(4);
      return row.bytes(0);
    };
    Result<std::optional<std::string>> digest =
        mutants_.dedupe_by_msg_id_alone
            ? find_row(connection_,
                       "SELECT a.digest, c.id, a.seq, a.\"offset\", a.time FROM accepted_sends a "
                       "JOIN conversations c ON c.number = a.conversation WHERE a.msg_id = ?",
                       read, send_.msg_id)
            : find_row(connection_,
                       "SELECT a.digest, c.id, a.seq, a.\"offset\", a.time FROM accepted_sends a "
                       "JOIN conversations c ON c.number = a.conversation "
                       "WHERE a.sender = ? AND a.msg_id = ?",
                       read, sender_.id, send_.msg_id);
    if (!digest) return digest.failure();
    if (!*digest) return false;
    if (**digest != send_.digest) return refuse(ErrorCode::kIdempotencyConflict).failure();
    sent_.duplicate = true;
    return true;
  }

  /// The sender's own inbox takes what they send, up to its full size even if they never signed in:
  /// a backend that sends does not.
  Result<void> check_own_room() {
    const std::int64_t bytes = sender_.bytes + sql_limit(send_.body.size());
    if (sender_.top - sender_.floor < sql_limit(send_.limits.inbox_entries) &&
        bytes <= sql_limit(send_.limits.inbox_bytes)) {
      return {};
    }
    return refuse(ErrorCode::kRecipientLimit, {send_.sender.identity});
  }

  /// The conversation of the sender and `to`, made if this is its first message.
  Result<void> resolve_people() {
    std::vector<Identity> members = send_.to;
    members.push_back(send_.sender.identity);
    members = sorted_identities(std::move(members));
    std::vector<Identity> unknown;
    for (const Identity& member : members) {
      if (member == send_.sender.identity) continue;
      Result<std::optional<Recipient>> recipient =
          find_recipient(connection_, UserKey{send_.sender.application, member},
                         send_.sender.identity, sender_.id);
      if (!recipient) return recipient.failure();
      if (*recipient) {
        recipients_.push_back(**std::move(recipient));
      } else {
        unknown.push_back(member);
      }
    }
    if (!unknown.empty()) return refuse(ErrorCode::kUnknownTarget, std::move(unknown));
    // Refused before anything is written: what has been would have to be undone.
    if (recipients_.size() == 1 && recipients_[0].blocks_sender) {
      return refuse(ErrorCode::kBlocked, {recipients_[0].identity});
    }
    if (std::vector<Identity> full = leave_out_full(); !full.empty()) {
      return refuse(ErrorCode::kRecipientLimit, std::move(full));
    }

    head_.id = direct_conversation_id(send_.sender.application, members);
    Result<std::optional<ConversationHead>> found =
        find_head(connection_, send_.sender.application, head_.id);
    if (!found) return found.failure();
    const bool known = found->has_value();
    if (known) head_ = **std::move(found);
    ++head_.top;
    head_.last_time = std::max(head_.last_time, send_.now);
    Result<void> kept = known ? update_head(connection_, head_)
                              : insert_head(connection_, send_.sender.application, head_);
    if (!kept) return kept;
    if (head_.members == sql_limit(members.size())) return {};
    return join_people(sql_limit(members.size()));
  }

  /// At the first message, and after somebody's data were erased.
  Result<void> join_people(std::int64_t count) {
    Result<bool> joined = join(connection_, head_.number, sender_.id, head_.top, false);
    for (const Recipient& recipient : recipients_) {
      if (!joined) break;
      joined = join(connection_, head_.number, recipient.inbox.id, head_.top, false);
    }
    if (!joined) return joined.failure();
    Result<std::int64_t> counted = connection_.run(
        "UPDATE conversations SET members = ?, version = version + 1 "
        "WHERE number = ?",
        count, head_.number);
    if (!counted) return counted.failure();
    return {};
  }

  /// The conversation named, or the new group.
  Result<void> resolve_conversation() {
    if (send_.change && send_.change->action == GroupChange::Action::kCreate) {
      head_.last_time = send_.now;
      Result<std::optional<SendRefusal>> refused = make_group(connection_, send_, sender_, head_);
      if (!refused) return refused.failure();
      if (*refused) return refuse((*refused)->code, std::move((*refused)->users));
      return raise_head();
    }
    Result<std::optional<ConversationHead>> head =
        find_head(connection_, send_.sender.application, send_.group);
    if (!head) return head.failure();
    if (!*head) return refuse(ErrorCode::kUnknownTarget);
    head_ = **std::move(head);
    Result<std::optional<Membership>> membership =
        find_membership(connection_, head_.number, sender_.id);
    if (!membership) return membership.failure();
    if (!*membership || !(*membership)->present()) return refuse(ErrorCode::kPermissionDenied);
    if (send_.change) {
      Result<std::optional<SendRefusal>> refused =
          change_group(connection_, send_, sender_, (*membership)->admin, head_);
      if (!refused) return refused.failure();
      if (*refused) return refuse((*refused)->code, std::move((*refused)->users));
    }
    return raise_head();
  }

  Result<void> raise_head() {
    ++head_.top;
    head_.last_time = std::max(head_.last_time, send_.now);
    if (Result<void> raised = update_head(connection_, head_); !raised) return raised;
    Result<std::vector<Recipient>> recipients =
        list_recipients(connection_, head_.number, head_.top, send_.sender.identity, sender_.id);
    if (!recipients) return recipients.failure();
    recipients_ = *std::move(recipients);
    sent_.left_out = leave_out_full();
    return {};
  }

  /// Takes the recipients whose inboxes have no room off the list; who they are, in order.
  std::vector<Identity> leave_out_full() {
    std::vector<Recipient> taken;
    std::vector<Identity> full;
    for (Recipient& recipient : recipients_) {
      if (recipient.full(send_.limits, send_.body.size())) {
        full.push_back(recipient.identity);
        left_out_.push_back(recipient.inbox.id);
      } else {
        taken.push_back(std::move(recipient));
      }
    }
    recipients_ = std::move(taken);
    return sorted_identities(std::move(full));
  }

  Result<void> write() {
    const bool job = recipients_.size() > send_.limits.direct_fan_out || head_.jobs > 0;
    sent_.conversation = head_.id;
    sent_.seq = head_.top;
    sent_.time = send_.now;
    sent_.fan_out_pending = job;
    if (Result<void> stored = insert_message(job ? 2 : 1 + recipients_.size()); !stored) {
      return stored;
    }
    if (job) {
      if (Result<void> left = leave_to_job(); !left) return left;
    }
    const bool change = send_.change.has_value();
    Result<void> written =
        deliver(sender_, send_.sender.identity, change ? EntryKind::kGroup : EntryKind::kSent);
    if (!written) return written;
    sent_.offset = sender_.top;
    if (!job) {
      for (Recipient& recipient : recipients_) {
        const EntryKind kind = recipient.blocks_sender ? EntryKind::kGone
                               : change                ? EntryKind::kGroup
                                                       : EntryKind::kMessage;
        written = deliver(recipient.inbox, recipient.identity, kind);
        if (!written) return written;
      }
    }
    if (Result<void> moved = move_own_horizons(); !moved) return moved;
    if (callbacks_ && !change) {
      Result<void> added =
          add_message_callback(connection_, CallbackKind::kMessageSent, send_.sender, head_.number,
                               head_.top, send_.msg_id, send_.now);
      if (!added) return added;
    }
    return remember();
  }

  Result<void> insert_message(std::size_t uses) {
    const MessageKind kind = send_.change ? MessageKind::kGroup : MessageKind::kText;
    Result<std::int64_t> inserted = connection_.run(
        "INSERT INTO messages (conversation, seq, kind, sender, device, msg_id, message_id, time, "
        "expires, body, uses) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        head_.number, head_.top, static_cast<int>(kind), sender_.id, send_.device, send_.msg_id,
        Blob{send_.message_id}, send_.now, send_.expires, send_.body, uses);
    if (!inserted) return inserted.failure();
    message_ = sqlite3_last_insert_rowid(connection_.handle());
    return {};
  }

  /// Writes the job, and what earlier jobs owe the sender: their own entry must not overtake it.
  Result<void> leave_to_job() {
    Result<void> caught_up = catch_up(connection_, head_.number, head_.top, sender_);
    if (!caught_up) return caught_up;
    return add_job(connection_, head_.number, message_, left_out_);
  }

  Result<void> deliver(Inbox& inbox, const Identity& user, EntryKind kind) {
    if (mutants_.reuse_offsets) {
      Result<std::optional<std::int64_t>> top = find_row(
          connection_, "SELECT coalesce(max(\"offset\"), 0) FROM inbox_entries WHERE inbox = ?",
          first_integer, inbox.id);
      if (!top) return top.failure();
      inbox.top = top->value_or(0);
      inbox.floor = std::min(inbox.floor, inbox.top);
    }
    NewEntry entry;
    entry.kind = kind;
    entry.message = message_;
    entry.message_id = send_.message_id;
    entry.size = kind == EntryKind::kGone ? 0 : send_.body.size();
    entry.time = send_.now;
    if (Result<void> appended = append_entry(connection_, inbox, entry, sender_.id); !appended) {
      return appended;
    }
    sent_.deliveries.push_back(Delivery{user, inbox.top, inbox.chain, kind});
    return {};
  }

  /// Who has got and seen everything before has got and seen this too. Nothing else follows from
  /// writing: a message that came a moment ago may be unseen.
  Result<void> move_own_horizons() {
    Result<std::int64_t> moved = connection_.run(
        "UPDATE conversation_members SET "
        "delivered = CASE delivered WHEN ? THEN ? ELSE delivered END, "
        "read = CASE read WHEN ? THEN ? ELSE read END WHERE conversation = ? AND inbox = ?",
        head_.top - 1, head_.top, head_.top - 1, head_.top, head_.number, sender_.id);
    if (!moved) return moved.failure();
    return {};
  }

  Result<void> remember() {
    Result<std::int64_t> inserted = connection_.run(
        "INSERT INTO accepted_sends (sender, msg_id, digest, conversation, seq, \"offset\", time) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        sender_.id, send_.msg_id, Blob{send_.digest}, head_.number, head_.top, sent_.offset,
        send_.now);
    if (!inserted) return inserted.failure();
    return {};
  }

  Connection& connection_;
  const Send& send_;
  const MessageMutants& mutants_;
  const bool callbacks_;
  Sent& sent_;
  Inbox sender_;
  ConversationHead head_;
  std::vector<Recipient> recipients_;
  std::vector<std::int64_t> left_out_;  ///< inboxes
  std::int64_t message_ = 0;
};

}  // namespace

Result<void> accept_message(Connection& connection, const Send& send, const MessageMutants& mutants,
                            bool callbacks, Sent& sent) {
  return Acceptance(connection, send, mutants, callbacks, sent).run();
}

}  // namespace countersign::storage

#include "storage/sqlite/groups.h"

#include <utility>
#include <vector>

#include "storage/message_ids.h"
#include "storage/sqlite/rows.h"

namespace countersign::storage {
namespace {

using Refusal = std::optional<SendRefusal>;

Refusal refusal(ErrorCode code, std::vector<Identity> users = {}) {
  return SendRefusal{code, std::move(users)};
}

/// Makes everybody named a member from `seq` on.
Result<Refusal> add(Connection& connection, const Send& send, const std::vector<Identity>& users,
                    std::int64_t seq, ConversationHead& head) {
  std::vector<Identity> unknown;
  std::vector<Identity> members;
  for (const Identity& user : users) {
    Result<std::optional<Recipient>> known =
        find_recipient(connection, UserKey{send.sender.application, user}, send.sender.identity, 0);
    if (!known) return known.failure();
    if (!*known) {
      unknown.push_back(user);
      continue;
    }
    Result<bool> joined = join(connection, head.number, (*known)->inbox.id, seq, false);
    if (!joined) return joined.failure();
    if (!*joined) members.push_back(user);
  }
  if (!unknown.empty()) return refusal(ErrorCode::kUnknownTarget, std::move(unknown));
  if (!members.empty()) return refusal(ErrorCode::kBadState, std::move(members));
  head.members += sql_limit(users.size());
  if (head.members > sql_limit(send.limits.group_members)) {
    return refusal(ErrorCode::kLimitExceeded);
  }
  return Refusal();
}

Result<Refusal> remove(Connection& connection, const Send& send, const std::vector<Identity>& users,
                       std::int64_t seq, ConversationHead& head) {
  std::vector<Identity> strangers;
  for (const Identity& user : users) {
    Result<std::optional<Inbox>> inbox =
        find_inbox(connection, UserKey{send.sender.application, user});
    if (!inbox) return inbox.failure();
    Result<bool> left = false;
    if (*inbox) left = leave(connection, head.number, (*inbox)->id, seq, send.now);
    if (!left) return left.failure();
    if (!*left) strangers.push_back(user);
  }
  if (!strangers.empty()) return refusal(ErrorCode::kBadState, std::move(strangers));
  head.members -= sql_limit(users.size());
  return Refusal();
}

}  // namespace

Result<Refusal> make_group(Connection& connection, const Send& send, const Inbox& creator,
                           ConversationHead& head) {
  head.id = send.group;
  head.group = true;
  head.name = send.change->name;
  head.members = 1;
  Result<void> inserted = insert_head(connection, send.sender.application, head);
  if (!inserted && inserted.code() == ErrorCode::kAlreadyExists) {
    return refusal(ErrorCode::kBadState);
  }
  if (!inserted) return inserted.failure();
  if (Result<bool> joined = join(connection, head.number, creator.id, 1, true); !joined) {
    return joined.failure();
  }
  std::vector<Identity> others = sorted_identities(send.change->users);
  std::erase(others, send.sender.identity);
  head.version = 1;
  return add(connection, send, others, 1, head);
}

Result<Refusal> change_group(Connection& connection, const Send& send, const Inbox& actor,
                             bool actor_is_admin, ConversationHead& head) {
  const GroupChange& change = *send.change;
  const std::int64_t seq = head.top + 1;
  const std::vector<Identity> users = sorted_identities(change.users);
  if (!head.group || (change.action != GroupChange::Action::kLeave && !actor_is_admin)) {
    return refusal(ErrorCode::kPermissionDenied);
  }
  ++head.version;
  switch (change.action) {
    case GroupChange::Action::kAdd:
      if (users.empty()) break;
      return add(connection, send, users, seq, head);
    case GroupChange::Action::kRemove:
      if (users.empty()) break;
      return remove(connection, send, users, seq, head);
    case GroupChange::Action::kLeave: {
      Result<bool> left = leave(connection, head.number, actor.id, seq, send.now);
      if (!left) return left.failure();
      --head.members;
      return Refusal();
    }
    case GroupChange::Action::kRename:
      if (change.name == head.name) break;
      head.name = change.name;
      return Refusal();
    case GroupChange::Action::kCreate:
      break;
  }
  return refusal(ErrorCode::kBadState);
}

}  // namespace countersign::storage

#include "gateway/message_simulation_referee.h"

#include <algorithm>

namespace countersign::gateway::simulation {
namespace {

using Action = storage::GroupChange::Action;

std::string name_of(const std::string& conversation, std::int64_t seq) {
  return "message " + std::to_string(seq) + " of " + conversation;
}

}  // namespace

void Referee::follow(const std::vector<StoreEvent>& events) {
  for (; followed_ < events.size(); ++followed_) {
    const StoreEvent& event = events[followed_];
    if (const auto* message = std::get_if<AcceptedMessage>(&event)) {
      hear(*message);
    } else {
      const auto& block = std::get<BlockChange>(event);
      auto& turns = blocks_[{block.who, block.whom}];
      if ((turns.size() % 2 == 0) == block.blocked) turns.push_back(followed_);
    }
  }
}

void Referee::hear(const AcceptedMessage& message) {
  if (message.seq != ++tops_[message.conversation]) {
    complain("a hole in the order of " + message.conversation);
  }
  if (!accepted_.emplace(message.sender, message.msg_id).second) {
    complain(message.msg_id + " of " + message.sender + " was accepted twice");
  }
  Verdict verdict{message.sender, message.msg_id, message.change.has_value(), message.people,
                  followed_};
  if (message.people.empty()) {
    verdict.people = people_of(groups_[message.conversation], message);
  } else {
    for (const std::string& other : message.people) {
      if (message.people.size() == 2 && other != message.sender &&
          blocking(other, message.sender, followed_, followed_).always) {
        complain("accepted from " + message.sender + ", whom " + other + " blocks");
      }
    }
  }
  verdicts_[{message.conversation, message.seq}] = std::move(verdict);
}

std::set<std::string> Referee::people_of(Group& group, const AcceptedMessage& message) {
  const bool made = message.change && message.change->action == Action::kCreate;
  if (made) group.maker = message.sender;
  if (made) group.members.insert(message.sender);
  if (!group.members.contains(message.sender)) {
    complain("accepted from " + message.sender + ", who is no member");
  }
  std::set<std::string> concerned = group.members;
  if (!message.change) return concerned;
  const auto leave = [&group](const std::string& user) {
    group.members.erase(user);
    group.left.insert(user);
  };
  for (const Identity& user : message.change->users) {
    concerned.insert(user.endpoint);
    if (message.change->action == Action::kRemove) {
      leave(user.endpoint);
    } else {
      group.members.insert(user.endpoint);
    }
  }
  if (message.change->action == Action::kLeave) leave(message.sender);
  return concerned;
}

const Referee::Verdict* Referee::find(const std::string& conversation, std::int64_t seq) const {
  const auto found = verdicts_.find({conversation, seq});
  return found == verdicts_.end() ? nullptr : &found->second;
}

bool Referee::ever_concerned(const std::string& conversation, std::int64_t seq,
                             const std::string& user) const {
  for (auto it = verdicts_.lower_bound({conversation, 1});
       it != verdicts_.end() && it->first <= std::pair(conversation, seq); ++it) {
    if (it->second.people.contains(user)) return true;
  }
  return false;
}

bool Referee::never_left(const std::string& user, const std::string& group) const {
  const auto found = groups_.find(group);
  return found != groups_.end() && found->second.members.contains(user) &&
         !found->second.left.contains(user);
}

bool Referee::made_and_never_left(const std::string& user, const std::string& group) const {
  return never_left(user, group) && groups_.at(group).maker == user;
}

Referee::Blocking Referee::blocking(const std::string& who, const std::string& whom,
                                    std::size_t from, std::size_t until) const {
  const auto found = blocks_.find({who, whom});
  if (found == blocks_.end()) return {};
  const std::vector<std::size_t>& turns = found->second;
  const auto before =
      static_cast<std::size_t>(std::lower_bound(turns.begin(), turns.end(), from) - turns.begin());
  const auto after =
      static_cast<std::size_t>(std::lower_bound(turns.begin(), turns.end(), until) - turns.begin());
  const bool at_first = before % 2 == 1;
  return {at_first && before == after, at_first || before != after};
}

std::optional<std::string> Referee::judge_row(const std::string& user,
                                              const ModelMessageStore::InboxRow& row) const {
  const std::string what = name_of(row.message.conversation, row.message.seq);
  const Verdict* const verdict = find(row.message.conversation, row.message.seq);
  if (verdict == nullptr || verdict->msg_id != row.message.id) {
    return user + " has " + what + ", which was not accepted";
  }
  if (!verdict->people.contains(user)) return user + " has " + what + ", which is not for them";
  const bool gone = row.kind == storage::EntryKind::kGone;
  const Blocking blocked = user == verdict->sender
                               ? Blocking()
                               : blocking(user, verdict->sender, verdict->events, row.events);
  if (gone && !blocked.ever) return user + " has a tombstone for " + what;
  if (!gone && blocked.always) return user + " is shown " + what + ", of somebody they block";
  return std::nullopt;
}

std::optional<std::string> Referee::judge(
    const ModelMessageStore::State& state,
    const std::set<std::pair<std::string, std::string>>& removed) const {
  std::set<std::pair<std::string, const Verdict*>> have;
  for (const auto& [user, inbox] : state.inboxes) {
    for (const ModelMessageStore::InboxRow& row : inbox.rows) {
      if (auto wrong = judge_row(user, row)) return wrong;
      if (!have.emplace(user, find(row.message.conversation, row.message.seq)).second) {
        return user + " has " + name_of(row.message.conversation, row.message.seq) + " twice";
      }
    }
  }
  for (const auto& [place, verdict] : verdicts_) {
    for (const std::string& user : verdict.people) {
      if (have.contains({user, &verdict})) continue;
      if (removed.contains({user, verdict.sender + ' ' + verdict.msg_id})) continue;
      return name_of(place.first, place.second) + " never came into the inbox of " + user;
    }
  }
  return std::nullopt;
}

}  // namespace countersign::gateway::simulation

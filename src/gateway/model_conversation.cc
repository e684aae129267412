#include "gateway/model_conversation.h"

#include <algorithm>
#include <set>

namespace countersign::gateway::simulation {

using storage::GroupChange;

bool Participant::member_at(std::int64_t seq) const {
  return std::any_of(stays.begin(), stays.end(),
                     [seq](const Stay& stay) { return stay.from <= seq && seq <= stay.until; });
}

bool Participant::present() const { return !stays.empty() && stays.back().until == Stay().until; }

std::int64_t Participant::readable_top(std::int64_t top) const {
  return stays.empty() ? 0 : std::min(top, stays.back().until);
}

void ModelConversation::join(const std::string& user, bool admin) {
  Participant& participant = people[user];
  participant.stays.push_back({top() + 1});
  participant.admin = admin;
}

void ModelConversation::leave(const std::string& user) {
  Participant& participant = people[user];
  participant.stays.back().until = top() + 1;
  participant.admin = false;
}

std::optional<ErrorCode> ModelConversation::change(const std::string& actor,
                                                   const GroupChange& change) {
  const auto here = [this](const Identity& user) {
    const auto found = people.find(user.endpoint);
    return found != people.end() && found->second.present();
  };
  const auto& users = change.users;
  switch (change.action) {
    case GroupChange::Action::kCreate:
      group = true;
      name = change.name;
      join(actor, true);
      for (const Identity& user : users) join(user.endpoint, false);
      return std::nullopt;
    case GroupChange::Action::kLeave:
      leave(actor);
      return std::nullopt;
    default:
      break;
  }
  if (!people[actor].admin) return ErrorCode::kPermissionDenied;
  switch (change.action) {
    case GroupChange::Action::kAdd:
      if (users.empty() || std::any_of(users.begin(), users.end(), here)) break;
      for (const Identity& user : users) join(user.endpoint, false);
      return std::nullopt;
    case GroupChange::Action::kRemove:
      if (users.empty() || !std::all_of(users.begin(), users.end(), here)) break;
      for (const Identity& user : users) leave(user.endpoint);
      return std::nullopt;
    default:
      if (change.name == name) break;
      name = change.name;
      return std::nullopt;
  }
  return ErrorCode::kBadState;
}

std::optional<storage::Receipt> ModelConversation::deliver(const std::string& user,
                                                           std::int64_t seq) {
  const auto found = people.find(user);
  if (found == people.end() || found->second.delivered >= seq) return std::nullopt;
  const std::int64_t before = found->second.delivered;
  found->second.delivered = seq;
  return receipt(user, before, seq);
}

std::optional<storage::Receipt> ModelConversation::read(const std::string& user, std::int64_t seq) {
  Participant& participant = people[user];
  seq = std::min(seq, participant.readable_top(top()));
  if (participant.read >= seq) return std::nullopt;
  const std::int64_t before = participant.read;
  participant.read = seq;
  participant.delivered = std::max(participant.delivered, seq);
  return receipt(user, before, seq);
}

storage::Receipt ModelConversation::receipt(const std::string& user, std::int64_t before,
                                            std::int64_t seq) const {
  const Participant& participant = people.at(user);
  storage::Receipt receipt;
  receipt.group = group;
  receipt.horizon = {id, named(user), participant.delivered, participant.read};
  std::set<std::string> audience;
  if (group) {
    for (std::int64_t passed = before + 1; passed <= seq; ++passed) {
      if (participant.member_at(passed)) {
        audience.insert(said[static_cast<std::size_t>(passed - 1)].sender);
      }
    }
  } else {
    for (const auto& [other, unused] : people) audience.insert(other);
  }
  audience.erase(user);
  for (const std::string& other : audience) receipt.audience.push_back(named(other));
  return receipt;
}

void ModelConversation::move_own_horizons(const std::string& sender) {
  Participant& participant = people[sender];
  if (participant.delivered == top() - 1) participant.delivered = top();
  if (participant.read == top() - 1) participant.read = top();
}

std::optional<storage::GroupCount> ModelConversation::count(const std::string& sender,
                                                            const GroupMutants& mutants) const {
  const auto last = std::find_if(said.rbegin(), said.rend(), [&](const Said& message) {
    return message.text && message.sender == sender;
  });
  if (!group || last == said.rend()) return std::nullopt;
  storage::GroupCount count;
  count.conversation = id;
  count.sender = named(sender);
  count.seq = static_cast<std::int64_t>(said.rend() - last);
  for (const auto& [user, participant] : people) {
    const bool asked =
        mutants.counts_members_of_now ? participant.present() : participant.member_at(count.seq);
    if (user == sender || !asked) continue;
    ++count.members;
    if (participant.delivered >= count.seq) ++count.delivered;
    if (participant.read >= count.seq) ++count.read;
  }
  return count;
}

}  // namespace countersign::gateway::simulation

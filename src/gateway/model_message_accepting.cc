// The model of the message store: what becomes of a message that is accepted, and what is told of
// its conversation.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gateway/model_message_store.h"
#include "storage/message_ids.h"

namespace countersign::gateway::simulation {

storage::Sent ModelMessageStore::apply(const storage::Send& send, std::int64_t sequence) {
  storage::Sent sent;
  const std::string& sender = send.sender.identity.endpoint;
  const std::string key =
      (mutants.dedupe_by_msg_id_alone ? std::string() : sender) + ' ' + send.msg_id;
  if (const auto known = state_.dedupe.find(key); known != state_.dedupe.end()) {
    if (known->second.first != send.digest && !mutants.dedupe_by_msg_id_alone) {
      sent.refused = storage::SendRefusal{ErrorCode::kIdempotencyConflict, {}};
      return sent;
    }
    sent = known->second.second;
    sent.duplicate = true;
    sent.deliveries.clear();
    return sent;
  }
  ModelConversation* const conversation = resolve(send, sent);
  if (conversation == nullptr) return sent;
  conversation->said.push_back({sender, !send.change.has_value()});

  storage::Message message;
  message.conversation = sent.conversation = conversation->id;
  message.seq = sent.seq = conversation->top();
  message.kind = send.change ? storage::MessageKind::kGroup : storage::MessageKind::kText;
  message.id = send.msg_id;
  message.sender = send.sender.identity;
  message.device = send.device;
  message.time = sent.time = send.now;
  message.body = send.body;
  AcceptedMessage accepted{message.conversation, message.seq, sender, message.id, send.change, {}};
  if (!conversation->group) {
    for (const auto& [user, unused] : conversation->people) accepted.people.insert(user);
  }
  state_.events.emplace_back(std::move(accepted));

  const std::vector<std::string> others = recipients(*conversation, sender);
  const bool behind_job = conversation->jobs > 0 && !mutants.groups.fan_out_overtaken;
  sent.fan_out_pending = others.size() > send.limits.direct_fan_out || behind_job;
  if (sent.fan_out_pending) catch_up(*conversation, sender);
  if (!conversation->group || !mutants.groups.no_carbon) {
    sent.deliveries.push_back(append(sender, message, send.message_id, sequence));
  }
  sent.offset = state_.inboxes[sender].top;
  if (sent.fan_out_pending) {
    state_.jobs.push_back({send.sender.application, message, send.message_id, {}});
    ++conversation->jobs;
  } else {
    for (const std::string& user : others) {
      sent.deliveries.push_back(append(user, message, send.message_id, sequence));
    }
  }
  conversation->move_own_horizons(sender);
  state_.dedupe[key] = {send.digest, sent};
  return sent;
}

ModelConversation* ModelMessageStore::resolve(const storage::Send& send, storage::Sent& sent) {
  const auto refuse = [&sent](ErrorCode code, std::vector<Identity> users = {}) {
    sent.refused = storage::SendRefusal{code, std::move(users)};
    return nullptr;
  };
  const std::string& sender = send.sender.identity.endpoint;
  if (send.group.empty()) {
    std::vector<Identity> members = send.to;
    if (members.size() == 1 && state_.blocks.contains({members[0].endpoint, sender})) {
      return refuse(ErrorCode::kBlocked, std::move(members));
    }
    members.push_back(send.sender.identity);
    members = storage::sorted_identities(std::move(members));
    const std::string id = storage::direct_conversation_id(send.sender.application, members);
    ModelConversation& conversation = state_.conversations[id];
    conversation.id = id;
    if (!conversation.people.empty()) return &conversation;
    for (const Identity& member : members) conversation.join(member.endpoint, false);
    return &conversation;
  }
  const auto found = state_.conversations.find(send.group);
  if (send.change && send.change->action == storage::GroupChange::Action::kCreate) {
    if (found != state_.conversations.end()) return refuse(ErrorCode::kBadState);
    ModelConversation& conversation = state_.conversations[send.group];
    conversation.id = send.group;
    (void)conversation.change(sender, *send.change);
    return &conversation;
  }
  if (found == state_.conversations.end()) return refuse(ErrorCode::kUnknownTarget);
  ModelConversation& conversation = found->second;
  const auto member = conversation.people.find(sender);
  const bool may_send =
      member != conversation.people.end() &&
      (member->second.present() || (mutants.groups.removed_may_send && !send.change));
  if (!may_send) return refuse(ErrorCode::kPermissionDenied);
  if (!send.change) return &conversation;
  if (const auto why = conversation.change(sender, *send.change)) return refuse(*why);
  return &conversation;
}

bool ModelMessageStore::concerns(const Participant& participant, std::int64_t seq) const {
  if (mutants.groups.removed_still_served) return true;
  return mutants.groups.fan_out_to_members_of_now ? participant.present()
                                                  : participant.member_at(seq);
}

std::vector<std::string> ModelMessageStore::recipients(const ModelConversation& conversation,
                                                       const std::string& sender) const {
  std::vector<std::string> out;
  for (const auto& [user, participant] : conversation.people) {
    const bool member =
        participant.member_at(conversation.top()) || mutants.groups.removed_still_served;
    if (member && user != sender) out.push_back(user);
  }
  return out;
}

void ModelMessageStore::catch_up(ModelConversation& conversation, const std::string& sender) {
  Participant& participant = conversation.people[sender];
  for (const Job& job : state_.jobs) {
    const storage::Message& owed = job.message;
    if (owed.conversation != conversation.id || job.after >= sender) continue;
    if (participant.fanned >= owed.seq || !concerns(participant, owed.seq)) continue;
    append(sender, owed, job.message_id, ++state_.sequence);
  }
  participant.fanned = conversation.top();
}

Result<std::optional<storage::FanOut>> ModelMessageStore::fan_out(std::size_t limit) {
  if (failing) return fail(ErrorCode::kStoreFailed, "simulated");
  if (state_.jobs.empty()) return std::optional<storage::FanOut>();
  Job& job = state_.jobs.front();
  ModelConversation& conversation = state_.conversations.at(job.message.conversation);
  storage::FanOut out{job.application, job.message, {}};
  auto next = conversation.people.upper_bound(job.after);
  for (; next != conversation.people.end() && out.deliveries.size() < limit; ++next) {
    const auto& [user, participant] = *next;
    if (participant.fanned >= job.message.seq || !concerns(participant, job.message.seq)) continue;
    out.deliveries.push_back(append(user, job.message, job.message_id, ++state_.sequence));
    job.after = user;
  }
  if (out.deliveries.size() < limit) {
    --conversation.jobs;
    state_.jobs.pop_front();
  }
  if (unheard) return fail(ErrorCode::kStoreFailed, "simulated");
  return std::optional(std::move(out));
}

storage::Delivery ModelMessageStore::append(const std::string& user,
                                            const storage::Message& message,
                                            const std::string& message_id, std::int64_t sequence) {
  using storage::EntryKind;
  Inbox& inbox = state_.inboxes[user];
  if (inbox.top_chain.empty()) inbox.top_chain = inbox.floor_chain = storage::first_chain();
  const std::string& sender = message.sender.endpoint;
  const bool blocked = state_.blocks.contains({user, sender}) && !mutants.groups.blocks_ignored;
  InboxRow row;
  row.offset = mutants.offsets_from_sequence ? sequence : inbox.top + 1;
  row.chain = storage::next_chain(inbox.top_chain, message_id, row.offset);
  row.kind = blocked && user != sender                      ? EntryKind::kGone
             : message.kind == storage::MessageKind::kGroup ? EntryKind::kGroup
             : user == sender                               ? EntryKind::kSent
                                                            : EntryKind::kMessage;
  row.message = message;
  row.message_id = message_id;
  row.events = state_.events.size();
  inbox.top = std::max(inbox.top, row.offset);
  inbox.top_chain = row.chain;
  storage::Delivery delivery{named(user), row.offset, row.chain, row.kind};
  const auto place = std::upper_bound(
      inbox.rows.begin(), inbox.rows.end(), row.offset,
      [](std::int64_t offset, const InboxRow& other) { return offset < other.offset; });
  inbox.rows.insert(place, std::move(row));
  return delivery;
}

Result<const ModelConversation*> ModelMessageStore::known(const storage::UserKey& user,
                                                          std::string_view conversation) const {
  if (failing) return fail(ErrorCode::kStoreFailed, "simulated");
  const auto found = state_.conversations.find(std::string(conversation));
  if (found == state_.conversations.end()) return fail(ErrorCode::kAbsent, "no conversation");
  if (!found->second.people.contains(user.identity.endpoint)) {
    return fail(ErrorCode::kPermissionDenied, "never a member");
  }
  return &found->second;
}

Result<std::optional<storage::Receipt>> ModelMessageStore::mark_read(const storage::UserKey& user,
                                                                     std::string_view conversation,
                                                                     std::int64_t seq) {
  const auto found = known(user, conversation);
  if (!found) return found.failure();
  return state_.conversations[(*found)->id].read(user.identity.endpoint, seq);
}

Result<storage::Conversation> ModelMessageStore::find_conversation(
    const storage::UserKey& user, std::string_view conversation) const {
  const auto found = known(user, conversation);
  if (!found) return found.failure();
  storage::Conversation view;
  view.id = (*found)->id;
  view.group = (*found)->group;
  view.read = (*found)->people.at(user.identity.endpoint).read;
  return view;
}

Result<std::optional<storage::GroupCount>> ModelMessageStore::count_receipts(
    const storage::UserKey& sender, std::string_view conversation) const {
  const auto found = known(sender, conversation);
  if (!found) return found.failure();
  return (*found)->count(sender.identity.endpoint, mutants.groups);
}

Result<bool> ModelMessageStore::set_blocked(const storage::UserKey& user, const Identity& other,
                                            bool blocked) {
  if (failing) return fail(ErrorCode::kStoreFailed, "simulated");
  const std::pair pair(user.identity.endpoint, other.endpoint);
  if (blocked == state_.blocks.contains(pair)) return false;
  if (blocked) {
    state_.blocks.insert(pair);
  } else {
    state_.blocks.erase(pair);
  }
  state_.events.emplace_back(BlockChange{pair.first, pair.second, blocked});
  return true;
}

}  // namespace countersign::gateway::simulation

#include "gateway/model_message_store.h"

#include <algorithm>
#include <memory>

#include "storage/message_ids.h"

namespace countersign::gateway::simulation {

using storage::Attached;

void ModelMessageStore::accept(int node, storage::Send send,
                               std::function<void(Result<storage::Sent>)> done) {
  const std::int64_t sequence = ++state_.sequence;  // the mutant's; it is never given back
  auto outcome = std::make_shared<storage::Sent>();
  if (mutants.acknowledge_before_commit) {
    // Whatever becomes of it, the sender hears what it will probably be.
    State before = state_;
    storage::Sent sent = apply(send, sequence);
    state_ = std::move(before);
    done(std::move(sent));
    done = [](const Result<storage::Sent>&) {};
  }
  const auto answer = std::make_shared<decltype(done)>(std::move(done));
  writes_.push_back(
      {node,
       [this, outcome, sequence, send = std::move(send)] { *outcome = apply(send, sequence); },
       [outcome, answer] { (*answer)(*outcome); },
       [answer] { (*answer)(fail(ErrorCode::kStoreFailed, "simulated")); }});
}

void ModelMessageStore::acknowledge(int node, storage::Ack ack,
                                    std::function<void(Result<storage::Acked>)> done) {
  auto outcome = std::make_shared<Result<storage::Acked>>(storage::Acked{});
  const auto answer = std::make_shared<decltype(done)>(std::move(done));
  writes_.push_back({node, [this, outcome, ack = std::move(ack)] { *outcome = apply(ack); },
                     [outcome, answer] { (*answer)(*outcome); },
                     [answer] { (*answer)(fail(ErrorCode::kStoreFailed, "simulated")); }});
}

void ModelMessageStore::decide(std::size_t index, Fate fate) {
  Write write = std::move(writes_[index]);
  writes_.erase(writes_.begin() + static_cast<std::ptrdiff_t>(index));
  if (fate == Fate::kCommit || fate == Fate::kUnknownCommitted) write.commit();
  if (fate == Fate::kCommit) {
    write.answer();
  } else {
    write.fail();
  }
}

void ModelMessageStore::lose_node(int node, const std::function<bool()>& reached) {
  std::deque<Write> others;
  for (Write& write : writes_) {
    if (write.node != node) {
      others.push_back(std::move(write));
    } else if (reached()) {
      write.commit();
    }
  }
  writes_ = std::move(others);
}

void ModelMessageStore::restore(State state) {
  const std::string epoch =
      mutants.no_chain_check ? state_.epoch : "epoch-" + std::to_string(++restores_);
  state_ = std::move(state);
  state_.epoch = epoch;
}

void ModelMessageStore::remove_old(const std::string& endpoint, std::size_t count) {
  const auto found = state_.inboxes.find(endpoint);
  if (found == state_.inboxes.end()) return;
  Inbox& inbox = found->second;
  count = std::min(count, inbox.rows.size());
  if (count == 0) return;
  const InboxRow& last = inbox.rows[count - 1];
  if (mutants.reuse_offsets && count == inbox.rows.size()) {
    // Nothing is left that tells how far the offsets had come.
    inbox.top = inbox.floor;
    inbox.top_chain = inbox.floor_chain;
    inbox.rows.clear();
    return;
  }
  inbox.floor = last.offset;
  inbox.floor_chain = last.chain;
  inbox.rows.erase(inbox.rows.begin(), inbox.rows.begin() + static_cast<std::ptrdiff_t>(count));
}

Result<storage::Acked> ModelMessageStore::apply(const storage::Ack& ack) {
  const auto device = state_.devices.find({ack.user.identity.endpoint, ack.device});
  if (device == state_.devices.end()) return fail(ErrorCode::kAbsent, "no device");
  if (ack.epoch != state_.epoch || ack.offset > state_.inboxes[ack.user.identity.endpoint].top) {
    return fail(ErrorCode::kUnrecoverablePosition, "another stream");
  }
  device->second.cursor = std::max(device->second.cursor, ack.offset);
  storage::Acked acked;
  acked.cursor = device->second.cursor;
  Inbox& inbox = state_.inboxes[ack.user.identity.endpoint];
  std::map<std::string, std::int64_t> reaches;
  for (const InboxRow& row : inbox.rows) {
    if (row.offset <= inbox.acknowledged || row.offset > ack.offset) continue;
    const bool counts =
        row.kind == storage::EntryKind::kMessage || row.kind == storage::EntryKind::kGroup;
    if (counts) reaches[row.message.conversation] = row.message.seq;
  }
  inbox.acknowledged = std::max(inbox.acknowledged, ack.offset);
  for (const auto& [conversation, seq] : reaches) {
    ModelConversation& reached = state_.conversations.at(conversation);
    const std::string& user = ack.user.identity.endpoint;
    auto receipt = mutants.groups.reads_what_is_delivered ? reached.read(user, seq)
                                                          : reached.deliver(user, seq);
    if (receipt) acked.receipts.push_back(*std::move(receipt));
  }
  return acked;
}

std::optional<std::string> ModelMessageStore::chain_at(const Inbox& inbox, std::int64_t offset) {
  if (offset == inbox.floor) return inbox.floor_chain;
  for (const InboxRow& row : inbox.rows) {
    if (row.offset == offset) return row.chain;
  }
  return std::nullopt;
}

Result<storage::Attached> ModelMessageStore::attach(const storage::Attach& attach) {
  if (failing) return fail(ErrorCode::kStoreFailed, "simulated");
  const std::string& user = attach.user.identity.endpoint;
  Inbox& inbox = state_.inboxes[user];
  if (inbox.top_chain.empty()) inbox.top_chain = inbox.floor_chain = storage::first_chain();
  Attached attached;
  attached.reason = Attached::Reason::kUnknownDevice;
  const auto known = state_.devices.find({user, attach.device});
  Device device{inbox.floor, state_.epoch};
  if (known != state_.devices.end()) {
    device = known->second;
    attached.reason = device.epoch != state_.epoch  ? Attached::Reason::kEpoch
                      : device.cursor < inbox.floor ? Attached::Reason::kFloor
                                                    : Attached::Reason::kNone;
  } else {
    std::optional<std::int64_t> lowest;
    for (const auto& [name, other] : state_.devices) {
      if (name.first == user) lowest = std::min(lowest.value_or(other.cursor), other.cursor);
    }
    device.cursor = lowest.value_or(inbox.floor);
  }
  bool resumed = false;
  if (attach.resume) {
    const storage::Position& at = *attach.resume;
    const bool foreign = at.epoch != state_.epoch || at.offset > inbox.top;
    const bool below_floor = at.offset < inbox.floor && !mutants.read_in_two_steps;
    const bool checked = !mutants.no_chain_check && !mutants.read_in_two_steps;
    if (!foreign && below_floor) {
      attached.reason = Attached::Reason::kFloor;
    } else if (foreign || (checked && chain_at(inbox, at.offset) != at.chain)) {
      attached.reason = Attached::Reason::kEpoch;
    } else {
      attached.reason = Attached::Reason::kNone;
      resumed = true;
    }
  }
  if (device.epoch != state_.epoch || device.cursor > inbox.top) {
    device.epoch = state_.epoch;
    device.cursor = std::min(device.cursor, inbox.top);
  }
  device.cursor = std::max(device.cursor, inbox.floor);
  state_.devices[{user, attach.device}] = device;
  attached.epoch = state_.epoch;
  attached.floor = inbox.floor;
  attached.top = inbox.top;
  attached.top_chain = inbox.top_chain;
  attached.cursor = device.cursor;
  attached.from = resumed ? attach.resume->offset : device.cursor;
  attached.from_chain =
      resumed ? attach.resume->chain : chain_at(inbox, device.cursor).value_or(inbox.top_chain);
  return attached;
}

Result<storage::InboxPage> ModelMessageStore::read_inbox(const storage::UserKey& user,
                                                         std::int64_t after,
                                                         std::size_t max_entries,
                                                         std::size_t max_bytes) const {
  if (failing) return fail(ErrorCode::kStoreFailed, "simulated");
  storage::InboxPage page;
  page.epoch = state_.epoch;
  const auto found = state_.inboxes.find(user.identity.endpoint);
  if (found == state_.inboxes.end()) return page;
  const Inbox& inbox = found->second;
  // In two steps the floor that is told is the one before the rows went.
  page.floor = mutants.read_in_two_steps ? std::min(after, inbox.floor) : inbox.floor;
  page.top = inbox.top;
  if (after < page.floor) return page;
  std::size_t bytes = 0;
  for (const InboxRow& row : inbox.rows) {
    if (row.offset <= after) continue;
    bytes += row.message.body.size();
    if (page.entries.size() == max_entries || (!page.entries.empty() && bytes > max_bytes)) break;
    storage::Entry entry;
    entry.offset = row.offset;
    entry.chain = row.chain;
    entry.kind = row.kind;
    entry.message = row.message;
    page.entries.push_back(std::move(entry));
  }
  return page;
}

Result<std::vector<std::int64_t>> ModelMessageStore::tops(
    std::span<const storage::UserKey> users) const {
  if (failing) return fail(ErrorCode::kStoreFailed, "simulated");
  std::vector<std::int64_t> tops;
  for (const storage::UserKey& user : users) {
    const auto found = state_.inboxes.find(user.identity.endpoint);
    tops.push_back(found == state_.inboxes.end() ? 0 : found->second.top);
  }
  return tops;
}

Result<std::string> ModelMessageStore::epoch() const {
  if (failing) return fail(ErrorCode::kStoreFailed, "simulated");
  return state_.epoch;
}

}  // namespace countersign::gateway::simulation

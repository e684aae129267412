// What must hold in a run of the message simulation: of cursors at any moment, of everything when
// it has come to rest.
#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "gateway/message_simulation_world.h"

namespace countersign::gateway::simulation {
namespace {

// What a device must have heard of an entry: what it sent itself comes as a stub.
Heard truth_of(const ModelMessageStore::InboxRow& row, const std::string& device) {
  using storage::EntryKind;
  const storage::Message& message = row.message;
  Heard truth{"gone", {}, {}, message.conversation, message.seq, {}, row.chain};
  if (row.kind == EntryKind::kGone) return truth;
  truth.kind = row.kind == EntryKind::kGroup  ? "group"
               : row.kind == EntryKind::kSent ? "sent"
                                              : "message";
  truth.sender = message.sender.endpoint;
  truth.msg_id = message.id;
  const bool stub = row.kind == EntryKind::kSent && message.device == device;
  if (!stub) truth.text = text_in(message.body, "text");
  return truth;
}

}  // namespace

void MessageWorld::check_cursors() {
  const auto& state = messages_.state();
  for (const SimulatedDevice& device : devices_) {
    const std::string user = user_name(device.user);
    const auto stored = state.devices.find({user, device.name});
    if (stored == state.devices.end() || stored->second.epoch != state.epoch) continue;
    const auto highest = highest_pushed_.find({device.name, state.epoch});
    if (highest == highest_pushed_.end()) continue;
    // Frames of this step that have not been looked at count, too.
    if (device.channel && device.read < device.channel->frames.size()) continue;
    // Attaching raises a cursor to the floor: there is nothing below.
    const std::int64_t floor = state.inboxes.at(user).floor;
    if (stored->second.cursor > std::max(highest->second, floor)) {
      complain("the cursor of " + device.name + " passed what was pushed");
    }
  }
}

// Lets everything be done that is under way.
void MessageWorld::rest(bool unlucky) {
  const auto busy = [](const auto& node) { return node->tasks.size() > 0 || !node->shard.idle(); };
  int turns = 0;
  do {
    if (++turns > 500) return complain("it does not come to rest");
    while (messages_.waiting() > 0) messages_.decide(0, ModelMessageStore::Fate::kCommit);
    while (bus_.on_the_way() > 0) {
      if (unlucky && dice_.chance(30)) {
        bus_.drop(0);
      } else {
        bus_.deliver(0, false);
      }
    }
    work(true);
    look();
  } while (!fault_ && (messages_.waiting() > 0 || bus_.on_the_way() > 0 ||
                       std::any_of(nodes_.begin(), nodes_.end(), busy)));
}

void MessageWorld::settle() {
  settling_ = true;
  messages_.failing = messages_.unheard = false;
  for (int node = 0; node < kNodes; ++node) {
    if (bus_.away(node)) bus_.reconnect(node);
  }
  // 30 s, in which everybody who is away comes back, and everybody is quick. At first those who
  // send have bad luck with the bus once more.
  for (int round = 0; round < 30 && !fault_; ++round) {
    pass(milliseconds(1'000));
    rest(round < 4);
    for (SimulatedDevice& device : devices_) {
      if (!device.channel) {
        connect(device);
      } else if (device.in) {
        device.channel->queued = 0;
        handle_some(device);
        acknowledge(device);
        if (round > 4) continue;
        const std::vector<MessageCommand> unsent = device.unsent;
        for (const MessageCommand& message : unsent) command(device, message);
      }
    }
    look();
  }
  rest(false);
  if (fault_) return;
  check_acknowledged();
  referee_.follow(messages_.state().events);
  if (referee_.fault()) complain(*referee_.fault());
  if (auto wrong = referee_.judge(messages_.state(), removed_)) complain(*std::move(wrong));
  check_devices();
}

void MessageWorld::check_acknowledged() {
  referee_.follow(messages_.state().events);
  for (const Acknowledged& message : acknowledged_) {
    const std::string sender = user_name(message.sender);
    const Referee::Verdict* verdict = referee_.find(message.conversation, message.seq);
    const bool accepted =
        verdict != nullptr && verdict->sender == sender && verdict->msg_id == message.msg_id;
    if (message.to_group) {
      // Whom it concerned, and that they have it, is the referee's business.
      if (!accepted) complain("acknowledged to " + sender + ", but not in the group");
      continue;
    }
    const std::string to = user_name(message.to);
    if (removed_.contains({to, sender + ' ' + message.msg_id})) continue;
    const auto inbox = messages_.state().inboxes.find(to);
    const bool there =
        inbox != messages_.state().inboxes.end() &&
        std::any_of(inbox->second.rows.begin(), inbox->second.rows.end(), [&](const auto& row) {
          return row.message.id == message.msg_id && row.message.sender.endpoint == sender;
        });
    if (!there) complain("acknowledged to " + sender + ", but not in the inbox of " + to);
    if (!accepted) complain("acknowledged to " + sender + " in another place");
  }
}

void MessageWorld::check_devices() {
  for (const SimulatedDevice& device : devices_) {
    if (!device.in) return complain(device.name + " could not come back");
    for (const auto& [id, command] : device.commands) {
      if (command.replies != 1) complain("no reply to " + command.verb);
    }
    const auto found = messages_.state().inboxes.find(user_name(device.user));
    if (found == messages_.state().inboxes.end()) continue;
    const auto& inbox = found->second;
    for (std::int64_t offset = device.base + 1; offset <= inbox.top; ++offset) {
      if (!device.handled.contains(offset)) {
        return complain(device.name + " never got entry " + std::to_string(offset));
      }
    }
    check_handled(device, inbox);
  }
}

// In order, the same as stands in the inbox, and, where that is removed, the same for everybody.
void MessageWorld::check_handled(const SimulatedDevice& device,
                                 const ModelMessageStore::Inbox& inbox) {
  const std::string user = user_name(device.user);
  std::map<std::string, std::int64_t> seqs;
  for (const auto& [offset, heard] : device.handled) {
    if (heard.seq <= seqs[heard.conversation]) complain("a conversation is out of order");
    seqs[heard.conversation] = heard.seq;
    if (offset > inbox.top) return complain(device.name + " has more than there is");
    for (const auto& row : inbox.rows) {
      if (row.offset == offset && heard != truth_of(row, device.name)) {
        return complain(device.name + " has another entry " + std::to_string(offset) +
                        " than the inbox");
      }
    }
    const Referee::Verdict* verdict = referee_.find(heard.conversation, heard.seq);
    const bool own_place = verdict != nullptr && verdict->people.contains(user) &&
                           (heard.kind == "gone" ||
                            (heard.sender == verdict->sender && heard.msg_id == verdict->msg_id));
    if (!own_place) return complain(device.name + " was shown what is not for them");
  }
}

}  // namespace countersign::gateway::simulation

// What must hold in a run of the message simulation, whatever happens.
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "gateway/message_simulation_world.h"

namespace countersign::gateway::simulation {
namespace {

std::int64_t number_in(std::string_view text, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\":";
  const std::size_t at = text.find(key);
  return at == std::string_view::npos
             ? 0
             : std::atoll(std::string(text.substr(at + key.size(), 20)).c_str());
}

std::string raw_bytes(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return out;
}

Heard heard_in(const std::string& entry, const std::string& own_name) {
  Heard heard;
  heard.msg_id = text_in(entry, "msg_id");
  heard.conversation = text_in(entry, "conv");
  heard.seq = number_in(entry, "seq");
  heard.chain = raw_bytes(text_in(entry, "chain"));
  const bool stub = entry.find("\"stub\":true") != std::string::npos;
  heard.sender = stub ? own_name : text_in(entry, "endpoint");
  return heard;
}

}  // namespace

void MessageWorld::look() {
  check_cursors();
  for (SimulatedDevice& device : devices_) {
    if (!device.channel) continue;
    const std::vector<std::string>& frames = device.channel->frames;
    for (; device.read < frames.size() && !fault_; ++device.read) see(device, frames[device.read]);
    if (device.answer_ping) {
      device.answer_ping = false;
      device.channel->receive("{}");
    }
    if (device.channel->sent_after_close) complain("a frame was sent after the close");
    if (!device.channel->closing()) continue;
    for (const auto& [id, command] : device.commands) {
      if (command.replies == 0) complain("closed without a reply to " + command.verb);
    }
    page_dies(device);
  }
}

void MessageWorld::see(SimulatedDevice& device, const std::string& frame) {
  trace(device, "<-", frame);
  unsigned id = 0;
  if (frame == "{}") {
    device.answer_ping = true;
  } else if (std::sscanf(frame.c_str(), "{\"id\":%u,", &id) == 1) {
    see_reply(device, id, frame);
  } else if (frame.starts_with("{\"push\":{\"inbox\":")) {
    see_entries(device, frame);
  } else if (frame.starts_with("{\"push\":{\"reset\":")) {
    see_inbox_state(device, frame, true);
  }
}

void MessageWorld::see_reply(SimulatedDevice& device, std::uint32_t id, const std::string& frame) {
  const auto found = device.commands.find(id);
  if (found == device.commands.end()) return complain("a reply to no command: " + frame);
  MessageCommand& command = found->second;
  if (++command.replies > 1) return complain("a second reply to one command: " + frame);
  if (command.verb == "sync") device.syncing = false;
  if (frame.find("\"error\":{") != std::string::npos) {
    if (command.verb == "ack") device.acknowledged.reset();  // once more
    const std::int64_t code = number_in(frame, "code");
    const bool temporary = code == 100 || code == 111 || code == 113;
    if (command.verb == "send" && !temporary) complain("a message was refused: " + frame);
    return;
  }
  if (command.forbidden) return complain("an ack of what was not pushed was taken: " + frame);
  if (command.verb == "connect") {
    device.in = true;
    return see_inbox_state(device, frame, frame.find("\"recovered\":false") != std::string::npos);
  }
  if (command.verb == "sync") {
    return see_inbox_state(device, frame, frame.find("\"recovered\":false") != std::string::npos);
  }
  if (command.verb != "send") return;
  const std::string msg_id = command.msg_id;
  const bool first = std::erase_if(device.unsent, [&](const MessageCommand& unsent) {
                       return unsent.msg_id == msg_id;
                     }) > 0;
  // What was committed before a restore, and heard of after it, may be gone with the rest.
  if (first && command.restores == restores_) {
    acknowledged_.push_back({device.user, command.to, msg_id});
  }
}

// The stream goes on after `from`; `told`: it may not be what the device thinks.
void MessageWorld::see_inbox_state(SimulatedDevice& device, const std::string& frame, bool told) {
  protocol::ClientPosition from{text_in(frame, "epoch"), number_in(frame, "from"),
                                raw_bytes(text_in(frame, "from_chain"))};
  device.pushed.clear();
  if (told) {
    device.handled.clear();
    device.base = from.offset;
    device.note = from;
  } else if (device.note && from != *device.note) {
    complain("recovered, but not where the device stands: " + frame);
  }
  device.at = from;
  std::int64_t& highest = highest_pushed_[{device.name, from.epoch}];
  highest = std::max(highest, from.offset);
}

void MessageWorld::see_entries(SimulatedDevice& device, const std::string& frame) {
  if (!device.in) return complain("pushed before connect: " + frame);
  if (text_in(frame, "epoch") != device.at.epoch) complain("pushed of another epoch: " + frame);
  constexpr std::string_view kBegin = "{\"offset\":";
  for (std::size_t at = frame.find(kBegin); at != std::string::npos;) {
    const std::size_t next = frame.find(kBegin, at + 1);
    const std::string entry = frame.substr(at, next - at);
    at = next;
    const std::int64_t offset = number_in(entry, "offset");
    if (offset != device.at.offset + 1) {
      return complain("an entry does not follow " + std::to_string(device.at.offset) + ": " +
                      entry);
    }
    if (device.handled.contains(offset)) return complain("handled, and came again: " + entry);
    Heard heard = heard_in(entry, user_name(device.user));
    device.at.offset = offset;
    device.at.chain = heard.chain;
    device.pushed[offset] = std::move(heard);
    std::int64_t& highest = highest_pushed_[{device.name, device.at.epoch}];
    highest = std::max(highest, offset);
  }
}

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
  messages_.failing = false;
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
        for (const MessageCommand& message : unsent) send_again(device, message);
      }
    }
    look();
  }
  rest(false);
  if (fault_) return;
  check_acknowledged();
  check_devices();
}

void MessageWorld::check_acknowledged() {
  for (const Acknowledged& message : acknowledged_) {
    const std::string sender = user_name(message.sender);
    const std::string to = user_name(message.to);
    if (removed_.contains({to, sender + ' ' + message.msg_id})) continue;
    const auto inbox = messages_.state().inboxes.find(to);
    const bool there =
        inbox != messages_.state().inboxes.end() &&
        std::any_of(inbox->second.rows.begin(), inbox->second.rows.end(), [&](const auto& row) {
          return row.message.id == message.msg_id && row.message.sender.endpoint == sender;
        });
    if (!there) complain("acknowledged to " + sender + ", but not in the inbox of " + to);
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
    std::map<std::string, std::int64_t> seqs;
    for (const auto& [offset, heard] : device.handled) {
      if (heard.seq <= seqs[heard.conversation]) complain("a conversation is out of order");
      seqs[heard.conversation] = heard.seq;
      if (offset > inbox.top) return complain(device.name + " has more than there is");
      for (const auto& row : inbox.rows) {
        if (row.offset != offset) continue;
        const Heard truth{row.message.sender.endpoint, row.message.id, row.message.conversation,
                          row.message.seq, row.chain};
        if (heard != truth) {
          return complain(device.name + " has another entry " + std::to_string(offset) +
                          " than the inbox");
        }
      }
    }
  }
}

}  // namespace countersign::gateway::simulation

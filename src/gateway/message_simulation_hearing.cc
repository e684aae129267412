// What devices hear in a run of the message simulation, frame by frame, and what must hold of it at
// once: whom replies and receipts are about, why something is refused, what follows what.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/inbox_text.h"
#include "gateway/message_simulation_world.h"

namespace countersign::gateway::simulation {
namespace {

// 0 if there is none.
std::int64_t number_in(std::string_view text, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\":";
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return 0;
  std::int64_t number = 0;
  (void)std::from_chars(text.data() + at + key.size(), text.data() + text.size(), number);
  return number;
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
  heard.kind = text_in(entry, "kind");
  heard.msg_id = text_in(entry, "msg_id");
  heard.conversation = text_in(entry, "conv");
  heard.seq = number_in(entry, "seq");
  heard.text = text_in(entry, "text");
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
  if (frame == "{}") {
    device.answer_ping = true;
  } else if (frame.starts_with("{\"id\":")) {
    see_reply(device, static_cast<std::uint32_t>(number_in(frame, "id")), frame);
  } else if (frame.starts_with("{\"push\":{\"inbox\":")) {
    see_entries(device, frame);
  } else if (frame.starts_with("{\"push\":{\"reset\":")) {
    see_inbox_state(device, frame, true);
  } else if (frame.starts_with("{\"push\":{\"receipts\":")) {
    see_receipts(device, frame);
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
    return see_refusal(device, command, number_in(frame, "code"), frame);
  }
  if (command.forbidden) return complain("an ack of what was not pushed was taken: " + frame);
  if (command.verb == "connect") {
    device.in = true;
    return see_inbox_state(device, frame, frame.find("\"recovered\":false") != std::string::npos);
  }
  if (command.verb == "sync") {
    return see_inbox_state(device, frame, frame.find("\"recovered\":false") != std::string::npos);
  }
  if (command.msg_id.empty()) return;
  const std::string msg_id = command.msg_id;
  const bool first = std::erase_if(device.unsent, [&](const MessageCommand& unsent) {
                       return unsent.msg_id == msg_id;
                     }) > 0;
  // What was committed before a restore, and heard of after it, may be gone with the rest.
  if (first && command.restores == restores_) {
    acknowledged_.push_back({device.user, command.to, msg_id, text_in(frame, "conv"),
                             number_in(frame, "seq"), command.to_group()});
  }
}

// A message that is refused for good is not sent again. There has to be a reason.
void MessageWorld::see_refusal(SimulatedDevice& device, const MessageCommand& command,
                               std::int64_t code, const std::string& frame) {
  const bool temporary = code == 100 || code == 111 || code == 113;
  if (command.msg_id.empty() || temporary) return;
  std::erase_if(device.unsent,
                [&](const MessageCommand& unsent) { return unsent.msg_id == command.msg_id; });
  if (restores_ > 0) return;  // what the reason was may be gone
  referee_.follow(messages_.state().events);
  const std::string user = user_name(device.user);
  const bool change = command.verb == "group";
  bool reason = false;
  switch (static_cast<ErrorCode>(code)) {
    case ErrorCode::kBlocked:
      reason = !command.to_group() && referee_.ever_blocked(user_name(command.to), user);
      break;
    case ErrorCode::kPermissionDenied:
      reason = command.to_group() && !(command.entitled && entitled(device, command));
      break;
    case ErrorCode::kBadState:
      reason = change && !command.group.empty();
      break;
    default:
      break;
  }
  if (!reason) complain("a message was refused: " + frame);
}

// Receipts count people whom the message concerned, and to whom something was shown.
void MessageWorld::see_receipts(const SimulatedDevice& device, const std::string& frame) {
  if (restores_ > 0) return;  // it may be about what was
  referee_.follow(messages_.state().events);
  const std::string conversation = text_in(frame, "conv");
  const auto reached = [&](const Reached& how_far, const std::string& user, std::int64_t seq) {
    const auto found = how_far.find({user, conversation});
    return found != how_far.end() && found->second >= seq;
  };
  const std::int64_t seq = number_in(frame, "seq");
  const std::int64_t delivered = number_in(frame, "delivered");
  if (seq == 0) {  // of one person: the other one, or oneself on another device
    const Referee::Verdict* verdict = referee_.find(conversation, delivered);
    const std::string who = text_in(frame, "endpoint");
    const bool may_hear = !is_group(conversation) || who == user_name(device.user);
    // It covers what they may read up to there, so it may stand where they were away.
    if (verdict == nullptr || !referee_.ever_concerned(conversation, delivered, who) || !may_hear) {
      return complain("a receipt of somebody who was no member: " + frame);
    }
    // Who had everything before they sent has what they sent, too: nobody had to show it to them.
    const auto follows = [&](std::int64_t how_far, const auto& caused) {
      while (how_far > 0 && !caused(how_far)) {
        const Referee::Verdict* own = referee_.find(conversation, how_far);
        if (own == nullptr || own->sender != who) return false;
        --how_far;
      }
      return true;
    };
    const auto asked = [&](std::int64_t how_far) { return reached(asked_read_, who, how_far); };
    const auto got = [&](std::int64_t how_far) {
      return reached(shown_, who, how_far) || asked(how_far);
    };
    if (!follows(delivered, got)) complain("a receipt without a delivery: " + frame);
    if (!follows(number_in(frame, "read"), asked)) {
      complain("a receipt of what nobody said they had read: " + frame);
    }
    return;
  }
  const Referee::Verdict* verdict = referee_.find(conversation, seq);
  if (verdict == nullptr || verdict->sender != user_name(device.user) || verdict->change) {
    return complain("receipts of what was not sent: " + frame);
  }
  std::int64_t members = 0;
  std::int64_t may_have = 0;
  std::int64_t may_have_read = 0;
  for (const std::string& user : verdict->people) {
    if (user == verdict->sender) continue;
    ++members;
    const bool read = reached(asked_read_, user, seq);
    if (read || reached(shown_, user, seq)) ++may_have;
    if (read) ++may_have_read;
  }
  if (delivered > may_have || number_in(frame, "read") > may_have_read ||
      number_in(frame, "of") != members) {
    complain("a receipt of somebody who was no member, or without a delivery: " + frame);
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
    std::int64_t& shown = shown_[{user_name(device.user), heard.conversation}];
    shown = std::max(shown, heard.seq);
    device.at.offset = offset;
    device.at.chain = heard.chain;
    device.pushed[offset] = std::move(heard);
    std::int64_t& highest = highest_pushed_[{device.name, device.at.epoch}];
    highest = std::max(highest, offset);
  }
}

}  // namespace countersign::gateway::simulation

// What clients do in a run of the message simulation: they come, listen, acknowledge, send to
// people and to groups, change groups, block each other, and die.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "countersign/user_ticket.h"

#include "gateway/message_simulation_world.h"
#include "protocol/client_messages.h"

namespace countersign::gateway::simulation {

void MessageWorld::connect(SimulatedDevice& device) {
  device.node = static_cast<int>(dice_.below(kNodes));
  MessageNode& node = node_of(device);
  device.channel = std::make_unique<FakeChannel>(node.shard);
  device.channel->open(std::make_unique<GatewayConnection>(node.context, node.hub.shard(0), "test",
                                                           &node.messaging.mailroom(0)));
  RawUserTicket raw{identity(device.user),
                    kApplication,
                    std::chrono::floor<seconds>(wall_.now()),
                    std::chrono::hours(12),
                    {}};
  protocol::Connect connect;
  connect.user_ticket = mint_user_ticket(*ring(), raw)->text();
  connect.device = device.name;
  connect.messaging = true;
  connect.resume = device.note;
  command(device, {"connect", std::move(connect)});
}

void MessageWorld::client_acts(SimulatedDevice& device) {
  switch (dice_.below(26)) {
    case 0:
      return sync(device);
    case 1: {
      protocol::Ack beyond{device.at.epoch,
                           device.at.offset + 1 + static_cast<std::int64_t>(dice_.below(3))};
      MessageCommand forbidden{"ack", std::move(beyond)};
      forbidden.forbidden = true;
      return command(device, std::move(forbidden));
    }
    case 2:
    case 3:
    case 4:
    case 5:
      return acknowledge(device);
    case 6:
    case 7:
      if (!device.unsent.empty()) command(device, dice_.pick(device.unsent));
      return;
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
    case 13:
      return send_message(device);
    case 14:
    case 15:
    case 16:
      return change_group(device);
    case 17:
      return read_some(device);
    case 18:
      if (dice_.chance(50)) block_somebody(device);
      return;
    default:
      return handle_some(device);
  }
}

void MessageWorld::handle_some(SimulatedDevice& device) {
  if (device.syncing) return;
  std::size_t count = 1 + dice_.below(4);
  if (settling_) count = device.pushed.size();
  for (; count > 0 && !device.pushed.empty(); --count) {
    const auto entry = device.pushed.begin();
    device.note = protocol::ClientPosition{device.at.epoch, entry->first, entry->second.chain};
    device.handled[entry->first] = entry->second;
    device.pushed.erase(entry);
  }
}

void MessageWorld::acknowledge(SimulatedDevice& device) {
  if (!device.note || device.note->epoch != device.at.epoch) return;
  if (settling_ && device.note == device.acknowledged) return;
  device.acknowledged = device.note;
  command(device, {"ack", protocol::Ack{device.at.epoch, device.note->offset}});
}

// To somebody, or into a group, whether they belong to it or not.
void MessageWorld::send_message(SimulatedDevice& device) {
  protocol::Send send;
  MessageCommand message{"send", {}};
  const std::vector<std::string> known = groups();
  if (!known.empty() && dice_.chance(60)) {
    message.group = send.to.id = known[dice_.below(known.size())];
  } else {
    message.to = dice_.below(kUsers);
    send.to.users = {identity(message.to)};
  }
  message.content = std::move(send);
  send_first(device, std::move(message));
}

void MessageWorld::make_group(SimulatedDevice& device) {
  protocol::ChangeGroup create;
  create.action = protocol::ChangeGroup::Action::kCreate;
  create.name = "Friends";
  create.users = some_people();
  send_first(device, {"group", std::move(create)});
}

void MessageWorld::change_group(SimulatedDevice& device) {
  using Action = protocol::ChangeGroup::Action;
  const std::vector<std::string> known = groups();
  if (known.size() < kGroups && dice_.chance(20)) return make_group(device);
  if (known.empty()) return;
  protocol::ChangeGroup change;
  change.conversation = known[dice_.below(known.size())];
  const std::size_t what = dice_.below(10);
  change.action = what < 4   ? Action::kAdd
                  : what < 8 ? Action::kRemove
                  : what < 9 ? Action::kLeave
                             : Action::kRename;
  if (what < 8) {
    // Mostly those whom it can be done to.
    change.users = some_people();
    const auto& people = messages_.state().conversations.at(change.conversation).people;
    const std::size_t maker = dice_.below(100);
    std::erase_if(change.users, [&](const Identity& user) {
      const auto found = people.find(user.endpoint);
      const bool present = found != people.end() && found->second.present();
      const bool fits = present == (change.action == Action::kRemove);
      const bool admin = present && found->second.admin;
      return maker < 90 && (!fits || admin);
    });
    if (change.users.empty()) return;
  }
  if (what == 9) change.name = "Friends of " + std::to_string(dice_.below(3));
  MessageCommand message{"group", {}};
  message.group = change.conversation;
  message.content = std::move(change);
  send_first(device, std::move(message));
}

// Notes the message, so that it is sent until it is answered for good.
void MessageWorld::send_first(SimulatedDevice& device, MessageCommand message) {
  if (device.unsent.size() >= 6) return;
  message.msg_id = "id-" + std::to_string(++sent_[device.user]);
  if (auto* send = std::get_if<protocol::Send>(&message.content)) {
    send->msg_id = message.msg_id;
    send->body = "\"text\":\"" + user_name(device.user) + " says " + message.msg_id + "\"";
  } else {
    std::get<protocol::ChangeGroup>(message.content).msg_id = message.msg_id;
  }
  device.unsent.push_back(message);
  command(device, std::move(message));
}

// Says that something was read: what was handled, or more than that.
void MessageWorld::read_some(SimulatedDevice& device) {
  if (device.handled.empty()) return;
  auto entry = device.handled.begin();
  std::advance(entry, static_cast<std::ptrdiff_t>(dice_.below(device.handled.size())));
  const Heard& heard = entry->second;
  protocol::Read read;
  read.conversation.id = heard.conversation;
  read.seq = heard.seq;
  if (dice_.chance(10)) read.seq += static_cast<std::int64_t>(1 + dice_.below(3));
  std::int64_t& asked = asked_read_[{user_name(device.user), heard.conversation}];
  asked = std::max(asked, read.seq);
  command(device, {"read", std::move(read)});
}

void MessageWorld::block_somebody(SimulatedDevice& device) {
  const std::size_t other = dice_.below(kUsers);
  if (other == device.user) return;
  const bool blocked =
      !messages_.state().blocks.contains({user_name(device.user), user_name(other)});
  command(device, {"block", protocol::Block{identity(other), blocked}});
}

std::vector<std::string> MessageWorld::groups() const {
  std::vector<std::string> out;
  for (const auto& [id, conversation] : messages_.state().conversations) {
    if (conversation.group) out.push_back(id);
  }
  return out;
}

std::vector<Identity> MessageWorld::some_people() {
  std::vector<Identity> out;
  for (std::size_t user = 0; user < kUsers; ++user) {
    if (dice_.chance(60)) out.push_back(identity(user));
  }
  return out;
}

void MessageWorld::sync(SimulatedDevice& device) {
  if (!device.note || device.note->epoch != device.at.epoch || device.syncing) return;
  device.syncing = true;
  command(device, {"sync", protocol::Sync{*device.note}});
}

// May do this to the group, and always could since they came to it.
bool MessageWorld::entitled(const SimulatedDevice& device, const MessageCommand& what) {
  if (what.group.empty()) return false;
  referee_.follow(messages_.state().events);
  const std::string user = user_name(device.user);
  return what.verb == "group" ? referee_.made_and_never_left(user, what.group)
                              : referee_.never_left(user, what.group);
}

void MessageWorld::command(SimulatedDevice& device, MessageCommand what) {
  if (!device.channel || !device.channel->is_open()) return;
  const std::uint32_t id = ++device.last_id;
  what.restores = restores_;
  what.entitled = entitled(device, what);
  const std::string frame = protocol::encode_command({id, what.content});
  device.commands[id] = std::move(what);
  trace(device, "->", frame);
  device.channel->receive(frame);
}

// What clients say and hear, for looking into one seed.
void MessageWorld::trace(const SimulatedDevice& device, const char* arrow,
                         const std::string& frame) const {
  static const bool wanted = std::getenv("COUNTERSIGN_SIMULATION_TRACE") != nullptr;
  if (!wanted) return;
  const auto ms = std::chrono::duration_cast<milliseconds>(clock_.steady().time_since_epoch());
  std::fprintf(stderr, "%lld %s %s %s\n", static_cast<long long>(ms.count()), device.name.c_str(),
               arrow, frame.c_str());
}

// The tab is closed, the laptop's lid, or the line is cut. What was not noted is forgotten.
void MessageWorld::page_dies(SimulatedDevice& device) {
  device.channel->lose();
  device.channel.reset();
  device.in = false;
  device.pushed.clear();
  device.commands.clear();
  device.last_id = 0;
  device.read = 0;
  device.answer_ping = false;
  device.syncing = false;
  device.acknowledged.reset();
}

}  // namespace countersign::gateway::simulation

// What can happen in a run of the message simulation.
#include "gateway/message_simulation.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "countersign/user_ticket.h"

#include "gateway/message_simulation_world.h"
#include "protocol/client_messages.h"

namespace countersign::gateway {
namespace simulation {
namespace {

constexpr std::string_view kMasterKey = "0123456789abcdef0123456789abcdef";
constexpr auto kNever = std::chrono::hours(1'000'000);

StoreMutants store_mutants(MessageMutant mutant) {
  StoreMutants mutants;
  mutants.acknowledge_before_commit = mutant == MessageMutant::kAcknowledgeBeforeCommit;
  mutants.offsets_from_sequence = mutant == MessageMutant::kSequenceOffsets;
  mutants.no_chain_check = mutant == MessageMutant::kRestoreUnnoticed;
  mutants.dedupe_by_msg_id_alone = mutant == MessageMutant::kDedupeByIdAlone;
  mutants.reuse_offsets = mutant == MessageMutant::kOffsetReused;
  mutants.read_in_two_steps = mutant == MessageMutant::kTwoStatementResume;
  return mutants;
}

}  // namespace

MachineConfig MessageNode::machine_config(MessageMutant mutant) {
  MachineConfig config;
  config.limits.command_burst = 100'000;
  config.limits.commands_per_second = 100'000;
  config.inbox.window_entries = 4;  // so that windows fill
  config.inbox.frame_bytes = 300;
  config.inbox.trust_pages = mutant == MessageMutant::kTwoStatementResume;
  if (mutant == MessageMutant::kNeverReadAgain) config.inbox.second_read = kNever;
  return config;
}

MessagingSetup MessageNode::setup(bus::Bus& bus, MessageMutant mutant) {
  MessagingOptions options;
  options.desk.budget = {1e9, 1e9, 1'024};
  options.presence_mode = PresenceMode::kOff;
  options.mailroom.trust_subjects = mutant == MessageMutant::kSubjectTrusted;
  if (mutant == MessageMutant::kNeverReadAgain) {
    options.mailroom.sweep_period = options.mailroom.away_period = kNever;
  }
  return {options, bus, nullptr, base::as_bytes(kMasterKey)};
}

MessageNode::MessageNode(int number_, const base::Clock& wall, ModelStore& store,
                         ModelMessageStore& messages_, ModelBus& model_bus, base::Random& random,
                         MessageMutant mutant)
    : number(number_),
      messages(messages_),
      config(machine_config(mutant)),
      tickets(&ring, Policy::default_policy(), {0, 0}),
      instances(store, store, store, {SessionLimits{}, 50}),
      poller({}, store, wall),
      hub({1, 50, milliseconds(100)}, wall, random, shared_metrics()),
      message_store(messages_, number_),
      bus(model_bus, number_),
      messaging(setup(bus, mutant), message_store, hub, tasks, wall, random, shared_metrics()),
      context{config, keys,   tickets,          instances, poller,    tasks,
              wall,   random, shared_metrics(), accepted,  &messaging} {
  (void)poller.begin();
}

MessageNode::~MessageNode() { tasks.drop_all(); }

MessageWorld::MessageWorld(std::uint64_t seed, MessageMutant mutant)
    : dice_(seed), random_(seed ^ 0xABCDEF), mutant_(mutant) {
  messages_.mutants = store_mutants(mutant);
  for (int number = 0; number < kNodes; ++number) start_node(number);
  for (std::size_t user = 0; user < kUsers; ++user) {
    for (std::size_t i = 0; i < (user == 2 ? 1 : 2); ++i) {
      SimulatedDevice device;
      device.user = user;
      device.name = user_name(user) + std::to_string(i);
      devices_.push_back(std::move(device));
    }
  }
}

MessageWorld::~MessageWorld() {
  for (SimulatedDevice& device : devices_) device.channel.reset();
  for (auto& node : nodes_) {
    messages_.lose_node(node->number, [] { return false; });
    node.reset();
  }
}

std::optional<std::string> MessageWorld::run() {
  // All devices come once, so that everything that is sent concerns all of them.
  for (SimulatedDevice& device : devices_) connect(device);
  for (int i = 0; i < 6; ++i) work(true);
  look();
  const std::size_t steps = 40 + dice_.below(120);
  for (std::size_t i = 0; i < steps && !fault_; ++i) {
    step();
    look();
  }
  if (!fault_) settle();
  return fault_;
}

void MessageWorld::step() {
  SimulatedDevice& device = dice_.pick(devices_);
  switch (dice_.below(24)) {
    case 0:
    case 1:
      if (!device.channel) connect(device);
      return;
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
      if (device.in) client_acts(device);
      return;
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
    case 13:
      return work(false);
    case 14:
    case 15:
    case 16:
      return bus_acts();
    case 17:
    case 18:
    case 19:
      return store_acts();
    case 20:
      return pass(milliseconds(1 + dice_.below(700)));
    case 21:
      if (device.channel && dice_.chance(40)) page_dies(device);
      return;
    case 22:
      return trouble();
    default:
      if (dice_.chance(30)) pass(milliseconds(dice_.below(15'000)));
  }
}

// Lets threads of the nodes do something: one thing, or all there is.
void MessageWorld::work(bool all) {
  for (auto& node : nodes_) {
    if (all) {
      node->tasks.run_all();
      node->shard.run();
    } else if (dice_.chance(50)) {
      if (node->tasks.size() > 0) node->tasks.run(dice_.below(node->tasks.size()));
    } else if (!node->shard.idle()) {
      node->shard.run_one();
    }
  }
}

// What clients do.

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
  command(device, {"connect", {}, 0, false, 0, 0}, std::move(connect));
}

void MessageWorld::client_acts(SimulatedDevice& device) {
  switch (dice_.below(20)) {
    case 0:
      return sync(device);
    case 1: {
      protocol::Ack beyond{device.at.epoch,
                           device.at.offset + 1 + static_cast<std::int64_t>(dice_.below(3))};
      return command(device, {"ack", {}, 0, true, 0, 0}, std::move(beyond));
    }
    case 2:
    case 3:
    case 4:
    case 5:
      return acknowledge(device);
    case 6:
    case 7:
      if (!device.unsent.empty()) send_again(device, dice_.pick(device.unsent));
      return;
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
      return send_message(device);
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
  command(device, {"ack", {}, 0, false, 0, 0}, protocol::Ack{device.at.epoch, device.note->offset});
}

void MessageWorld::send_message(SimulatedDevice& device) {
  if (device.unsent.size() >= 6) return;
  MessageCommand message{
      "send", "id-" + std::to_string(++sent_[device.user]), dice_.below(kUsers), false, 0, 0};
  device.unsent.push_back(message);
  send_again(device, std::move(message));
}

void MessageWorld::send_again(SimulatedDevice& device, MessageCommand message) {
  protocol::Send send;
  send.msg_id = message.msg_id;
  send.to.users = {identity(message.to)};
  send.body = "\"text\":\"" + user_name(device.user) + " says " + message.msg_id + "\"";
  command(device, std::move(message), std::move(send));
}

void MessageWorld::sync(SimulatedDevice& device) {
  if (!device.note || device.note->epoch != device.at.epoch || device.syncing) return;
  device.syncing = true;
  command(device, {"sync", {}, 0, false, 0, 0}, protocol::Sync{*device.note});
}

void MessageWorld::command(SimulatedDevice& device, MessageCommand what,
                           decltype(protocol::Command::verb) verb) {
  if (!device.channel || !device.channel->is_open()) return;
  const std::uint32_t id = ++device.last_id;
  what.restores = restores_;
  device.commands[id] = std::move(what);
  const std::string frame = protocol::encode_command({id, std::move(verb)});
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

// What the surroundings do.

void MessageWorld::bus_acts() {
  if (bus_.on_the_way() == 0) return;
  const std::size_t index = dice_.chance(60) ? 0 : dice_.below(bus_.on_the_way());
  const std::size_t what = dice_.below(20);
  if (what < 2) return bus_.drop(index);
  if (what == 2) bus_.misroute(index, dice_.below(64));
  bus_.deliver(index, what == 3);
}

void MessageWorld::store_acts() {
  using Fate = ModelMessageStore::Fate;
  if (messages_.waiting() == 0) return;
  const std::size_t what = dice_.below(20);
  const Fate fate = what == 0   ? Fate::kFail
                    : what == 1 ? Fate::kUnknownLost
                    : what == 2 ? Fate::kUnknownCommitted
                                : Fate::kCommit;
  messages_.decide(dice_.below(messages_.waiting()), fate);
}

void MessageWorld::trouble() {
  const int node = static_cast<int>(dice_.below(kNodes));
  switch (dice_.below(10)) {
    case 0:
      messages_.failing = !messages_.failing;
      return;
    case 1:
      clock_.jump(seconds(static_cast<long>(dice_.below(20'000)) - 10'000));
      return;
    case 2:
    case 3:
      return restart_node(node);
    case 4:
    case 5:
      if (bus_.away(node)) {
        bus_.reconnect(node);
      } else {
        bus_.cut_off(node);
      }
      return;
    case 6: {
      const std::string user = user_name(dice_.below(kUsers));
      const auto inbox = messages_.state().inboxes.find(user);
      if (inbox == messages_.state().inboxes.end()) return;
      std::size_t count = dice_.below(inbox->second.rows.size() + 1);
      if (mutant_ == MessageMutant::kOffsetReused) count = inbox->second.rows.size();
      for (std::size_t i = 0; i < count; ++i) {
        const auto& message = inbox->second.rows[i].message;
        removed_.emplace(user, message.sender.endpoint + ' ' + message.id);
      }
      messages_.remove_old(user, count);
      return;
    }
    case 7:
      if (!copy_) {
        copy_ = messages_.state();
        acknowledged_at_copy_ = acknowledged_.size();
      } else if (dice_.chance(50)) {
        messages_.restore(*copy_);
        ++restores_;
        acknowledged_.resize(std::min(acknowledged_.size(), acknowledged_at_copy_));
        copy_.reset();
      }
      return;
    default:
      for (SimulatedDevice& device : devices_) {
        if (device.channel) device.channel->queued = dice_.chance(20) ? 200 * 1024 : 0;
      }
  }
}

void MessageWorld::start_node(int number) {
  nodes_[static_cast<std::size_t>(number)] =
      std::make_unique<MessageNode>(number, wall_, store_, messages_, bus_, random_, mutant_);
}

// kill -9: connections drop, and what the node had under way is lost, or was done and nobody knows.
void MessageWorld::restart_node(int number) {
  for (SimulatedDevice& device : devices_) {
    if (device.channel && device.node == number) page_dies(device);
  }
  messages_.lose_node(number, [this] { return dice_.chance(50); });
  nodes_[static_cast<std::size_t>(number)].reset();
  start_node(number);
}

void MessageWorld::pass(milliseconds by) {
  clock_.advance(by);
  for (auto& node : nodes_) {
    if (settling_ || dice_.chance(80)) (void)node->poller.tick();
    node->messaging.tick();
  }
  for (SimulatedDevice& device : devices_) {
    if (device.channel) device.channel->fire_timer(clock_.steady());
  }
}

}  // namespace simulation

std::optional<std::string> run_message_schedule(std::uint64_t seed, MessageMutant mutant) {
  return simulation::MessageWorld(seed, mutant).run();
}

}  // namespace countersign::gateway

// The surroundings in a run of the message simulation: nodes, threads, bus, store and clock, and
// what can happen to them.
#include "gateway/message_simulation.h"

#include <algorithm>
#include <utility>

#include "gateway/message_simulation_world.h"

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
  GroupMutants& groups = mutants.groups;
  groups.fan_out_to_members_of_now = mutant == MessageMutant::kFanOutToMembersOfNow;
  groups.removed_still_served = mutant == MessageMutant::kRemovedStillServed;
  groups.removed_may_send = mutant == MessageMutant::kRemovedMaySend;
  groups.no_carbon = mutant == MessageMutant::kNoCarbonInGroups;
  groups.fan_out_overtaken = mutant == MessageMutant::kFanOutOvertaken;
  groups.counts_members_of_now = mutant == MessageMutant::kCountsMembersOfNow;
  groups.blocks_ignored = mutant == MessageMutant::kBlocksIgnoredInGroups;
  groups.reads_what_is_delivered = mutant == MessageMutant::kReadsWhatIsDelivered;
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
  options.desk.limits.direct_fan_out = 1;  // two people are written to at once, more by a job
  options.receipts.interval = milliseconds(0);
  options.presence_mode = PresenceMode::kOff;
  options.mailroom.trust_subjects = mutant == MessageMutant::kSubjectTrusted;
  if (mutant == MessageMutant::kNeverReadAgain) {
    options.mailroom.sweep_period = options.mailroom.away_period = kNever;
  }
  return {options, bus, nullptr, base::as_bytes(kMasterKey)};
}

MessageWorkerOptions MessageNode::worker_options() {
  MessageWorkerOptions options;
  options.fan_out_at_once = 1;  // so that much happens in between
  return options;
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
      publisher(bus, shared_metrics()),
      worker(worker_options(), message_store, *this, wall, shared_metrics()),
      context{config, keys,   tickets,          instances, poller,    tasks,
              wall,   random, shared_metrics(), accepted,  &messaging} {
  (void)poller.begin();
}

MessageNode::~MessageNode() { tasks.drop_all(); }

void MessageNode::on_fan_out(const storage::FanOut& entries) {
  publisher.entries(entries.application, entries.message, {}, {}, entries.deliveries);
}

void MessageNode::on_expired(const storage::Expired&) {}

MessageWorld::MessageWorld(std::uint64_t seed, MessageMutant mutant)
    : dice_(seed), random_(seed ^ 0xABCDEF), mutant_(mutant) {
  messages_.mutants = store_mutants(mutant);
  for (int number = 0; number < kNodes; ++number) start_node(number);
  for (std::size_t user = 0; user < kUsers; ++user) {
    for (std::size_t i = 0; i < (user < 2 ? 2 : 1); ++i) {
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
  make_group(devices_.front());
  const std::size_t steps = 40 + dice_.below(160);
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
    if (all || dice_.chance(10)) node->worker.wake();
    if (all || dice_.chance(30)) node->worker.step();
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
  switch (dice_.below(11)) {
    case 0:
      messages_.failing = !messages_.failing;
      return;
    case 10:
      messages_.unheard = !messages_.unheard;
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
        referee_ = Referee();
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

// The world of one run of the message simulation: the nodes, the devices, and what is known of
// every message. Not thread-safe: a run is one thread.
#ifndef COUNTERSIGN_GATEWAY_MESSAGE_SIMULATION_WORLD_H_
#define COUNTERSIGN_GATEWAY_MESSAGE_SIMULATION_WORLD_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/fake_clock.h"
#include "base/random.h"
#include "gateway/fake_channel.h"
#include "gateway/message_simulation.h"
#include "gateway/messaging.h"
#include "gateway/model_bus.h"
#include "gateway/model_message_store.h"
#include "gateway/model_store.h"
#include "gateway/simulation_node.h"
#include "protocol/command.h"

namespace countersign::gateway::simulation {

// A process that serves inboxes: what a restart takes away.
struct MessageNode {
  MessageNode(int number, const base::Clock& wall, ModelStore& store, ModelMessageStore& messages,
              ModelBus& model_bus, base::Random& random, MessageMutant mutant);
  ~MessageNode();

  static MachineConfig machine_config(MessageMutant mutant);
  static MessagingSetup setup(bus::Bus& bus, MessageMutant mutant);

  const int number;
  ModelMessageStore& messages;
  MachineConfig config;
  InstanceKeys keys{"key", base::as_bytes("0123456789abcdef0123456789abcdef")};
  TicketDesk tickets;
  InstanceDesk instances;
  RevocationPoller poller;
  FakeTasks tasks{256};
  FakeShard shard;
  Hub hub;
  NodeMessageStore message_store;
  NodeBus bus;
  Messaging messaging;
  base::Counter& accepted = shared_metrics().counter("accepted", "For the simulation.");
  ConnectionContext context;
};

// An entry as a device got it.
struct Heard {
  std::string sender;
  std::string msg_id;
  std::string conversation;
  std::int64_t seq = 0;
  std::string chain;  // raw
  friend bool operator==(const Heard&, const Heard&) = default;
};

// A command that waits for its reply.
struct MessageCommand {
  std::string verb;
  std::string msg_id;
  std::size_t to = 0;
  bool forbidden = false;  // it must be refused
  int replies = 0;
  int restores = 0;  // of the store, before it was sent
};

// A client's device. What it notes survives the death of its page; the rest does not.
struct SimulatedDevice {
  std::size_t user = 0;
  std::string name;

  // Noted.
  std::optional<protocol::ClientPosition> note;  // the last entry handled
  std::map<std::int64_t, Heard> handled;         // by offset, in the stream it was last told of
  std::int64_t base = 0;                         // where that stream began
  std::vector<MessageCommand> unsent;            // not acknowledged so far

  // Of the page.
  int node = 0;
  std::unique_ptr<FakeChannel> channel;
  bool in = false;
  protocol::ClientPosition at;           // after the last entry pushed
  std::map<std::int64_t, Heard> pushed;  // not handled yet
  std::map<std::uint32_t, MessageCommand> commands;
  std::uint32_t last_id = 0;
  std::size_t read = 0;  // frames looked at
  bool answer_ping = false;
  std::optional<protocol::ClientPosition> acknowledged;  // last, on this connection
  bool syncing = false;  // it does not handle anything meanwhile: that would come again
};

// One run: what can happen is in message_simulation.cc, what must hold in
// message_simulation_checks.cc.
class MessageWorld {
 public:
  MessageWorld(std::uint64_t seed, MessageMutant mutant);
  ~MessageWorld();
  std::optional<std::string> run();

 private:
  static constexpr std::size_t kUsers = 3;
  static constexpr int kNodes = 2;

  void complain(std::string what) {
    if (!fault_) fault_ = std::move(what);
  }
  static std::string user_name(std::size_t user) {
    return user == 0 ? "ann" : user == 1 ? "bob" : "eve";
  }
  static Identity identity(std::size_t user) { return {IdentityType::kUsername, user_name(user)}; }
  MessageNode& node_of(const SimulatedDevice& device) {
    return *nodes_[static_cast<std::size_t>(device.node)];
  }

  void trace(const SimulatedDevice& device, const char* arrow, const std::string& frame) const;

  // What can happen.

  void step();
  void work(bool all);
  void connect(SimulatedDevice& device);
  void client_acts(SimulatedDevice& device);
  void handle_some(SimulatedDevice& device);
  void acknowledge(SimulatedDevice& device);
  void send_message(SimulatedDevice& device);
  void send_again(SimulatedDevice& device, MessageCommand command);
  void sync(SimulatedDevice& device);
  void command(SimulatedDevice& device, MessageCommand what,
               decltype(protocol::Command::verb) verb);
  void page_dies(SimulatedDevice& device);
  void bus_acts();
  void store_acts();
  void trouble();
  void start_node(int number);
  void restart_node(int number);
  void pass(milliseconds by);

  // What must hold.

  void look();
  void see(SimulatedDevice& device, const std::string& frame);
  void see_reply(SimulatedDevice& device, std::uint32_t id, const std::string& frame);
  void see_inbox_state(SimulatedDevice& device, const std::string& frame, bool told);
  void see_entries(SimulatedDevice& device, const std::string& frame);
  void check_cursors();
  // Everything heals and comes to rest; then everybody has everything.
  void settle();
  void rest(bool unlucky);
  void check_acknowledged();
  void check_devices();

  struct Acknowledged {
    std::size_t sender;
    std::size_t to;
    std::string msg_id;
  };

  Dice dice_;
  base::SeededRandom random_;
  const MessageMutant mutant_;
  base::FakeClock clock_;
  base::MonotonicWallClock wall_{clock_};
  ModelStore store_;
  ModelMessageStore messages_;
  ModelBus bus_;
  std::array<std::unique_ptr<MessageNode>, kNodes> nodes_;
  std::vector<SimulatedDevice> devices_;  // go before the nodes
  std::vector<Acknowledged> acknowledged_;
  std::optional<ModelMessageStore::State> copy_;  // a backup
  std::size_t acknowledged_at_copy_ = 0;
  int restores_ = 0;
  // Highest offset pushed to a device, in each epoch.
  std::map<std::pair<std::string, std::string>, std::int64_t> highest_pushed_;
  std::set<std::pair<std::string, std::string>> removed_;  // user, sender and id: by retention
  std::array<std::uint64_t, kUsers> sent_{};
  bool settling_ = false;
  std::optional<std::string> fault_;
};

}  // namespace countersign::gateway::simulation

#endif  // COUNTERSIGN_GATEWAY_MESSAGE_SIMULATION_WORLD_H_

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
#include "gateway/message_simulation_referee.h"
#include "gateway/message_worker.h"
#include "gateway/messaging.h"
#include "gateway/model_bus.h"
#include "gateway/model_message_store.h"
#include "gateway/model_store.h"
#include "gateway/simulation_node.h"
#include "protocol/command.h"

namespace countersign::gateway::simulation {

// A process that serves inboxes: what a restart takes away. Its message worker has no thread here:
// the simulation decides when it works.
struct MessageNode final : private MessageSink {
  MessageNode(int number, const base::Clock& wall, ModelStore& store, ModelMessageStore& messages,
              ModelBus& model_bus, base::Random& random, MessageMutant mutant);
  ~MessageNode() override;

  static MachineConfig machine_config(MessageMutant mutant);
  static MessagingSetup setup(bus::Bus& bus, MessageMutant mutant);
  static MessageWorkerOptions worker_options();

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
  MessagePublisher publisher;
  MessageWorker worker;
  base::Counter& accepted = shared_metrics().counter("accepted", "For the simulation.");
  ConnectionContext context;

 private:
  void on_fan_out(const storage::FanOut& entries) override;
  void on_expired(const storage::Expired& expired) override;
};

// An entry as a device got it. Of a stub, and of a tombstone, only the place is known.
struct Heard {
  std::string kind;
  std::string sender;
  std::string msg_id;
  std::string conversation;
  std::int64_t seq = 0;
  std::string text;
  std::string chain;  // raw
  friend bool operator==(const Heard&, const Heard&) = default;
};

// A command that waits for its reply.
struct MessageCommand {
  std::string verb;
  decltype(protocol::Command::verb) content;
  std::string msg_id = {};  // of a message, or of a change of a group
  std::size_t to = 0;       // whom a message is for
  std::string group = {};   // or which group
  bool forbidden = false;   // it must be refused
  bool entitled = false;    // by what the group is like when it is sent
  int replies = 0;
  int restores = 0;  // of the store, before it was sent

  bool to_group() const { return !group.empty() || verb == "group"; }
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

// One run: what can happen is in message_simulation.cc, what clients do in
// message_simulation_clients.cc, what they hear in message_simulation_hearing.cc, what must hold in
// message_simulation_checks.cc.
class MessageWorld {
 public:
  MessageWorld(std::uint64_t seed, MessageMutant mutant);
  ~MessageWorld();
  std::optional<std::string> run();

 private:
  static constexpr std::size_t kUsers = 4;
  static constexpr std::size_t kGroups = 2;
  static constexpr int kNodes = 2;

  void complain(std::string what) {
    if (!fault_) fault_ = std::move(what);
  }
  static std::string user_name(std::size_t user) {
    return std::array{"ann", "bob", "dan", "eve"}[user];
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
  void make_group(SimulatedDevice& device);
  void change_group(SimulatedDevice& device);
  void send_first(SimulatedDevice& device, MessageCommand message);
  void read_some(SimulatedDevice& device);
  void block_somebody(SimulatedDevice& device);
  std::vector<std::string> groups() const;
  std::vector<Identity> some_people();
  void sync(SimulatedDevice& device);
  bool entitled(const SimulatedDevice& device, const MessageCommand& what);
  void command(SimulatedDevice& device, MessageCommand what);
  void page_dies(SimulatedDevice& device);
  void bus_acts();
  void store_acts();
  void trouble();
  void start_node(int number);
  void restart_node(int number);
  void pass(milliseconds by);

  // What devices hear.

  void look();
  void see(SimulatedDevice& device, const std::string& frame);
  void see_reply(SimulatedDevice& device, std::uint32_t id, const std::string& frame);
  void see_refusal(SimulatedDevice& device, const MessageCommand& command, std::int64_t code,
                   const std::string& frame);
  void see_receipts(const SimulatedDevice& device, const std::string& frame);
  void see_inbox_state(SimulatedDevice& device, const std::string& frame, bool told);
  void see_entries(SimulatedDevice& device, const std::string& frame);

  // What must hold.

  void check_cursors();
  // Everything heals and comes to rest; then everybody has everything.
  void settle();
  void rest(bool unlucky);
  void check_acknowledged();
  void check_devices();
  void check_handled(const SimulatedDevice& device, const ModelMessageStore::Inbox& inbox);

  struct Acknowledged {
    std::size_t sender;
    std::size_t to;
    std::string msg_id;
    std::string conversation;
    std::int64_t seq;
    bool to_group;
  };
  // Who, and of which conversation: the highest seq.
  using Reached = std::map<std::pair<std::string, std::string>, std::int64_t>;

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
  Referee referee_;
  Reached shown_;                                          // pushed to a device
  Reached asked_read_;                                     // a client said that it was read
  std::set<std::pair<std::string, std::string>> removed_;  // user, sender and id: by retention
  std::array<std::uint64_t, kUsers> sent_{};
  bool settling_ = false;
  std::optional<std::string> fault_;
};

}  // namespace countersign::gateway::simulation

#endif  // COUNTERSIGN_GATEWAY_MESSAGE_SIMULATION_WORLD_H_

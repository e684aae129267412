// The world of one simulated run: the node, its clients, and what is known of every credential.
// Not thread-safe: a run is one thread.
#ifndef COUNTERSIGN_GATEWAY_SIMULATION_WORLD_H_
#define COUNTERSIGN_GATEWAY_SIMULATION_WORLD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fake_clock.h"
#include "base/random.h"
#include "gateway/simulation_node.h"
#include "protocol/command.h"

namespace countersign::gateway::simulation {

// What a client showed, and what is known of it.
struct Ticket {
  std::string text;
  std::string session;  // empty: none
  std::size_t user = 0;
  base::SystemTime created;
};

struct Command {
  std::string verb;
  std::optional<Ticket> ticket;
  std::string credential;   // ticket or secret, with the device
  std::string secret;       // of a resumed instance
  std::uint64_t order = 0;  // when it was sent
  int replies = 0;
  bool settled = false;  // the connection ended before a reply was owed
};

struct Connection {
  std::size_t user = 0;
  std::string device;
  std::size_t shard = 0;
  std::unique_ptr<FakeChannel> channel;
  std::uint32_t last_id = 0;
  std::map<std::uint32_t, Command> commands;
  std::size_t read = 0;  // frames looked at
  std::size_t pings = 0;
  bool answer_ping = false;
  bool in = false;      // connect was accepted
  std::string session;  // of the last accepted ticket
  bool session_known = true;
  base::SystemTime expires;
};

// One run: what can happen is in simulation.cc, what must hold in simulation_checks.cc.
class World {
 public:
  World(std::uint64_t seed, Mutant mutant);
  std::optional<std::string> run();

 private:
  void complain(std::string what) {
    if (!fault_) fault_ = std::move(what);
  }
  base::SystemTime now() const { return node_->wall.now(); }
  base::SteadyTime steady() const { return clock_.steady(); }
  bool fenced() const;
  static std::string user_name(std::size_t user) { return user == 0 ? "ann" : "bob"; }
  static Identity identity(std::size_t user) { return {IdentityType::kUsername, user_name(user)}; }

  // What can happen.

  void step();
  void open();
  void send_something();
  void send_connect(Connection& connection);

  struct Sent {
    std::string verb;
    std::optional<Ticket> ticket;
    std::string credential;
    std::string secret;
  };
  void send(Connection& connection, decltype(protocol::Command::verb) verb, Sent sent);
  // A ticket that was accepted before: of this user, but not always of the device that shows it.
  const Ticket* accepted_ticket(std::size_t user);
  Ticket make_ticket(std::size_t user);
  void sign_in(std::size_t user);
  void revoke();
  void trouble();
  void pass(milliseconds by);
  void fire_timers();
  void drop(Connection& connection);
  void restart();
  void start_node();
  void poll();

  // What must hold.

  void look();
  void see(Connection& connection, const std::string& frame);
  void see_accepted(Connection& connection, const Command& command, const std::string& frame);
  void see_served(Connection& connection, const std::string& frame);
  void see_close(Connection& connection);
  // The connect that decided the connection: the first that was not answered as out of place.
  static std::uint32_t connecting_id(const Connection& connection);
  // Everything comes to rest with a healthy store; then nobody is connected who should not be.
  void settle();

  struct Ended {
    std::uint64_t order;
    std::int64_t row;
  };
  struct Mark {
    std::size_t user;
    base::SystemTime time;
    std::uint64_t order;
  };

  Dice dice_;
  base::SeededRandom random_;
  const Mutant mutant_;
  const bool one_device_;  // a ticket is good for one device only
  base::FakeClock clock_;
  ModelStore store_;
  std::unique_ptr<Node> node_;
  std::vector<Connection> connections_;  // goes before the node
  std::vector<std::vector<std::string>> sessions_;
  std::vector<Ticket> tickets_;
  std::map<std::string, std::pair<std::string, std::string>> secrets_;  // of each device
  std::map<std::string, std::string> first_devices_;                    // accepted with each ticket
  std::map<std::string, Ended> ended_;
  std::vector<Mark> marks_;
  std::map<std::string, std::uint64_t> dead_secrets_;
  std::map<std::string, std::uint64_t> refused_;  // for good, and when
  std::uint64_t order_ = 0;
  bool instance_revoked_ = false;  // an instance was revoked by itself
  std::optional<std::string> fault_;
};

}  // namespace countersign::gateway::simulation

#endif  // COUNTERSIGN_GATEWAY_SIMULATION_WORLD_H_

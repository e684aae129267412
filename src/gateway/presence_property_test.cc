// For every history of devices, watchers, crashes and losses on three nodes: once all is quiet,
// every watcher's last state is the truth; and nobody publishes or pushes too often on the way.
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/fake_clock.h"
#include "gateway/presence_table.h"

namespace countersign::gateway {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr int kNodes = 3;
constexpr int kUsers = 4;

storage::UserKey user(int number) {
  return {"app", {IdentityType::kUsername, "user-" + std::to_string(number)}};
}
int number_of(const storage::UserKey& key) { return key.identity.endpoint.back() - '0'; }

struct Step {
  enum What { kConnect, kDrop, kLeave, kAway, kWatch, kUnwatch, kCrash, kGap, kBusLost, kPass };
  int what = kPass;
  int which = 0;  // connection or node
  int whom = 0;   // user or device
  int much = 0;   // milliseconds, or a truth
};
std::ostream& operator<<(std::ostream& out, const Step& step) {
  return out << step.what << '/' << step.which << '/' << step.whom << '/' << step.much;
}

class World {
 public:
  World(unsigned dice, int loss_percent) : dice_(dice), loss_percent_(loss_percent) {
    for (int node = 0; node < kNodes; ++node) start(node);
  }

  void take(const Step& step) {
    switch (step.what) {
      case Step::kConnect:
        return connect(step.which % kNodes, step.whom % kUsers, step.much % 3, step.much % 2 == 0);
      case Step::kDrop:
      case Step::kLeave:
        return disconnect(step.which, step.what == Step::kLeave);
      case Step::kAway:
        return set_away(step.which, step.much % 2 == 0);
      case Step::kWatch:
        return watch(step.which, step.whom % kUsers);
      case Step::kUnwatch:
        return unwatch(step.which, step.whom % kUsers);
      case Step::kCrash:
        return crash(step.which % kNodes);
      case Step::kGap:
        return nodes_[step.which % kNodes].table->on_gap(now());
      case Step::kBusLost:
        return lose_or_find_bus(step.which % kNodes);
      default:
        return pass(milliseconds(step.much % 4'000));
    }
  }

  /// No more losses; enough time for everything to be asked and answered.
  void quieten() {
    loss_percent_ = 0;
    for (int node = 0; node < kNodes; ++node) {
      if (nodes_[node].bus_lost) lose_or_find_bus(node);
    }
    pass(minutes(12));
  }

  void check_truth() const {
    for (const auto& [id, client] : clients_) {
      for (const auto& [whom, shown] : client.shown) {
        std::uint32_t devices = 0;
        std::uint32_t away = 0;
        for (const auto& [other, device] : clients_) {
          if (device.user != whom) continue;
          ++devices;
          if (device.away) ++away;
        }
        using State = PresenceState::State;
        const State truth = devices == 0      ? State::kOffline
                            : devices == away ? State::kAway
                                              : State::kOnline;
        RC_ASSERT(shown.state == truth);
        RC_ASSERT(shown.devices == devices);
      }
    }
  }

 private:
  struct Client {
    int node = 0;
    int user = 0;
    bool away = false;
    std::map<int, PresenceState> shown;  // by watched user: what the person sees
    std::map<int, base::SteadyTime> pushed;
  };
  struct Node {
    std::unique_ptr<PresenceTable> table;
    int starts = 0;
    std::set<int> subscribed;
    std::map<int, base::SteadyTime> published;
    bool bus_lost = false;
  };
  struct InFlight {
    int to = 0;
    int whom = 0;
    std::optional<protocol::PresenceEvent> event;  // else a query
  };

  PresenceTime now() const { return {clock_.steady(), clock_.now()}; }
  unsigned roll(unsigned sides) {
    dice_ = dice_ * 1'664'525U + 1'013'904'223U;
    return (dice_ >> 8U) % sides;
  }
  std::string name(int node) const {
    return "node-" + std::to_string(node) + "-" + std::to_string(nodes_[node].starts);
  }

  void start(int node) {
    ++nodes_[node].starts;
    nodes_[node].table = std::make_unique<PresenceTable>(PresenceOptions(), name(node), now());
  }
  void connect(int node, int whom, int device, bool away) {
    const ConnectionId id = next_++;
    clients_[id] = {node, whom, away, {}, {}};
    PresenceTable& table = *nodes_[node].table;
    carry_out(node, table.connect(id, user(whom), "device-" + std::to_string(device), now()));
    carry_out(node, table.set_away(id, away, now()));
  }
  auto pick(int which) {
    auto client = clients_.begin();
    if (!clients_.empty()) std::advance(client, static_cast<std::size_t>(which) % clients_.size());
    return client;
  }
  void disconnect(int which, bool clean) {
    const auto client = pick(which);
    if (client == clients_.end()) return;
    const ConnectionId id = client->first;
    const int node = client->second.node;
    clients_.erase(client);
    carry_out(node, nodes_[node].table->disconnect(id, clean, now()));
  }
  void set_away(int which, bool away) {
    const auto client = pick(which);
    if (client == clients_.end()) return;
    client->second.away = away;
    carry_out(client->second.node,
              nodes_[client->second.node].table->set_away(client->first, away, now()));
  }
  void watch(int which, int whom) {
    const auto client = pick(which);
    if (client == clients_.end()) return;
    const std::vector<Identity> users = {user(whom).identity};
    PresenceTable& table = *nodes_[client->second.node].table;
    auto actions = table.watch(client->first, users, now());
    RC_ASSERT(actions.ok());
    client->second.shown[whom] = table.look(user(whom), now());
    carry_out(client->second.node, *actions);
  }
  void unwatch(int which, int whom) {
    const auto client = pick(which);
    if (client == clients_.end()) return;
    client->second.shown.erase(whom);
    client->second.pushed.erase(whom);
    const std::vector<Identity> users = {user(whom).identity};
    carry_out(client->second.node,
              nodes_[client->second.node].table->unwatch(client->first, users, now()));
  }
  void crash(int node) {
    std::erase_if(clients_, [node](const auto& client) { return client.second.node == node; });
    std::erase_if(in_flight_, [node](const auto& sent) { return sent.second.to == node; });
    const std::string gone = name(node);
    nodes_[node] = {nullptr, nodes_[node].starts, {}, {}, false};
    start(node);
    for (int other = 0; other < kNodes; ++other) {
      // A node without the bus does not hear of it, and asks when it is back.
      if (other != node && !nodes_[other].bus_lost) {
        nodes_[other].table->on_node_lost(gone, now());
      }
    }
  }
  void lose_or_find_bus(int node) {
    nodes_[node].bus_lost = !nodes_[node].bus_lost;
    if (nodes_[node].bus_lost) {
      nodes_[node].table->on_bus_lost(now());
    } else {
      nodes_[node].table->on_bus_back(now());
    }
  }

  void carry_out(int node, const PresenceActions& actions) {
    for (const PresenceAction& action : actions) {
      if (const auto* say = std::get_if<PublishPresence>(&action)) {
        base::SteadyTime& last = nodes_[node].published[number_of(say->user)];
        RC_ASSERT(clock_.steady() - last >= seconds(1));
        last = clock_.steady();
        send(node, {0, number_of(say->user), say->event});
      } else if (const auto* ask = std::get_if<QueryPresence>(&action)) {
        send(node, {0, number_of(ask->user), std::nullopt});
      } else if (const auto* subscribe = std::get_if<SubscribePresence>(&action)) {
        RC_ASSERT(nodes_[node].subscribed.insert(number_of(subscribe->user)).second);
      } else if (const auto* end = std::get_if<UnsubscribePresence>(&action)) {
        RC_ASSERT(nodes_[node].subscribed.erase(number_of(end->user)) == 1);
      } else {
        show(std::get<PushPresence>(action));
      }
    }
  }
  void show(const PushPresence& push) {
    for (const ConnectionId watcher : push.watchers) {
      Client& client = clients_.at(watcher);
      const int whom = number_of(push.user);
      RC_ASSERT(client.shown.count(whom) == 1);
      base::SteadyTime& last = client.pushed[whom];
      RC_ASSERT(clock_.steady() - last >= seconds(1));
      last = clock_.steady();
      client.shown[whom] = push.state;
    }
  }
  void send(int from, const InFlight& sent) {
    for (int to = 0; to < kNodes; ++to) {
      InFlight copy = sent;
      copy.to = to;
      if (nodes_[from].bus_lost || static_cast<int>(roll(100)) < loss_percent_) continue;
      const unsigned copies = roll(10) == 0 ? 2 : 1;
      for (unsigned i = 0; i < copies; ++i) {
        in_flight_.insert({clock_.steady() + milliseconds(1 + roll(roll(4) == 0 ? 900 : 5)), copy});
      }
    }
  }
  void deliver(const InFlight& sent) {
    Node& node = nodes_[sent.to];
    if (node.bus_lost) return;
    if (!sent.event) {
      carry_out(sent.to, node.table->on_query(user(sent.whom), now()));
    } else if (node.subscribed.contains(sent.whom)) {
      carry_out(sent.to, node.table->on_event(user(sent.whom), *sent.event, now()));
    }
  }

  void pass(milliseconds time) {
    const base::SteadyTime end = clock_.steady() + time;
    while (true) {
      base::SteadyTime next = end;
      if (!in_flight_.empty()) next = std::min(next, in_flight_.begin()->first);
      for (const Node& node : nodes_)
        next = std::min(next, node.table->next_deadline().value_or(end));
      if (next > clock_.steady()) {
        clock_.advance(std::chrono::duration_cast<microseconds>(next - clock_.steady()));
      }
      if (clock_.steady() >= end) return;
      for (int node = 0; node < kNodes; ++node) carry_out(node, nodes_[node].table->tick(now()));
      while (!in_flight_.empty() && in_flight_.begin()->first <= clock_.steady()) {
        const InFlight sent = in_flight_.begin()->second;
        in_flight_.erase(in_flight_.begin());
        deliver(sent);
      }
    }
  }

  base::FakeClock clock_;
  unsigned dice_;
  int loss_percent_;
  ConnectionId next_ = 1;
  Node nodes_[kNodes];
  std::map<ConnectionId, Client> clients_;
  std::multimap<base::SteadyTime, InFlight> in_flight_;
};

rc::Gen<Step> any_step() {
  return rc::gen::build<Step>(
      rc::gen::set(&Step::what, rc::gen::weightedElement<int>({{6, Step::kConnect},
                                                               {3, Step::kDrop},
                                                               {2, Step::kLeave},
                                                               {3, Step::kAway},
                                                               {6, Step::kWatch},
                                                               {2, Step::kUnwatch},
                                                               {1, Step::kCrash},
                                                               {1, Step::kGap},
                                                               {1, Step::kBusLost},
                                                               {8, Step::kPass}})),
      rc::gen::set(&Step::which, rc::gen::inRange(0, 1000)),
      rc::gen::set(&Step::whom, rc::gen::inRange(0, 1000)),
      rc::gen::set(&Step::much, rc::gen::inRange(0, 100'000)));
}

TEST(PresenceProperty, EveryWatcherEndsWithTheTruthAndIsNotToldTooOften) {
  EXPECT_TRUE(rc::check([] {
    const auto dice = *rc::gen::arbitrary<unsigned>();
    const int loss = *rc::gen::inRange(0, 60);
    const auto steps = *rc::gen::resize(200, rc::gen::container<std::vector<Step>>(any_step()));
    World world(dice, loss);
    for (const Step& step : steps) world.take(step);
    world.quieten();
    world.check_truth();
  }));
}

}  // namespace
}  // namespace countersign::gateway

// The simulated node and its surroundings: dice, a clock that may lag, and everything that a
// process holds and a restart takes away.
#ifndef COUNTERSIGN_GATEWAY_SIMULATION_NODE_H_
#define COUNTERSIGN_GATEWAY_SIMULATION_NODE_H_

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "countersign/application_secret.h"
#include "countersign/key_ring.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "gateway/fake_channel.h"
#include "gateway/model_store.h"
#include "gateway/simulation.h"

namespace countersign::gateway::simulation {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr std::size_t kShards = 2;
inline constexpr std::size_t kQueue = 8;
inline constexpr std::size_t kTickets = 1'000;
inline constexpr const char* kApplication = "simulated";
inline constexpr milliseconds kFenceAfter{1'500};

// A quick generator whose state is the seed.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }
  bool chance(std::size_t percent) { return below(100) < percent; }
  template <class T>
  T& pick(std::vector<T>& from) {
    return from[below(from.size())];
  }

 private:
  std::uint64_t state_;
};

// A wall clock that is behind by some time: the mutant's idea of now.
class LaggingClock final : public base::Clock {
 public:
  LaggingClock(const base::Clock& clock, seconds lag) : clock_(clock), lag_(lag) {}
  base::SystemTime now() const override { return clock_.now() - lag_; }
  base::SteadyTime steady() const override { return clock_.steady(); }

 private:
  const base::Clock& clock_;
  const seconds lag_;
};

inline std::shared_ptr<const KeyRing> ring() {
  static const std::shared_ptr<const KeyRing> shared = [] {
    auto ring = std::make_shared<KeyRing>();
    const std::string bytes = "sixteen and more bytes";
    auto secret = ApplicationSecret::from_bytes(std::as_bytes(std::span(bytes)));
    (void)ring->add(kApplication, std::move(*secret));
    return ring;
  }();
  return shared;
}

inline base::Metrics& shared_metrics() {
  static base::Metrics metrics;
  return metrics;
}

inline MachineConfig machine_config() {
  MachineConfig config;
  config.limits.command_burst = 12;
  config.limits.commands_per_second = 2;
  config.max_refusals = 6;
  return config;
}

// A process: what a restart takes away.
struct Node {
  Node(const base::Clock& raw, base::SystemTime mark, ModelStore& store, base::Random& random,
       Mutant mutant, bool one_device)
      : wall(raw),
        lagging(wall, mutant == Mutant::kServesAfterExpiry ? seconds(90) : seconds(0)),
        tickets(&ring, Policy::default_policy(), {one_device ? kTickets : 0, kTickets}),
        instances(store, store, store, {SessionLimits{}, 4}),
        poller({milliseconds(500),
                mutant == Mutant::kNeverFenced ? milliseconds(1'000'000'000) : kFenceAfter, 3},
               store, wall),
        tasks(kQueue),
        hub({kShards, 5, milliseconds(100)}, wall, random, shared_metrics()),
        context{config, keys,    tickets, instances,        poller,
                tasks,  lagging, random,  shared_metrics(), accepted} {
    wall.raise_to(mark);
    if (mutant != Mutant::kPollByIdWithGaps) poller.add_listener(hub);
  }

  base::MonotonicWallClock wall;
  LaggingClock lagging;
  MachineConfig config = machine_config();
  InstanceKeys keys{"key", base::as_bytes("0123456789abcdef0123456789abcdef")};
  TicketDesk tickets;
  InstanceDesk instances;
  RevocationPoller poller;
  FakeTasks tasks;
  std::array<FakeShard, kShards> shards;
  Hub hub;
  base::Counter& accepted = shared_metrics().counter("accepted", "For the simulation.");
  ConnectionContext context;
  std::int64_t naive_position = 0;                    // of the mutant's poll
  std::array<std::int64_t, kShards> heard{};          // newest row each shard has heard of
  base::SteadyTime polled = base::SteadyTime::min();  // start of the last good poll
};

}  // namespace countersign::gateway::simulation

#endif  // COUNTERSIGN_GATEWAY_SIMULATION_NODE_H_

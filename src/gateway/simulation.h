// The simulation: one node of the gateway, real but for its sockets, threads, store and clock,
// driven through a random schedule of everything that can happen to it. A run is decided by its
// seed alone.
//
// It checks, after every step, what the protocol promises (docs/reference/protocol.md):
//   - every command gets exactly one reply, and nothing is sent after a close;
//   - nothing is served to a connection after its shard has heard of the revocation;
//   - no credential is accepted that was revoked before it was presented;
//   - nothing is served after expiry, and nobody is accepted while the node is fenced;
//   - a credential that was refused for good is never accepted later;
//   - of one device, at most one connection stays;
//   - in every other run a ticket is good for one device: no other is ever accepted with it;
//   - once everything has settled, nobody is connected whose session has ended;
//   - queues stay bounded.
// A mutant is a way of being wrong that somebody could write; the checks must notice each.
#ifndef COUNTERSIGN_GATEWAY_SIMULATION_H_
#define COUNTERSIGN_GATEWAY_SIMULATION_H_

#include <cstdint>
#include <optional>
#include <string>

namespace countersign::gateway {

enum class Mutant {
  kNone,
  kPollByIdWithGaps,   ///< ids from a sequence, polled by `id > last`
  kUncheckedRefresh,   ///< `refresh` does not look at the session again
  kServesAfterExpiry,  ///< expiry is judged by a clock that lags
  kNeverFenced,        ///< a node that cannot hear revocations goes on accepting
  kForgetsTickets,     ///< which device showed a ticket is kept in memory: a restart forgets it
};

/// Runs one schedule.
/// @return what went wrong, in a sentence; nullopt if nothing did.
std::optional<std::string> run_schedule(std::uint64_t seed, Mutant mutant = Mutant::kNone);

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_SIMULATION_H_

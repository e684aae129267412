// Presence actions: what the presence table wants done. The node carries them out in the order in
// which the table gave them, and not under a lock that a handler of the bus takes.
//
// A user has two subjects, made of the token of (application, type, endpoint): what nodes say about
// the user's devices goes to the presence subject, questions to the user's own subject, which every
// node that holds the user hears.
// Thread-safety: value types. Source: docs/reference/messages.md, "Presence".
#ifndef COUNTERSIGN_GATEWAY_PRESENCE_ACTIONS_H_
#define COUNTERSIGN_GATEWAY_PRESENCE_ACTIONS_H_

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "protocol/user_event.h"
#include "storage/message_records.h"

namespace countersign::gateway {

/// The present: deadlines go by the steady clock, "last seen" by the wall clock.
struct PresenceTime {
  base::SteadyTime steady;
  base::SystemTime wall;
};

/// A connection of this node: not 0, and never used twice.
using ConnectionId = std::uint64_t;

/// Whether a user is there, as watchers see it.
struct PresenceState {
  enum class State : std::uint8_t { kOffline, kAway, kOnline };
  State state = State::kOffline;
  std::uint32_t devices = 0;                  ///< connected ones, away or not
  std::optional<base::SystemTime> last_seen;  ///< absent: nobody knows
  friend bool operator==(const PresenceState&, const PresenceState&) = default;
};

/// What one node knows of a user by itself.
struct NodePresence {
  std::uint32_t devices = 0;                  ///< connected to it, or dropped within the grace
  std::uint32_t away = 0;                     ///< of these
  std::optional<base::SystemTime> last_seen;  ///< absent: it does not know
};

/// What all nodes together know of a user.
struct PresenceReport {
  PresenceState state;
  /// Every node has had its say. If not, the state holds for those that had: somebody may be online
  /// who looks offline.
  bool complete = false;
};

/// Publish the event on the user's presence subject.
struct PublishPresence {
  storage::UserKey user;
  protocol::PresenceEvent event;
};
/// Publish a PresenceQuery on the user's own subject.
struct QueryPresence {
  storage::UserKey user;
};
/// Subscribe to the user's presence subject, or end that subscription. They alternate.
struct SubscribePresence {
  storage::UserKey user;
};
struct UnsubscribePresence {
  storage::UserKey user;
};
/// Push the state to these connections, through their LooseQueue; key: the user.
struct PushPresence {
  storage::UserKey user;
  PresenceState state;
  std::vector<ConnectionId> watchers;
};

using PresenceAction = std::variant<PublishPresence, QueryPresence, SubscribePresence,
                                    UnsubscribePresence, PushPresence>;
using PresenceActions = std::vector<PresenceAction>;

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_PRESENCE_ACTIONS_H_

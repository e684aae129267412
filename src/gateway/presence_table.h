// The presence table: who of a node's users is there, who wants to know of whom, and what other
// nodes say; one for the whole node, pure: it takes an event and the present and returns actions.
//
// Every node speaks for its own devices: it publishes how many a user has there, under a version
// that only grows. What watchers see is the sum of all nodes' latest words. A word may get lost,
// and the bus is only a hint, so a node asks: twice when somebody begins to watch a user, after a
// gap of the bus, and every few minutes. A node whose word three questions in a row did not confirm
// holds the user no longer. The word of a node whose lease ended is void after the grace.
//
// A device that drops without a word counts for the grace (30 s) as if it were still there; if it
// comes back in time, nobody notices.
//
// Asking and telling are bounded: a node publishes about a user, and watchers hear of one, at most
// once a second, and the last state wins; questions go out at a bounded rate.
// Thread-safety: none; one lock or one thread around it. Errors are those of watch() alone.
// Source: docs/reference/messages.md, "Presence".
#ifndef COUNTERSIGN_GATEWAY_PRESENCE_TABLE_H_
#define COUNTERSIGN_GATEWAY_PRESENCE_TABLE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "countersign/identity.h"
#include "countersign/result.h"

#include "base/clock.h"
#include "gateway/presence_actions.h"
#include "gateway/presence_words.h"
#include "protocol/user_event.h"
#include "storage/message_records.h"

namespace countersign::gateway {

struct PresenceOptions {
  std::chrono::milliseconds grace{30'000};     ///< after an unclean drop, or a node's lost lease
  std::chrono::milliseconds interval{1'000};   ///< between two words, or two pushes, about one user
  std::chrono::milliseconds refresh{300'000};  ///< how often a watched user is asked about
  std::chrono::milliseconds ask_again{2'000};  ///< between the questions of one round
  std::chrono::milliseconds ask_spread{5};     ///< between users when all are asked about
  std::size_t max_watched = 500;               ///< users by one connection
  std::size_t max_watches = 1'000'000;         ///< by all connections together
  std::size_t max_dropped_devices = 20;        ///< of one user within the grace
  std::size_t max_seen = 100'000;              ///< users of whom only "last seen" is remembered
};

class PresenceTable {
 public:
  /// @param node  this node's name, as in its words; unlike that of every other node.
  /// @param now   versions begin here, so that a node that starts again is believed.
  PresenceTable(PresenceOptions options, std::string node, PresenceTime now);
  PresenceTable(const PresenceTable&) = delete;
  PresenceTable& operator=(const PresenceTable&) = delete;

  // This node's devices.

  /// A device's client is in, on a connection the table has not heard of. If the device dropped
  /// within the grace it is as it was, away or not.
  PresenceActions connect(ConnectionId connection, const storage::UserKey& user,
                          std::string_view device, PresenceTime now);
  /// The connection is gone, with what it watched.
  /// @param clean  the client said good-bye (`terminate`) or was signed out: no grace.
  PresenceActions disconnect(ConnectionId connection, bool clean, PresenceTime now);
  PresenceActions set_away(ConnectionId connection, bool away, PresenceTime now);

  // Watchers. Whether one may watch the other is asked before (MessageStore::share_conversation):
  // the table watches whom it is told to.

  /// The connection, which connect() has named, wants to hear of these users of its application.
  /// Those it watches already stay. Nothing is done on failure: kLimitExceeded beyond
  /// `max_watched`, kOverloaded beyond `max_watches`, kAbsent for an unknown connection.
  Result<PresenceActions> watch(ConnectionId connection, std::span<const Identity> users,
                                PresenceTime now);
  PresenceActions unwatch(ConnectionId connection, std::span<const Identity> users,
                          PresenceTime now);
  /// What the watchers of this user have last been told, or would be. Of users nobody on this node
  /// watches it is what this node knows by itself.
  PresenceState look(const storage::UserKey& user, PresenceTime now) const;
  /// What this node's own devices say of the user, whoever watches.
  NodePresence here(const storage::UserKey& user, PresenceTime now) const;
  /// The connection lost pushes about users it watches: pushes about all of them.
  PresenceActions tell_again(ConnectionId connection, PresenceTime now) const;

  // The bus.

  /// What a node says about a user. This node's own words are ignored, and those older than what it
  /// said before.
  PresenceActions on_event(const storage::UserKey& user, const protocol::PresenceEvent& event,
                           PresenceTime now);
  /// Somebody asks about a user.
  PresenceActions on_query(const storage::UserKey& user, PresenceTime now);
  /// Publications may have been missed: all who are watched are asked about anew.
  void on_gap(PresenceTime now);
  /// The bus is away: unless it comes back within the grace, what other nodes said is void.
  void on_bus_lost(PresenceTime now);
  /// It is back; implies on_gap().
  void on_bus_back(PresenceTime now);
  /// The node's lease has ended: unless it comes back, what it said is void after the grace.
  void on_node_lost(const std::string& node, PresenceTime now);
  /// It holds its lease again; implies on_gap().
  void on_node_back(const std::string& node, PresenceTime now);

  // Time.

  /// Does what has become due.
  PresenceActions tick(PresenceTime now);
  /// When tick() is due; nothing if never.
  std::optional<base::SteadyTime> next_deadline() const;

  /// For metrics and tests.
  std::size_t watches() const { return watches_; }
  std::size_t users() const { return users_.size(); }

 private:
  using Counts = std::pair<std::uint32_t, std::uint32_t>;  ///< devices, of which away
  struct Device {
    ConnectionId connection = 0;
    std::string name;
    bool away = false;
    std::optional<base::SteadyTime> gone_at;  ///< dropped: counts until then
    bool is_gone() const { return gone_at.has_value(); }
  };
  /// A user who is here, or is watched from here.
  struct User {
    explicit User(storage::UserKey key_) : key(std::move(key_)) {}

    storage::UserKey key;
    std::vector<Device> devices;           ///< on this node; those that dropped in that order
    std::optional<base::SystemTime> seen;  ///< the latest that anybody knows of
    // Telling the other nodes.
    Counts said{0, 0};
    bool owes_word = false;  ///< somebody has asked
    base::SteadyTime may_say = base::SteadyTime::min();
    // Telling the watchers.
    std::vector<ConnectionId> watchers;
    PresenceState told;
    base::SteadyTime may_push = base::SteadyTime::min();
    // Asking the other nodes, while somebody watches.
    PresenceWords words;
    int questions = 0;  ///< of the round under way; 0: none is
    int at_least = 1;   ///< questions of a round, answered or not
    base::SteadyTime ask_at = base::SteadyTime::max();

    base::SteadyTime due = base::SteadyTime::max();  ///< its place in `due_`
  };
  // By content, not by address: equal histories have equal actions.
  struct ByKey {
    bool operator()(const User* a, const User* b) const { return UserOrder()(a->key, b->key); }
  };
  struct ByDue {
    bool operator()(const User* a, const User* b) const {
      return a->due != b->due ? a->due < b->due : UserOrder()(a->key, b->key);
    }
  };
  struct Connection {
    User* user = nullptr;
    std::vector<User*> watched;  ///< in ByKey's order
  };
  struct Loss {
    base::SteadyTime until;  ///< words count until then
    base::SystemTime seen;   ///< when they were lost
  };

  User& open(const storage::UserKey& key);
  /// After every change of a user: says, asks and pushes what may go out now, plans the rest, and
  /// forgets who is neither here nor watched.
  void settle(User& user, PresenceTime now, PresenceActions& out);
  static bool wants_to_say(const User& user);
  void say(User& user, PresenceTime now, PresenceActions& out);
  bool wants_to_push(const User& user, base::SystemTime wall) const;
  void push(User& user, PresenceTime now, PresenceActions& out);
  void ask(User& user, PresenceTime now, PresenceActions& out);
  void remove_watcher(ConnectionId connection, User& user, PresenceTime now, PresenceActions& out);
  void void_words(PresenceTime now, PresenceActions& out);

  static void remember(User& user, base::SystemTime seen);
  static Counts own_devices(const User& user);
  PresenceState state_of(const User& user, base::SystemTime wall) const;
  PresenceState shown(const User& user, base::SystemTime wall) const;

  const PresenceOptions options_;
  const std::string node_;
  std::uint64_t version_;
  std::map<storage::UserKey, User, UserOrder> users_;
  std::unordered_map<ConnectionId, Connection> connections_;
  std::set<User*, ByDue> due_;
  std::map<std::string, Loss> lost_nodes_;
  std::optional<Loss> bus_lost_;
  base::SteadyTime next_slot_ = base::SteadyTime::min();  ///< for a question after a gap
  std::size_t watches_ = 0;
  std::size_t watched_users_ = 0;
  SeenUsers seen_;  ///< of users who are neither here nor watched
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_PRESENCE_TABLE_H_

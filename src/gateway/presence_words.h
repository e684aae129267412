// Presence words: what other nodes have said about one user, newest first by version for each node;
// and a bounded memory of when users were last seen.
// Thread-safety: none; parts of the presence table.
// Source: docs/reference/messages.md, "Presence".
#ifndef COUNTERSIGN_GATEWAY_PRESENCE_WORDS_H_
#define COUNTERSIGN_GATEWAY_PRESENCE_WORDS_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "gateway/presence_actions.h"
#include "protocol/user_event.h"
#include "storage/message_records.h"

namespace countersign::gateway {

/// The state of a user with so many devices, `away` of them away.
PresenceState::State state_of_devices(std::uint32_t devices, std::uint32_t away);

/// The order of users: application, type, endpoint, as bytes.
struct UserOrder {
  bool operator()(const storage::UserKey& a, const storage::UserKey& b) const;
};

class PresenceWords {
 public:
  /// More nodes than this are not believed to hold one user.
  static constexpr std::size_t kMaxNodes = 64;

  /// Takes the word unless it is older than the node's last one; an equal one only confirms it.
  void take(const protocol::PresenceEvent& event);
  /// A round of questions begins: nothing is confirmed.
  void doubt();
  /// True if every word was said or repeated since doubt().
  bool confirmed() const;
  /// Forgets the words that were not.
  void forget_doubted();
  /// Forgets what the node said. True if it had said something.
  bool forget(const std::string& node);
  void clear() { words_.clear(); }
  bool empty() const { return words_.empty(); }

  /// Devices on all those nodes, and how many of them are away.
  std::pair<std::uint32_t, std::uint32_t> devices() const;

 private:
  struct Word {
    std::string node;
    std::uint64_t version = 0;
    std::uint32_t devices = 0;
    std::uint32_t away = 0;
    bool confirmed = true;
  };
  std::vector<Word> words_;
};

/// When users were last seen; beyond the bound the one noted longest ago is forgotten.
class SeenUsers {
 public:
  explicit SeenUsers(std::size_t max_users) : max_users_(max_users) {}
  void note(const storage::UserKey& user, base::SystemTime seen);
  std::optional<base::SystemTime> find(const storage::UserKey& user) const;

 private:
  struct Row {
    base::SystemTime seen;
    std::list<const storage::UserKey*>::iterator place;
  };
  const std::size_t max_users_;
  std::map<storage::UserKey, Row, UserOrder> rows_;
  std::list<const storage::UserKey*> order_;  ///< oldest first
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_PRESENCE_WORDS_H_

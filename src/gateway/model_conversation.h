// A conversation as the model of the message store keeps it: who was a member when, who said what,
// and how far everybody has got. It decides who may change a group and whom a message concerns; the
// inboxes are the store's business (model_message_store.h).
//
// Membership is versioned by `seq`: a stay begins with the change that adds somebody and ends with
// the one that removes them, both included. A message concerns those whose stay holds its `seq`,
// whatever has happened since.
// Not thread-safe: a value type of a run that is one thread.
// Source: docs/reference/messages.md, "Groups", "Receipts".
#ifndef COUNTERSIGN_GATEWAY_MODEL_CONVERSATION_H_
#define COUNTERSIGN_GATEWAY_MODEL_CONVERSATION_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/message_records.h"

namespace countersign::gateway::simulation {

/// Ways of being wrong about groups.
struct GroupMutants {
  bool fan_out_to_members_of_now = false;  ///< a job asks who is a member when it is worked off
  bool removed_still_served = false;       ///< who was a member once gets what is sent now
  bool removed_may_send = false;
  bool no_carbon = false;              ///< the sender's own inbox gets no entry
  bool fan_out_overtaken = false;      ///< what is written at once passes what a job still owes
  bool counts_members_of_now = false;  ///< receipts are counted among other people than it was for
  bool blocks_ignored = false;
  bool reads_what_is_delivered = false;
};

struct Stay {
  std::int64_t from = 0;
  std::int64_t until = std::numeric_limits<std::int64_t>::max();
};

struct Participant {
  std::vector<Stay> stays;  // oldest first; only the last may go on
  bool admin = false;
  std::int64_t delivered = 0;
  std::int64_t read = 0;
  std::int64_t fanned = 0;  // jobs owe nothing up to here

  bool member_at(std::int64_t seq) const;
  bool present() const;
  /// The last message this person may read, of `top`.
  std::int64_t readable_top(std::int64_t top) const;
};

struct ModelConversation {
  struct Said {
    std::string sender;
    bool text = true;  // false: a change of the group
  };

  std::string id;
  bool group = false;
  std::string name;
  std::vector<Said> said;                     // by seq, from 1
  std::map<std::string, Participant> people;  // by endpoint
  std::size_t jobs = 0;

  std::int64_t top() const { return static_cast<std::int64_t>(said.size()); }
  void join(const std::string& user, bool admin);
  /// Makes the change, which will be message top() + 1; or says why not, and changes nothing.
  std::optional<ErrorCode> change(const std::string& actor, const storage::GroupChange& change);
  /// The member's delivered horizon moves; the receipt, if it lay below.
  std::optional<storage::Receipt> deliver(const std::string& user, std::int64_t seq);
  /// The same for what the member has read, as far as they may read.
  std::optional<storage::Receipt> read(const std::string& user, std::int64_t seq);
  /// Who sends has got and seen everything if they had before.
  void move_own_horizons(const std::string& sender);
  /// For the sender's last text.
  std::optional<storage::GroupCount> count(const std::string& sender,
                                           const GroupMutants& mutants) const;

 private:
  void leave(const std::string& user);
  storage::Receipt receipt(const std::string& user, std::int64_t before, std::int64_t seq) const;
};

/// The people of the simulation have user names.
inline Identity named(const std::string& endpoint) { return {IdentityType::kUsername, endpoint}; }

}  // namespace countersign::gateway::simulation

#endif  // COUNTERSIGN_GATEWAY_MODEL_CONVERSATION_H_

// The referee of the message simulation: works out who must have which message, from nothing but
// what was accepted, in the order of its acceptance, by the rules of docs/reference/messages.md:
//   - a message concerns those who are members at its acceptance; a change of a group, its members
//     before and after it, so that who is removed hears of that, too;
//   - only members may send, and nobody directly to somebody who blocks them;
//   - what somebody sends into a group comes to those who block them as a tombstone.
// It shares no code with the model of the store, which comes to the same in another way: by stays
// and jobs.
// Not thread-safe: a run is one thread.
#ifndef COUNTERSIGN_GATEWAY_MESSAGE_SIMULATION_REFEREE_H_
#define COUNTERSIGN_GATEWAY_MESSAGE_SIMULATION_REFEREE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gateway/model_message_store.h"

namespace countersign::gateway::simulation {

class Referee {
 public:
  /// A message, and whom it concerns.
  struct Verdict {
    std::string sender;
    std::string msg_id;
    bool change = false;
    std::set<std::string> people;
    std::size_t events = 0;  // that had happened before it
  };

  /// Looks at what has been accepted since the last call. After a restore of the store a new
  /// referee has to begin.
  void follow(const std::vector<StoreEvent>& events);
  /// What was accepted although it must not be, in a sentence.
  const std::optional<std::string>& fault() const { return fault_; }

  /// Null if there is no such message.
  const Verdict* find(const std::string& conversation, std::int64_t seq) const;
  bool accepted(const std::string& sender, const std::string& msg_id) const {
    return accepted_.contains({sender, msg_id});
  }
  /// True if a message up to `seq` concerned the user.
  bool ever_concerned(const std::string& conversation, std::int64_t seq,
                      const std::string& user) const;
  /// Became a member of the group and has been one ever since.
  bool never_left(const std::string& user, const std::string& group) const;
  /// May change the group, and has had the right ever since it was made.
  bool made_and_never_left(const std::string& user, const std::string& group) const;
  bool ever_blocked(const std::string& who, const std::string& whom) const {
    return blocks_.contains({who, whom});
  }
  /// What is wrong with the inboxes, in a sentence.
  /// @param removed  user, and `sender id`, of what retention took.
  std::optional<std::string> judge(
      const ModelMessageStore::State& state,
      const std::set<std::pair<std::string, std::string>>& removed) const;

 private:
  struct Group {
    std::string maker;
    std::set<std::string> members;
    std::set<std::string> left;  // at any time
  };

  void hear(const AcceptedMessage& message);
  // Whom a message of this group concerns; the change it makes is made.
  std::set<std::string> people_of(Group& group, const AcceptedMessage& message);
  // Whether the user blocked the sender all the time between two moments, or at some time.
  struct Blocking {
    bool always = false;
    bool ever = false;
  };
  Blocking blocking(const std::string& who, const std::string& whom, std::size_t from,
                    std::size_t until) const;
  std::optional<std::string> judge_row(const std::string& user,
                                       const ModelMessageStore::InboxRow& row) const;
  void complain(std::string what) {
    if (!fault_) fault_ = std::move(what);
  }

  std::size_t followed_ = 0;
  std::map<std::string, Group> groups_;
  std::map<std::string, std::int64_t> tops_;
  std::map<std::pair<std::string, std::int64_t>, Verdict> verdicts_;
  std::set<std::pair<std::string, std::string>> accepted_;  // sender, msg_id
  // When somebody began to block somebody, or stopped, in turns.
  std::map<std::pair<std::string, std::string>, std::vector<std::size_t>> blocks_;
  std::optional<std::string> fault_;
};

}  // namespace countersign::gateway::simulation

#endif  // COUNTERSIGN_GATEWAY_MESSAGE_SIMULATION_REFEREE_H_

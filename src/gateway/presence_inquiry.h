// The presence inquiry: asks every node about one user, once, and adds up what they answer.
//
// The presence table knows the users that somebody on this node watches; of all others it knows its
// own node's devices only. So a question goes out on a subject that every node hears, and each node
// answers for itself, "nobody here" included, on a subject of the asker's own. The answer is
// complete when every node that holds a lease has answered. It is given as incomplete, never as if
// the rest were offline, if one has not answered in time, if it is not known which nodes there are,
// or if the bus is away. A node that has just started is known a reading of the leases later.
//
// On the bus a question is a line `ask1 NODE NUMBER` and a PresenceQuery, an answer a line
// `answer1 NUMBER` and a PresenceEvent, both as in user_event.h.
// Thread-safety: ask() and tick() from any thread; start() and stop() from one. `own` and `nodes`
// are called on any thread, and no lock is held then.
// Source: docs/guides/server-api.md, "Presence".
#ifndef COUNTERSIGN_GATEWAY_PRESENCE_INQUIRY_H_
#define COUNTERSIGN_GATEWAY_PRESENCE_INQUIRY_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "countersign/result.h"

#include "base/clock.h"
#include "bus/bus.h"
#include "gateway/presence_actions.h"
#include "protocol/user_event.h"
#include "storage/message_records.h"

namespace countersign::gateway {

struct PresenceInquiryOptions {
  std::chrono::milliseconds patience{1'000};  ///< how long the other nodes may take
  std::size_t max_questions = 1'000;          ///< that wait for their answers
};

class PresenceInquiry {
 public:
  /// What this node says of a user.
  using Own = std::function<NodePresence(const storage::UserKey& user)>;
  /// The names of the other nodes; nothing if they are not known.
  using Nodes = std::function<std::optional<std::set<std::string>>()>;
  /// Called once, on any thread, and must not wait.
  using Done = std::function<void(Result<PresenceReport> report)>;

  /// @param node  this node's name, as the others' `nodes` have it. The bus and the clock outlive
  ///              the inquiry.
  PresenceInquiry(PresenceInquiryOptions options, std::string node, bus::Bus& bus,
                  const base::Clock& clock, Own own, Nodes nodes);
  ~PresenceInquiry();
  PresenceInquiry(const PresenceInquiry&) = delete;
  PresenceInquiry& operator=(const PresenceInquiry&) = delete;

  /// Hears questions and answers from now on.
  void start();
  /// Answers what still waits, as incomplete. Idempotent.
  void stop();
  /// Answers what has waited long enough; about twice a second.
  void tick();

  /// kOverloaded if too many questions wait.
  void ask(const storage::UserKey& user, Done done);

 private:
  struct Question {
    storage::UserKey user;
    NodePresence sum;
    std::set<std::string> waiting;  ///< nodes that have not answered
    std::set<std::string> heard;    ///< nodes that have
    base::SteadyTime until;
    Done done;
  };

  void on_question(const std::string& payload);
  void on_answer(const std::string& payload);
  /// Ends the question, if it has not ended.
  void give_up(std::uint64_t number);
  void finish(const Question& question, bool complete) const;

  const PresenceInquiryOptions options_;
  const std::string node_;
  bus::Bus& bus_;
  const base::Clock& clock_;
  const Own own_;
  const Nodes nodes_;
  std::unique_ptr<bus::Subscription> hears_questions_;
  std::unique_ptr<bus::Subscription> hears_answers_;
  std::mutex mutex_;
  bool stopped_ = false;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, Question> questions_;  ///< those asked first, and due first, in front
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_PRESENCE_INQUIRY_H_

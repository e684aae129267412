// The mailroom: which connections of one shard follow whose inbox, and what they hear of it.
//
// A user's first connection subscribes to the user's subject on the bus; what comes is handed to
// all of the user's connections on this shard. Nothing here is needed for a message to arrive: the
// sweep compares every local user's top with the store's now and then, so that what the bus lost is
// found within `sweep_period`, and within `away_period` while the bus is away.
//
// Thread-safety: everything on the shard; what the bus calls is posted there. The bus, the tasks
// and the store outlive the mailroom's last member, the mailroom every task of its shard.
// Source: docs/reference/messages.md; ARCHITECTURE.md, "The way of a message".
#ifndef COUNTERSIGN_GATEWAY_MAILROOM_H_
#define COUNTERSIGN_GATEWAY_MAILROOM_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "bus/bus.h"
#include "gateway/task_queue.h"
#include "protocol/user_event.h"
#include "storage/message_store.h"

namespace countersign::gateway {

/// Where events about a user are published.
std::string user_subject(std::string_view application, const Identity& user);

/// A user's connections on one shard.
struct Mailbox;

/// A connection that follows an inbox.
class MailroomMember {
 public:
  virtual ~MailroomMember() = default;
  virtual void on_user_event(const protocol::UserEvent& event) = 0;
  /// Something was said that cannot be read, or may have been missed.
  virtual void on_news() = 0;
  /// The bus may have lost something. The next sweep looks for entries; what else a member hears it
  /// has to look for itself.
  virtual void on_gap() {}
  /// The store's top of the inbox, just read.
  virtual void on_top(std::int64_t top) = 0;
  /// The highest offset this connection has pushed.
  virtual std::int64_t pushed() const = 0;

 private:
  friend class Mailroom;
  Mailbox* box_ = nullptr;
};

struct MailroomOptions {
  std::chrono::milliseconds sweep_period{20'000};
  std::chrono::milliseconds away_period{1'000};
  std::size_t users_at_once = 500;  ///< in one question to the store
  bool trust_subjects = false;      ///< a fault that the simulation must notice; never otherwise
};

struct MailroomMetrics {
  explicit MailroomMetrics(base::Metrics& metrics);
  base::Counter& events;      ///< of the bus, that reached a user's mailbox
  base::Counter& foreign;     ///< for somebody else: the subject did not match the user
  base::Counter& unreadable;  ///< taken as a sign that something happened
  base::Counter& gaps;        ///< times that the bus said something may have been missed
  base::Counter& behind;      ///< inboxes that a sweep found behind the store
};

class Mailroom {
 public:
  Mailroom(const MailroomOptions& options, bus::Bus& bus, storage::MessageStore& store,
           TaskQueue& tasks, MailroomMetrics& metrics);
  ~Mailroom();
  Mailroom(const Mailroom&) = delete;
  Mailroom& operator=(const Mailroom&) = delete;

  /// From now on the member hears of the user, at the latest when the bus has been flushed.
  void join(MailroomMember& member, const storage::UserKey& user, base::Executor& shard);
  /// It hears nothing more. Nothing if it did not join.
  void leave(MailroomMember& member);

  /// Asks for the tops of those users whose turn it is; of all of them after a gap, and often while
  /// the bus is away. Call about twice a second.
  void sweep(base::SteadyTime now);
  /// The bus may have lost something: the next sweep asks for everybody.
  void on_gap();

  std::size_t users() const { return boxes_.size(); }

 private:
  struct Order {
    bool operator()(const storage::UserKey& a, const storage::UserKey& b) const;
  };
  // What tasks and handlers hold: empty once the mailroom is gone.
  struct Token;

  void on_payload(const std::shared_ptr<Mailbox>& box, const std::string& payload);
  template <class Tell>
  static void tell(const std::shared_ptr<Mailbox>& box, Tell tell);
  void ask_tops();
  std::vector<std::shared_ptr<Mailbox>> everybody() const;
  void on_tops(const std::vector<storage::UserKey>& users,
               const Result<std::vector<std::int64_t>>& tops, const Result<std::string>& epoch);

  const MailroomOptions options_;
  bus::Bus& bus_;
  storage::MessageStore& store_;
  TaskQueue& tasks_;
  MailroomMetrics& metrics_;
  base::Executor* shard_ = nullptr;
  std::shared_ptr<Token> token_;
  std::map<storage::UserKey, std::shared_ptr<Mailbox>, Order> boxes_;
  std::optional<base::SteadyTime> swept_;
  double due_ = 0;          // users who are to be asked for
  storage::UserKey asked_;  // who came last; the next in order is next
  std::string epoch_;
  bool asking_ = false;
  bool doubtful_ = false;  // the bus may have lost something
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_MAILROOM_H_

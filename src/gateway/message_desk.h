// The message desk: turns what a client wants to send into what the store accepts, and tells
// everybody whom it concerns once it is committed.
//
// Nothing here waits: the store answers on a thread of its own, which also publishes; only what has
// to be looked up first (a conversation's members, an unknown recipient) takes a worker. A reply
// leaves only after the commit that holds the message.
// Thread-safety: every call may be made from any thread. Replies run on any thread, once.
// Source: docs/reference/messages.md, "send" and "Groups".
#ifndef COUNTERSIGN_GATEWAY_MESSAGE_DESK_H_
#define COUNTERSIGN_GATEWAY_MESSAGE_DESK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/secret_bytes.h"
#include "gateway/audience_cache.h"
#include "gateway/message_publisher.h"
#include "gateway/recipient_directory.h"
#include "gateway/send_budget.h"
#include "gateway/task_queue.h"
#include "protocol/messaging_commands.h"
#include "storage/message_store.h"

namespace countersign::gateway {

/// Who asks.
struct Client {
  storage::UserKey user;
  std::string device;
  base::InstanceId instance;
};

/// What the client hears when the store's answer about a conversation is `code`. Absent is an
/// unknown target. But the id of a direct conversation follows from its people, and whether two
/// people have talked is theirs to know: a user who names one by its id hears 103 in both cases.
/// The team's own backend may know.
/// @param conversation  the id; empty if its people were named, the client among them.
ErrorCode told(const Client& client, ErrorCode code, std::string_view conversation);

/// The whole reply, or an error that is to be answered with its code alone.
using Reply = std::function<void(Result<std::string> frame)>;

struct MessageDeskOptions {
  storage::MessageLimits limits;
  SendBudgetOptions budget;
  /// Messages to somebody nobody has heard of are kept, not refused.
  bool keep_unknown = false;
};

class MessageDesk {
 public:
  /// References outlive the desk. `directory` may be null: nobody is known but those with an inbox.
  /// @param master_key  the key of the digests, which tell a repeat from misuse, is derived from
  ///                    it, so that all nodes come to the same.
  MessageDesk(MessageDeskOptions options, storage::MessageStore& store, MessagePublisher& publisher,
              AudienceCache& audiences, TaskQueue& tasks, const base::Clock& clock,
              base::Random& random, base::Metrics& metrics, RecipientDirectory* directory,
              std::span<const std::uint8_t> master_key);
  ~MessageDesk();

  void send(const Client& client, std::uint32_t id, protocol::Send command, Reply reply);
  void change_group(const Client& client, std::uint32_t id, protocol::ChangeGroup command,
                    Reply reply);
  /// The store's epoch, as somebody has just read it. What is sent from now on is published with
  /// it: receivers push only what was committed under their own.
  void note_epoch(const std::string& epoch);
  /// Called when a message is committed whose fan-out is left to a job. Set before the first send.
  void on_fan_out(std::function<void()> wake) { wake_fan_out_ = std::move(wake); }

 private:
  struct Job;

  std::string digest(const Client& client, std::string_view kind, std::string_view msg_id,
                     std::string_view content) const;
  bool within_budget(const Client& client, std::uint32_t id, double cost, const Reply& reply);
  std::shared_ptr<Job> make_job(const Client& client, std::uint32_t id, std::string msg_id,
                                Reply reply);
  /// To the conversation's members of now, if they are still those whom its id stands for: after
  /// somebody's data were erased, what was meant for all would come into another conversation.
  void send_to_all(std::shared_ptr<Job> job, std::string_view conversation,
                   const std::vector<Identity>& members);
  /// Direct: the members are known.
  void send_to(std::shared_ptr<Job> job, std::vector<Identity> members);
  void accept(std::shared_ptr<Job> job);
  void on_accepted(const std::shared_ptr<Job>& job, Result<storage::Sent> sent);
  void open_unknown(const std::shared_ptr<Job>& job, storage::Sent sent);
  void refuse(const Job& job, const storage::SendRefusal& refusal);
  void publish(const Job& job, const storage::Sent& sent);
  /// Each recipient of a message to a group counts, as each of those to several people does.
  void charge_group(const std::shared_ptr<Job>& job, const storage::Sent& sent);

  const MessageDeskOptions options_;
  storage::MessageStore& store_;
  MessagePublisher& publisher_;
  AudienceCache& audiences_;
  TaskQueue& tasks_;
  const base::Clock& clock_;
  base::Random& random_;
  base::Metrics& metrics_;
  RecipientDirectory* directory_;
  base::SecretBytes digest_key_;
  SendBudget budget_;
  base::Counter& accepted_;
  base::Counter& repeated_;
  std::function<void()> wake_fan_out_;
  std::mutex epoch_mutex_;
  std::string epoch_;
};

/// Larger groups have no audience.
inline constexpr std::size_t kMaxAudience = 100;

/// The members of a conversation, from the cache or the store; blocks. kPermissionDenied if the
/// asker is none of them now, kAbsent. Of a group with more than kMaxAudience members an empty
/// list.
Result<Audience> find_audience(storage::MessageStore& store, AudienceCache& cache,
                               const storage::UserKey& user, std::string_view conversation,
                               base::SteadyTime now);

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_MESSAGE_DESK_H_

// The classic gateway: what stands behind the door for the classic SDK. It translates: the SDK's
// long polls and frames on one side, the user's inbox on the other. A message has one home, the
// inbox; who reads it with which SDK does not matter to the sender.
//
// A classic client is an instance like any other, and its device is a device of its user's inbox.
//   - What the inbox holds after the client's timetoken is written as frames, when it polls.
//   - A frame that the client publishes is decrypted, checked and sent like any other message.
//   - The client's receipt is the acknowledgement of its device; receipts of others become frames.
// Timetokens are 10^16 + a position in the user's log: inbox entries and receipts in one order.
//
// A key is good as long as its instance lives, is judged on every node within two seconds of a
// revocation, and serves nobody while the node is fenced.
//
// Errors in answers: kUnauthorized (a key that is not ours, or whose instance is over: answered
// late, so that its client does not spin), kPermissionDenied (a channel that is not yours, somebody
// else's name, a transport you are not in), kBadRequest, kMessageTooLarge, kNotAvailable (calls),
// kUnknownTarget, kBlocked, kRecipientLimit, kTooManyRequests, kLimitExceeded, kOverloaded,
// kStoreFailed, kStoreFull (the last five are worth another try).
// Thread-safety: named at each call. Source: docs/reference/classic-door.md.
#ifndef COUNTERSIGN_GATEWAY_CLASSIC_CLASSIC_GATEWAY_H_
#define COUNTERSIGN_GATEWAY_CLASSIC_CLASSIC_GATEWAY_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "base/random.h"
#include "gateway/instance_desk.h"
#include "gateway/messaging.h"
#include "gateway/revocation_poller.h"
#include "gateway/send_budget.h"
#include "gateway/task_queue.h"
#include "protocol/classic_paths.h"
#include "storage/store.h"

namespace countersign::gateway::classic {

struct ClassicOptions {
  std::chrono::milliseconds hold{280'000};  ///< of a poll; below the SDK's 310 s
  /// How long an answer to a bad or dead key is held back.
  std::chrono::milliseconds refusal_hold{10'000};
  /// The same for publishing, where the SDK waits 15 s altogether.
  std::chrono::milliseconds publish_refusal_hold{2'000};
  std::size_t max_polls = 20'000;  ///< that one shard holds
  std::size_t max_polls_per_instance = 32;
  std::size_t page_entries = 64;  ///< log entries of one answer
  std::size_t page_bytes = 96 * 1024;
  std::size_t max_recipients = 10;  ///< of a transport
  /// `POST transport` of a user: each may write a row.
  SendBudgetOptions openings{20, 100};
  /// Polls and new frames of an instance. Far more than the SDK makes with many tabs.
  SendBudgetOptions requests{200, 1'000};
  /// How long a message that the client has polled past may stay without its receipt.
  std::chrono::milliseconds receipt_patience{60'000};
  /// How long receipts, and transports nobody asks for, are kept: as long as messages.
  std::chrono::hours retention{24 * 30};
  /// Messages to somebody nobody has heard of are kept, not refused; as for the native door.
  bool keep_unknown = false;
  SessionLimits sessions;
  std::size_t max_instances_per_user = 200;
};

/// All of it outlives the classic gateway.
struct ClassicSetup {
  ClassicOptions options;
  std::size_t shards = 1;
  storage::Store& store;
  Messaging& messaging;
  RevocationPoller& poller;
  TaskQueue& tasks;
  const base::Clock& clock;
  /// The store's, which tells what is old enough to be removed (base/jump_guard.h).
  const base::Clock& store_clock;
  base::Random& random;
  base::Metrics& metrics;
  RecipientDirectory* directory = nullptr;
  std::span<const std::uint8_t> master_key;
};

/// What storage::Instance::device is for a classic instance: one device of the user's inbox.
inline std::string classic_device(const base::InstanceId& instance) {
  return "classic-" + instance.text();
}

/// What `configuration/user` tells about an instance. Hosts are the door's business.
struct Configuration {
  std::string publish_key;
  std::string subscribe_key;
  std::string broadcast_channel;
  std::string transport_channel;
  std::string signal_channel;
  std::string instance_key;  ///< base64
};

struct Participant {
  std::string channel;
  Identity user;
};

struct TransportView {
  std::string id;
  std::string key;  ///< base64
  /// Answered to `POST transport`: the recipients who are known, the asker left out (but where it
  /// is the only one). To `GET transport`: everybody.
  std::vector<Participant> participants;
};

/// What a poll brings.
struct Polled {
  std::vector<protocol::ClassicItem> items;
  std::uint64_t timetoken = 0;
};

/// Names a poll that is held, on its shard. Never 0.
using PollId = std::uint64_t;

class ClassicGateway {
 public:
  /// Register before the poller begins: the constructor adds a listener to it. The store must keep
  /// what this needs: store.classic() is not null.
  explicit ClassicGateway(const ClassicSetup& setup);
  ~ClassicGateway();
  ClassicGateway(const ClassicGateway&) = delete;
  ClassicGateway& operator=(const ClassicGateway&) = delete;

  void start();
  /// Ends its thread and waits for what is under way, after the shards and the workers have
  /// stopped. Idempotent.
  void stop();
  /// Answers every held poll with an empty list, and new ones at once, so that the server can
  /// drain. From any thread.
  void shut_down();

  // REST, for an instance whose request has been authenticated. Any thread.

  Configuration configuration(const storage::Instance& instance) const;
  /// The transport of the instance's user and these people, committed. Unknown people are left out.
  /// Blocks: from a worker. kLimitExceeded beyond max_recipients; kBadRequest for nobody;
  /// kTooManyRequests.
  Result<TransportView> open_transport(const storage::Instance& instance,
                                       std::vector<Identity> recipients);
  /// Blocks: from a worker. kAbsent if there is none or the user is not in it.
  Result<TransportView> find_transport(const storage::Instance& instance, std::string_view id);
  /// The instance as it stands, or why nothing of it is accepted any more. Remembered for a minute
  /// and forgotten as soon as it is revoked; blocks when it is not remembered: from a worker.
  /// kAbsent, kRevoked, kInstanceExpired; kNotReady while the node is fenced.
  Result<storage::Instance> live_instance(const base::InstanceId& id);

  // Publish-subscribe. On shard `shard`; `done` runs there, once, never inside the call.

  /// @return names the poll until `done` has run.
  PollId subscribe(std::size_t shard, base::Executor& executor, protocol::ClassicSubscribe request,
                   std::function<void(Result<Polled>)> done);
  /// The client is gone: `done` will not run. Nothing if it has run. On the poll's shard.
  void cancel(std::size_t shard, PollId poll);
  /// @param done  with the timetoken, once everything is committed.
  void publish(std::size_t shard, base::Executor& executor, protocol::ClassicPublish request,
               std::function<void(Result<std::uint64_t>)> done);
  /// Any thread. Never fails: a poll that its client leaves ends by itself.
  void leave(const protocol::ClassicLeave& request);
  /// The present as a timetoken, which only shows that we are here. Any thread.
  std::uint64_t time() const;

  /// Polls that are held. Any thread.
  std::size_t polls() const;
  /// Deadlines, sweeps, the fence. The thread of start() calls it four times a second; tests may.
  void tick();

 private:
  class Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace countersign::gateway::classic

#endif  // COUNTERSIGN_GATEWAY_CLASSIC_CLASSIC_GATEWAY_H_

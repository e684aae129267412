// Messaging: everything of a node that connections share for their inboxes.
//
// A message's way: the connection's machine says Ask; the message desk has the store accept it; on
// the store's thread the publisher tells the bus; every node's mailroom hands it to the machines of
// the recipients, which push it if it is the next entry, and read the store if it is not.
// Thread-safety: start() and stop() from one thread; calls of connections on their shard; tick()
// from the gateway's thread. Source: docs/reference/messages.md; ARCHITECTURE.md.
#ifndef COUNTERSIGN_GATEWAY_MESSAGING_H_
#define COUNTERSIGN_GATEWAY_MESSAGING_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "bus/bus.h"
#include "gateway/audience_cache.h"
#include "gateway/conversation_desk.h"
#include "gateway/hub.h"
#include "gateway/mailroom.h"
#include "gateway/message_desk.h"
#include "gateway/message_publisher.h"
#include "gateway/message_worker.h"
#include "gateway/outstanding_calls.h"
#include "gateway/presence_office.h"
#include "gateway/receipt_office.h"
#include "gateway/task_queue.h"
#include "storage/message_store.h"

namespace countersign::gateway {

struct MessagingOptions {
  MessageDeskOptions desk;
  ConversationDeskOptions conversations;
  AudienceCache::Options audiences;
  ReceiptOptions receipts;
  MessageWorkerOptions worker;
  MailroomOptions mailroom;
  PresenceMode presence_mode = PresenceMode::kContacts;
  PresenceOptions presence;
  std::size_t max_devices_per_user = 100;
};

/// What the gateway needs for inboxes besides its own parts. All outlive it.
struct MessagingSetup {
  MessagingOptions options;
  bus::Bus& bus;
  RecipientDirectory* directory = nullptr;
  std::span<const std::uint8_t> master_key;
};

class Messaging final : private MessageSink {
 public:
  /// All references outlive it.
  Messaging(const MessagingSetup& setup, storage::MessageStore& store, Hub& hub, TaskQueue& tasks,
            const base::Clock& clock, base::Random& random, base::Metrics& metrics);
  ~Messaging() override;
  Messaging(const Messaging&) = delete;
  Messaging& operator=(const Messaging&) = delete;

  void start();
  /// Waits for what is under way. After the shards and the workers have stopped. Idempotent.
  void stop();
  /// Sweeps the mailrooms; about twice a second.
  void tick();

  Mailroom& mailroom(std::size_t shard) { return *mailrooms_[shard]; }
  /// The shard has members in its mailroom that are no connections of the hub: it is swept, and
  /// told of gaps, all the same. On the shard.
  void know_shard(std::size_t shard, base::Executor& executor) { hub_.shard(shard).know(executor); }

  // What a connection's machine asks for. `done` runs once, on any thread.

  /// @param join  the member has just joined its mailroom: the bus is flushed before the store is
  ///              asked, so that nothing is missed in between.
  void attach(Client client, std::optional<protocol::ClientPosition> resume, bool join,
              std::function<void(Result<storage::Attached>)> done);
  void read(storage::UserKey user, std::int64_t after, std::size_t max_entries,
            std::size_t max_bytes, std::function<void(Result<storage::InboxPage>)> done);
  /// @param done  with the cursor as the store has it now.
  void acknowledge(Client client, std::string epoch, std::int64_t offset,
                   std::function<void(Result<std::int64_t>)> done);
  void ask(Client client, ConnectionId connection, std::uint32_t id, MessagingRequest request,
           Reply reply);

  /// Entries pushed to clients.
  base::Counter& pushed() { return pushed_; }
  PresenceOffice& presence() { return presence_; }

 private:
  // MessageSink
  void on_fan_out(const storage::FanOut& entries) override;
  void on_expired(const storage::Expired& expired) override;

  void attach_now(const Client& client, const std::optional<protocol::ClientPosition>& resume,
                  const std::function<void(Result<storage::Attached>)>& done);

  const MessagingOptions options_;
  storage::MessageStore& store_;
  bus::Bus& bus_;
  Hub& hub_;
  TaskQueue& tasks_;
  const base::Clock& clock_;
  base::Counter& pushed_;
  base::Counter& pages_;
  base::Counter& attached_;
  base::Counter& acks_;
  MailroomMetrics mailroom_metrics_;
  MessagePublisher publisher_;
  AudienceCache audiences_;
  ReceiptOffice receipts_;
  MessageDesk desk_;
  ConversationDesk conversations_;
  PresenceOffice presence_;
  MessageWorker worker_;
  OutstandingCalls calls_;
  std::vector<std::unique_ptr<Mailroom>> mailrooms_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_MESSAGING_H_

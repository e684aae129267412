// The gateway: turns user tickets into instances and keeps their connections. Everything that the
// program needs of this room is here; the front door asks it for a handler for each connection.
//
// Order of life: construct; start() (hears of revocations from then on); the server accepts and
// calls open(); hub().shut_down() when draining; stop() the server and the workers; stop();
// destroy. Thread-safety: open() on the shard of the connection; start() and stop() from one
// thread. Source: docs/reference/protocol.md.
#ifndef COUNTERSIGN_GATEWAY_GATEWAY_H_
#define COUNTERSIGN_GATEWAY_GATEWAY_H_

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "countersign/policy.h"
#include "countersign/result.h"

#include "base/clock.h"
#include "base/jump_guard.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/worker_pool.h"
#include "bus/bus.h"
#include "gateway/channel.h"
#include "gateway/connection_machine.h"
#include "gateway/gateway_connection.h"
#include "gateway/hub.h"
#include "gateway/instance_desk.h"
#include "gateway/instance_keys.h"
#include "gateway/messaging.h"
#include "gateway/revocation_poller.h"
#include "gateway/ticket_desk.h"
#include "storage/store.h"

namespace countersign::gateway {

struct GatewayOptions {
  MachineConfig machine;
  std::size_t shards = 1;
  std::size_t max_instances_per_user = 200;
  SessionLimits sessions;
  /// Presented tickets that the store remembers so that no other device can use them; 0: off.
  std::size_t replay_capacity = 0;
  /// Of these, how many may be one user's.
  std::size_t replay_capacity_per_user = 1'000;
  PollerOptions poller;
  /// How often sessions of connected clients are touched, and old rows are removed.
  std::chrono::seconds housekeeping_interval{180};
  /// How long rows of the revocation log stay, for nodes that are cut off.
  std::chrono::hours revocation_retention{24};
  /// The clock of the store, which tells what is old enough to be removed: the machine's own may be
  /// wrong, and one that never runs backwards would keep what a jump added. Null: the gateway's
  /// clock. Outlives the gateway.
  const base::Clock* store_clock = nullptr;
};

class Gateway {
 public:
  /// References must outlive the gateway.
  /// @param workers  for store operations.
  /// @param clock    its wall time must never run backwards (base::MonotonicWallClock).
  /// @param messaging  null: clients get no inbox.
  Gateway(GatewayOptions options, storage::Store& store, base::WorkerPool& workers,
          const base::Clock& clock, base::Random& random, base::Metrics& metrics,
          KeyRingProvider ring, Policy policy, InstanceKeys keys,
          const MessagingSetup* messaging = nullptr);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  /// Notes where the revocation log ends and starts the thread that follows it. Until then every
  /// `connect` is answered with 113. kStoreFailed.
  Result<void> start();
  /// Ends that thread. Idempotent.
  void stop();
  /// Something may have been revoked: tells all nodes, this one included, to look now. Without a
  /// bus between them they look twice a second. From any thread, at once.
  void hasten_revocation();

  /// The handler of a new connection on shard `shard`.
  /// @param address  the client's, for the log.
  std::unique_ptr<ChannelHandler> open(std::string address, std::size_t shard);

  Hub& hub() { return hub_; }
  /// Null if clients get no inbox.
  Messaging* messaging() { return messaging_.get(); }
  RevocationPoller& poller() { return poller_; }
  /// The workers that wait for the store.
  TaskQueue& tasks() { return tasks_; }
  /// Hears of revocations as recently as it must. For /readyz.
  bool fenced() const { return poller_.fenced(clock_.steady()); }

  /// Touches sessions of connected clients and removes what has expired, unless the clock has
  /// jumped (base/jump_guard.h). The thread of start() calls it; tests may instead. The work itself
  /// runs on the workers.
  void housekeep();

 private:
  // The program's worker pool under the gateway's word for it.
  class Workers final : public TaskQueue {
   public:
    explicit Workers(base::WorkerPool& pool) : pool_(pool) {}
    bool try_submit(std::function<void()> task) override {
      return pool_.try_submit(std::move(task));
    }

   private:
    base::WorkerPool& pool_;
  };

  const base::Clock& store_clock() const {
    return options_.store_clock != nullptr ? *options_.store_clock : clock_;
  }
  void follow();
  void look_now();
  bool may_remove(base::SystemTime now);
  void remove_old(base::SystemTime now);

  const GatewayOptions options_;
  storage::Store& store_;
  const base::Clock& clock_;
  const InstanceKeys keys_;
  const TicketDesk tickets_;
  InstanceDesk instances_;
  RevocationPoller poller_;
  Hub hub_;
  Workers tasks_;
  base::Gauge& fenced_gauge_;
  bus::Bus* const bus_;  // null: there is none
  std::unique_ptr<Messaging> messaging_;
  const ConnectionContext context_;
  base::JumpGuard jump_guard_;  // housekeep()'s

  std::mutex mutex_;
  std::condition_variable wake_;
  bool look_ = false;  // something may have been revoked
  bool stopping_ = false;
  std::thread thread_;
  std::unique_ptr<bus::Subscription> revoked_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_GATEWAY_H_

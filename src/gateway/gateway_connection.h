// The driver of one connection: feeds the machine with what the channel, the store and the hub
// report, and carries out what it decides. No rule of the protocol is written here.
// Thread-safety: everything on the channel's shard. Store operations run on workers and come back
// by post(); they find a closed connection gone and are dropped.
#ifndef COUNTERSIGN_GATEWAY_GATEWAY_CONNECTION_H_
#define COUNTERSIGN_GATEWAY_GATEWAY_CONNECTION_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "gateway/actions.h"
#include "gateway/channel.h"
#include "gateway/connection_machine.h"
#include "gateway/hub.h"
#include "gateway/instance_desk.h"
#include "gateway/revocation_poller.h"
#include "gateway/ticket_desk.h"

namespace countersign::gateway {

/// Somewhere to run a blocking task. The gateway's own word for a worker pool.
class TaskQueue {
 public:
  virtual ~TaskQueue() = default;
  /// False if there is no room; then the task will not run.
  virtual bool try_submit(std::function<void()> task) = 0;
};

/// What all connections share. Everything outlives them.
struct ConnectionContext {
  const MachineConfig& config;
  const InstanceKeys& keys;
  const TicketDesk& tickets;
  InstanceDesk& instances;
  const RevocationPoller& poller;
  TaskQueue& tasks;
  const base::Clock& clock;  ///< its wall time never runs backwards
  base::Random& random;
  base::Metrics& metrics;
  base::Counter& accepted;  ///< connects that succeeded
};

class GatewayConnection final : public ChannelHandler, public HubMember {
 public:
  /// @param address  the client's, for the log.
  GatewayConnection(const ConnectionContext& context, HubShard& hub, std::string address);
  ~GatewayConnection() override;

  // ChannelHandler
  void on_open(Channel& channel) override;
  void on_frame(std::string_view frame) override;
  void on_timer() override;
  void on_closed() override;

  // HubMember
  const Membership& membership() const override { return machine_->membership(); }
  void on_revoked(std::string_view reason) override;
  void on_replaced(bool same_instance) override;
  void on_shutdown(base::SteadyTime at, std::chrono::milliseconds retry_after) override;
  void on_recheck() override;

 private:
  Moment moment() const;
  void settle(Actions actions);
  void carry_out(Actions actions);

  void perform(SendFrame& action);
  void perform(CloseWith& action);
  void perform(CloseNormally& action);
  void perform(VerifyTicket& action);
  void perform(Enrol& action);
  void perform(WatchSession& action);
  void perform(Announce& action);
  void perform(Leave& action);
  void perform(CreateInstance& action);
  void perform(FindInstance& action);
  void perform(CheckInstance& action);
  void perform(RefreshInstance& action);
  void perform(EndInstance& action);
  void perform(Report& action);

  // Runs `work` on a worker and reports its outcome as `event`.
  template <class Outcome>
  void offload(std::function<Outcome(InstanceDesk&, base::SystemTime)> work,
               Actions (ConnectionMachine::*event)(Outcome, Moment));

  const ConnectionContext& context_;
  HubShard& hub_;
  Channel* channel_ = nullptr;
  std::string address_;
  std::optional<ConnectionMachine> machine_;
  base::SteadyTime timer_ = base::SteadyTime::max();
  // Points to this while the connection is open; made when the first store operation starts. Only
  // the shard reads it.
  std::shared_ptr<GatewayConnection*> self_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_GATEWAY_CONNECTION_H_

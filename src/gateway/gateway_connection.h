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
#include <utility>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "gateway/actions.h"
#include "gateway/channel.h"
#include "gateway/connection_machine.h"
#include "gateway/hub.h"
#include "gateway/instance_desk.h"
#include "gateway/mailroom.h"
#include "gateway/revocation_poller.h"
#include "gateway/task_queue.h"
#include "gateway/ticket_desk.h"

namespace countersign::gateway {

class Messaging;
struct Client;

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
  base::Counter& accepted;         ///< connects that succeeded
  Messaging* messaging = nullptr;  ///< null: nobody gets an inbox
};

class GatewayConnection final : public ChannelHandler, public HubMember, private MailroomMember {
 public:
  /// @param address   the client's, for the log.
  /// @param mailroom  of the same shard; null: clients get no inbox.
  GatewayConnection(const ConnectionContext& context, HubShard& hub, std::string address,
                    Mailroom* mailroom = nullptr);
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
  // MailroomMember
  void on_user_event(const protocol::UserEvent& event) override;
  void on_news() override;
  void on_top(std::int64_t top) override;
  std::int64_t pushed() const override;

  Client client() const;
  void leave_mailroom();
  void count_pushed();
  // To the presence office.
  void appear();
  void disappear(bool clean);
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
  void perform(AttachInbox& action);
  void perform(ReadInbox& action);
  void perform(StoreAck& action);
  void perform(Ask& action);
  void perform(TellPresenceAgain& action);
  void perform(Report& action);

  // What reports an outcome to the machine, from any thread.
  template <class Outcome>
  std::function<void(Outcome)> returning(Actions (ConnectionMachine::*event)(Outcome, Moment)) {
    if (!self_) self_ = std::make_shared<GatewayConnection*>(this);
    return [&shard = channel_->shard(), self = self_, event](Outcome outcome) {
      shard.post([self, event, outcome = std::move(outcome)]() mutable {
        GatewayConnection* connection = *self;
        if (connection == nullptr) return;  // closed meanwhile
        ConnectionMachine& machine = *connection->machine_;
        connection->settle((machine.*event)(std::move(outcome), connection->moment()));
      });
    };
  }
  // Runs `work` on a worker and reports its outcome as `event`.
  template <class Outcome>
  void offload(std::function<Outcome(InstanceDesk&, base::SystemTime)> work,
               Actions (ConnectionMachine::*event)(Outcome, Moment));

  const ConnectionContext& context_;
  HubShard& hub_;
  Mailroom* const mailroom_;
  Channel* channel_ = nullptr;
  std::string address_;
  std::optional<ConnectionMachine> machine_;
  base::SteadyTime timer_ = base::SteadyTime::max();
  // Points to this while the connection is open; made when the first store operation starts. Only
  // the shard reads it.
  std::shared_ptr<GatewayConnection*> self_;
  bool joined_ = false;   // the mailroom
  bool present_ = false;  // the presence office knows it
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_GATEWAY_CONNECTION_H_

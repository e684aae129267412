#include "gateway/gateway_connection.h"

#include <utility>
#include <variant>

#include "base/log.h"
#include "base/secret_bytes.h"

namespace countersign::gateway {
namespace {

constexpr std::size_t kDeviceBytes = 12;

std::string_view event_name(Report::Event event) {
  switch (event) {
    case Report::Event::kTicketRefused:
      return "ticket_refused";
    case Report::Event::kInstanceRefused:
      return "instance_refused";
    case Report::Event::kConnectFailed:
      return "connect_failed";
    case Report::Event::kRefreshFailed:
      return "refresh_failed";
  }
  return "refused";
}

std::uint64_t random_number(base::Random& random) {
  std::array<std::uint8_t, 8> bytes{};
  random.fill(bytes);
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

}  // namespace

// The budget of an idle connection is 8 kB for everything, most of it the network layer's; the
// gateway's own part is this, one packed Membership, and four rows of the hub.
static_assert(sizeof(GatewayConnection) <= 400);

GatewayConnection::GatewayConnection(const ConnectionContext& context, HubShard& hub,
                                     std::string address, Mailroom* mailroom)
    : context_(context), hub_(hub), mailroom_(mailroom), address_(std::move(address)) {}

GatewayConnection::~GatewayConnection() {
  if (self_) *self_ = nullptr;
}

Moment GatewayConnection::moment() const {
  const base::SteadyTime steady = context_.clock.steady();
  return {steady, context_.clock.now(), context_.poller.fenced(steady),
          channel_ == nullptr ? 0 : channel_->queued_bytes()};
}

void GatewayConnection::on_open(Channel& channel) {
  channel_ = &channel;
  const std::uint64_t name = random_number(context_.random);
  const auto spread = static_cast<std::uint8_t>(context_.random.below(256));
  machine_.emplace(context_.config, context_.keys, name, spread, moment());
  hub_.add(*this, channel.shard());
  settle({});
}

void GatewayConnection::on_frame(std::string_view frame) {
  settle(machine_->on_frame(frame, moment()));
}

void GatewayConnection::on_timer() {
  timer_ = base::SteadyTime::max();  // it has fired and is not set any more
  settle(machine_->on_timer(moment()));
}

void GatewayConnection::on_closed() {
  if (!machine_) return;  // the handshake failed
  carry_out(machine_->on_closed());
  leave_mailroom();
  disappear(false);
  hub_.remove(*this);
  if (self_) *self_ = nullptr;
  channel_ = nullptr;
}

void GatewayConnection::on_revoked(std::string_view reason) {
  base::log_info("client_revoked",
                 {{"connection", machine_->connection_name()}, {"reason", reason}});
  settle(machine_->on_revoked(moment()));
}

void GatewayConnection::on_replaced(bool same_instance) {
  settle(machine_->on_replaced(same_instance, moment()));
}

void GatewayConnection::on_shutdown(base::SteadyTime at, std::chrono::milliseconds retry_after) {
  settle(machine_->on_shutdown(at, retry_after, moment()));
}

void GatewayConnection::on_recheck() { settle(machine_->on_recheck(moment())); }

// Carries out the actions of one event and sets the timer for what is due next.
void GatewayConnection::settle(Actions actions) {
  carry_out(std::move(actions));
  count_pushed();
  const base::SteadyTime next = machine_->next_deadline().value_or(base::SteadyTime::max());
  if (next == timer_ || channel_ == nullptr) return;
  timer_ = next;
  channel_->set_timer(machine_->next_deadline());
}

// Outcomes that are known at once lead to further actions, which come before the remaining ones.
void GatewayConnection::carry_out(Actions actions) {
  for (Action& action : actions) {
    std::visit([this](auto& what) { perform(what); }, action);
  }
}

void GatewayConnection::perform(SendFrame& action) { channel_->send(std::move(action.frame)); }

void GatewayConnection::perform(CloseWith& action) {
  base::log_debug("client_closing", {{"connection", machine_->connection_name()},
                                     {"close", close_name(action.code)}});
  context_.metrics
      .counter("countersign_gateway_closes_total", "Connections closed by the gateway.",
               {{"code", std::string(close_name(action.code))}})
      .add();
  disappear(action.code == CloseCode::kRevoked);
  channel_->close(action.code);
}

void GatewayConnection::perform(CloseNormally&) {
  disappear(true);
  channel_->close_normally();
}

void GatewayConnection::perform(VerifyTicket& action) {
  const Moment now = moment();
  auto ticket = context_.tickets.verify(action.ticket, now.wall);
  base::wipe(action.ticket);
  Fresh fresh;
  fresh.device = context_.random.token(kDeviceBytes);
  fresh.generation = static_cast<std::uint32_t>(random_number(context_.random)) >> 1;
  carry_out(machine_->on_ticket(std::move(ticket), std::move(fresh), now));
}

void GatewayConnection::perform(Enrol&) {
  carry_out(machine_->on_enrolled(hub_.enrol(*this), moment()));
}

void GatewayConnection::perform(WatchSession& action) { hub_.watch(*this, action.session); }

void GatewayConnection::perform(Announce&) {
  context_.accepted.add();
  base::log_info("client_connected",
                 {{"connection", machine_->connection_name()}, {"address", address_}});
  hub_.announce(*this);
  appear();
}

void GatewayConnection::perform(Leave&) {
  leave_mailroom();
  hub_.leave(*this);
}

void GatewayConnection::perform(CreateInstance& action) {
  offload<Result<storage::Instance>>(
      [instance = std::move(action.instance), presented = std::move(action.presented)](
          InstanceDesk& desk, base::SystemTime now) {
        return desk.create(instance, presented, now);
      },
      &ConnectionMachine::on_created);
}

void GatewayConnection::perform(FindInstance& action) {
  offload<Result<std::optional<storage::Instance>>>(
      [id = std::move(action.id)](InstanceDesk& desk, base::SystemTime) { return desk.find(id); },
      &ConnectionMachine::on_found);
}

void GatewayConnection::perform(CheckInstance& action) {
  offload<Result<storage::Instance>>(
      [id = std::move(action.id)](InstanceDesk& desk, base::SystemTime now) {
        return desk.check(id, now);
      },
      &ConnectionMachine::on_checked);
}

void GatewayConnection::perform(RefreshInstance& action) {
  offload<Result<void>>(
      [instance = std::move(action.instance), presented = std::move(action.presented)](
          InstanceDesk& desk, base::SystemTime now) {
        return desk.refresh(instance, presented, now);
      },
      &ConnectionMachine::on_refreshed);
}

void GatewayConnection::perform(EndInstance& action) {
  if (action.answer) {
    offload<Result<void>>(
        [id = std::move(action.id)](InstanceDesk& desk, base::SystemTime) { return desk.end(id); },
        &ConnectionMachine::on_ended);
    return;
  }
  // Nobody waits. If there is no room or the store fails, the instance ends with its ticket.
  const bool submitted = context_.tasks.try_submit(
      [&desk = context_.instances, id = std::move(action.id)] { (void)desk.end(id); });
  if (!submitted) base::log_debug("instance_not_ended");
}

void GatewayConnection::perform(Report& action) {
  const std::string_view event = event_name(action.event);
  base::log_info(event, {{"reason", error_name(action.reason)},
                         {"connection", machine_->connection_name()},
                         {"address", address_}});
  context_.metrics
      .counter("countersign_gateway_refusals_total", "Refused tickets, instances and refreshes.",
               {{"event", std::string(event)}, {"reason", std::string(error_name(action.reason))}})
      .add();
}

template <class Outcome>
void GatewayConnection::offload(std::function<Outcome(InstanceDesk&, base::SystemTime)> work,
                                Actions (ConnectionMachine::*event)(Outcome, Moment)) {
  const bool submitted = context_.tasks.try_submit(
      [&context = context_, work = std::move(work), done = returning<Outcome>(event)] {
        done(work(context.instances, context.clock.now()));
      });
  if (submitted) return;
  carry_out(((*machine_).*event)(fail(ErrorCode::kOverloaded, "workers are busy"), moment()));
  // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDeleteLeaks): a function moved into a function.
}

}  // namespace countersign::gateway

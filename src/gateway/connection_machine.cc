#include "gateway/connection_machine.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/encoding.h"
#include "base/secret_bytes.h"

namespace countersign::gateway {
namespace {

using std::chrono::milliseconds;

// What a command hears that was being obeyed when the connection had to close.
ErrorCode error_for_close(CloseCode code) {
  switch (code) {
    case CloseCode::kRevoked:
    case CloseCode::kBadInstance:
      return ErrorCode::kUnauthorized;
    case CloseCode::kInstanceExpired:
      return ErrorCode::kInstanceExpired;
    case CloseCode::kShutdown:
    case CloseCode::kRebalance:
      return ErrorCode::kOverloaded;
    case CloseCode::kReplaced:
      return ErrorCode::kBadState;
    case CloseCode::kBadFrame:
      return ErrorCode::kBadRequest;
    case CloseCode::kTooManyRequests:
      return ErrorCode::kTooManyRequests;
    default:
      return ErrorCode::kInternal;
  }
}

}  // namespace

ConnectionMachine::ConnectionMachine(const MachineConfig& config, const InstanceKeys& keys,
                                     std::uint64_t connection, std::uint8_t spread, Moment now)
    : config_(config),
      keys_(keys),
      connection_(connection),
      bucket_(config.limits.command_burst, now.steady),
      phase_deadline_(now.steady + config.connect_timeout),
      next_ping_(base::SteadyTime::max()),
      spread_(spread) {}

std::string ConnectionMachine::connection_name() const {
  std::array<std::uint8_t, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(connection_ >> (8 * (7 - i)));
  }
  return base::hex_encode(bytes);
}

// Events from the client.

Actions ConnectionMachine::on_frame(std::string_view frame, Moment now) {
  Actions out;
  protocol::FrameReader reader(frame);
  while (!closing()) {
    expire_if_due(now);
    auto message = reader.next();
    if (!message) break;
    if (!*message) {
      close(CloseCode::kBadFrame, out);
      break;
    }
    if (!admit(**message, now, out)) continue;
    if (auto* command = std::get_if<protocol::Command>(&**message)) obey(*command, now, out);
  }
  return out;
}

// Counts the message against the client's budget. False: it was answered or dropped.
bool ConnectionMachine::admit(const protocol::ClientMessage& message, Moment now, Actions& out) {
  const bool pong_was_due = pong_deadline_ != base::SteadyTime::max();
  pong_deadline_ = base::SteadyTime::max();  // whatever arrives shows that somebody is there
  const auto* command = std::get_if<protocol::Command>(&message);
  if (command == nullptr && pong_was_due) return true;
  if (command != nullptr) {
    if (command->id <= last_id_) {  // a second reply to one id could be taken for the first
      close(CloseCode::kBadFrame, out);
      return false;
    }
    last_id_ = command->id;
  }
  const double rate = config_.limits.commands_per_second;
  const double burst = config_.limits.command_burst;
  if (bucket_.take(rate, burst, now.steady)) {
    if (bucket_.full(burst)) refusals_ = 0;
    return true;
  }
  const milliseconds wait = bucket_.wait(rate);
  if (command != nullptr) {
    out.push_back(
        SendFrame{protocol::encode_error(command->id, ErrorCode::kTooManyRequests, wait)});
  }
  if (++refusals_ >= config_.max_refusals) {
    close(CloseCode::kTooManyRequests, out, config_.retry_after);
  }
  return false;
}

void ConnectionMachine::obey(protocol::Command& command, Moment now, Actions& out) {
  if (const auto* refused = std::get_if<protocol::Refused>(&command.verb)) {
    reply_error(command.id, refused->code, out);
  } else if (auto* connect = std::get_if<protocol::Connect>(&command.verb)) {
    obey_connect(command.id, *connect, now, out);
  } else if (phase_ == Phase::kNew || phase_ == Phase::kConnecting) {
    reply_error(command.id, ErrorCode::kBadState, out);
  } else if (auto* refresh = std::get_if<protocol::Refresh>(&command.verb)) {
    obey_refresh(command.id, *refresh, now, out);
  } else if (phase_ == Phase::kExpired) {
    reply_error(command.id, ErrorCode::kInstanceExpired, out);
  } else if (std::holds_alternative<protocol::Terminate>(command.verb)) {
    obey_terminate(command.id, now, out);
  } else if (std::holds_alternative<protocol::Ping>(command.verb)) {
    out.push_back(SendFrame{protocol::encode_ping_reply(command.id)});
  } else {
    obey_messaging(command, now, out);
  }
}

void ConnectionMachine::obey_refresh(std::uint32_t id, protocol::Refresh& refresh, Moment now,
                                     Actions& out) {
  if (pending_) return reply_error(id, ErrorCode::kBadState, out);
  if (now.fenced) return reply_error(id, ErrorCode::kOverloaded, out);
  begin(id, Step::kVerifyRefresh, now);
  out.push_back(VerifyTicket{std::move(refresh.user_ticket)});
}

void ConnectionMachine::obey_terminate(std::uint32_t id, Moment now, Actions& out) {
  if (!pending_) return end_instance(id, now, out);
  if (pending_->step == Step::kEnd || pending_->terminate_id != 0) {
    return reply_error(id, ErrorCode::kBadState, out);
  }
  pending_->terminate_id = id;
}

Actions ConnectionMachine::on_timer(Moment now) {
  Actions out;
  if (closing()) return out;
  expire_if_due(now);
  if (pending_ && now.steady >= pending_->deadline) {
    close(CloseCode::kServerError, out, config_.retry_after);
  } else if (phase_ == Phase::kNew && now.steady >= phase_deadline_) {
    close(CloseCode::kNoConnect, out);
  } else if (phase_ == Phase::kExpired && now.steady >= phase_deadline_) {
    close(CloseCode::kInstanceExpired, out);
  } else if (now.steady >= shutdown_at_) {
    close(CloseCode::kShutdown, out, shutdown_retry_);
  } else if (now.steady >= pong_deadline_) {
    close(CloseCode::kNoPong, out);
  } else {
    keep_alive(now, out);
    watch_wall(now, out);
    if (inbox_) {
      inbox_->on_timer(for_inbox(now), out);
      if (inbox_->too_slow(now)) close(CloseCode::kSlow, out);
    }
  }
  return out;
}

Actions ConnectionMachine::on_closed() {
  Actions out;
  if (!closing()) out.push_back(Leave{});
  phase_ = Phase::kClosing;
  pending_.reset();
  inbox_.reset();
  return out;
}

// Outcomes.

Actions ConnectionMachine::on_ticket(Result<TicketFacts> ticket, Fresh fresh, Moment now) {
  Actions out;
  if (waits_for(Step::kVerifyConnect)) {
    ticket_for_connect(ticket, fresh, now, out);
  } else if (waits_for(Step::kVerifyRefresh)) {
    ticket_for_refresh(ticket, now, out);
  }
  return out;
}

void ConnectionMachine::ticket_for_refresh(Result<TicketFacts>& ticket, Moment now, Actions& out) {
  if (!ticket) return refresh_failed(ticket.code(), now, out);
  if (!membership_.same_user(ticket->application_key, ticket->identity)) {
    return refresh_failed(ErrorCode::kPermissionDenied, now, out);
  }
  if (ticket->expires <= now.wall) return refresh_failed(ErrorCode::kExpired, now, out);
  storage::Instance& instance = pending_->instance;
  instance.id = base::InstanceId(std::string(membership_.instance()));
  instance.application_key = std::move(ticket->application_key);
  instance.identity = std::move(ticket->identity);
  instance.device = std::string(membership_.device());
  instance.session = std::move(ticket->session);
  instance.ticket_created = ticket->created;
  instance.expires = capped_expiry(ticket->expires, now);
  if (instance.session && instance.session->text() != membership_.session()) {
    pending_->watching = true;
    out.push_back(WatchSession{*instance.session});
  }
  if (ticket->presented) ticket->presented->device = instance.device;
  pending_->step = Step::kRefresh;
  out.push_back(RefreshInstance{instance, std::move(ticket->presented)});
}

Actions ConnectionMachine::on_refreshed(Result<void> outcome, Moment now) {
  Actions out;
  if (!waits_for(Step::kRefresh)) return out;
  if (!outcome) {
    // The store says "absent" when the instance was ended under a living connection: revoked.
    const bool ended = outcome.code() == ErrorCode::kAbsent;
    refresh_failed(ended ? ErrorCode::kRevoked : outcome.code(), now, out);
    return out;
  }
  if (now.wall >= pending_->instance.expires) {  // the store took longer than the ticket lived
    refresh_failed(ErrorCode::kExpired, now, out);
    return out;
  }
  const std::unique_ptr<Pending> done = std::move(pending_);
  membership_ = Membership(done->instance);
  phase_ = Phase::kLive;
  out.push_back(Enrol{});
  out.push_back(SendFrame{protocol::encode_refresh_reply(done->id, membership_.expires())});
  plan_notice(now.wall, now);
  finish_deferred(done->terminate_id, now, out);
  return out;
}

Actions ConnectionMachine::on_ended(Result<void> outcome, Moment) {
  Actions out;
  if (!waits_for(Step::kEnd)) return out;
  const std::uint32_t id = pending_->id;
  pending_.reset();
  if (!outcome) {
    reply_error(id, outcome.code(), out);
    return out;
  }
  if (inbox_) inbox_->fail_all(ErrorCode::kBadState, out);
  inbox_.reset();
  out.push_back(SendFrame{protocol::encode_terminate_reply(id)});
  out.push_back(Leave{});
  out.push_back(CloseNormally{});
  phase_ = Phase::kClosing;
  return out;
}

// Events from the hub.

Actions ConnectionMachine::on_revoked(Moment) {
  Actions out;
  if (!closing()) close(CloseCode::kRevoked, out);
  return out;
}

Actions ConnectionMachine::on_replaced(bool same_instance, Moment) {
  Actions out;
  if (closing()) return out;
  // A device is one instance: the one it has left behind ends.
  if (!same_instance) {
    out.push_back(EndInstance{base::InstanceId(std::string(membership_.instance())), false});
  }
  close(CloseCode::kReplaced, out);
  return out;
}

Actions ConnectionMachine::on_shutdown(base::SteadyTime at, milliseconds retry_after, Moment) {
  if (!closing()) {
    shutdown_at_ = at;
    shutdown_retry_ = decltype(shutdown_retry_)(
        static_cast<std::uint32_t>(std::max<long>(0, retry_after.count())));
  }
  return {};
}

Actions ConnectionMachine::on_recheck(Moment) {
  Actions out;
  if (!closing()) close(CloseCode::kRebalance, out);
  return out;
}

void ConnectionMachine::refresh_failed(ErrorCode reason, Moment now, Actions& out) {
  const std::unique_ptr<Pending> done = std::move(pending_);
  const bool ticket_fault = is_ticket_fault(reason) || reason == ErrorCode::kRevoked;
  out.push_back(
      Report{ticket_fault ? Report::Event::kTicketRefused : Report::Event::kRefreshFailed, reason});
  reply_error(done->id, reason, out);
  if (reason == ErrorCode::kRevoked) {
    if (done->terminate_id != 0) reply_error(done->terminate_id, ErrorCode::kUnauthorized, out);
    return close(CloseCode::kRevoked, out);
  }
  if (done->watching) out.push_back(Enrol{});  // the other session no longer concerns us
  finish_deferred(done->terminate_id, now, out);
}

void ConnectionMachine::finish_deferred(std::uint32_t terminate_id, Moment now, Actions& out) {
  if (terminate_id == 0) return;
  if (phase_ == Phase::kLive) {
    end_instance(terminate_id, now, out);
  } else {
    reply_error(terminate_id, ErrorCode::kInstanceExpired, out);
  }
}

void ConnectionMachine::end_instance(std::uint32_t id, Moment now, Actions& out) {
  begin(id, Step::kEnd, now);
  out.push_back(EndInstance{base::InstanceId(std::string(membership_.instance()))});
}

// Small parts.

void ConnectionMachine::begin(std::uint32_t id, Step step, Moment now) {
  pending_ = std::make_unique<Pending>();
  pending_->id = id;
  pending_->step = step;
  pending_->deadline = now.steady + config_.operation_timeout;
}

void ConnectionMachine::reply_error(std::uint32_t id, ErrorCode code, Actions& out) const {
  std::optional<milliseconds> retry_after;
  if (protocol::gateway_code(code) == ErrorCode::kOverloaded) retry_after = config_.retry_after;
  out.push_back(SendFrame{protocol::encode_error(id, code, retry_after)});
}

void ConnectionMachine::close(CloseCode code, Actions& out, milliseconds retry_after) {
  if (pending_) {
    reply_error(pending_->id, error_for_close(code), out);
    if (pending_->terminate_id != 0) {
      reply_error(pending_->terminate_id, error_for_close(code), out);
    }
    pending_.reset();
  }
  if (inbox_) inbox_->fail_all(error_for_close(code), out);
  inbox_.reset();
  out.push_back(SendFrame{protocol::encode_bye(code, retry_after)});
  out.push_back(Leave{});
  out.push_back(CloseWith{code});
  phase_ = Phase::kClosing;
}

}  // namespace countersign::gateway

// The connection machine, getting in: from the first command to live, or not.
#include <optional>
#include <string>
#include <utility>

#include "base/encoding.h"
#include "base/secret_bytes.h"
#include "gateway/connection_machine.h"
#include "gateway/inbox_text.h"

namespace countersign::gateway {

using std::chrono::milliseconds;

bool ConnectionMachine::is_ticket_fault(ErrorCode code) {
  return static_cast<int>(code) >= 1200 && code != ErrorCode::kRevoked;
}

void ConnectionMachine::obey_connect(std::uint32_t id, protocol::Connect& connect, Moment now,
                                     Actions& out) {
  if (phase_ != Phase::kNew) return reply_error(id, ErrorCode::kBadState, out);
  phase_ = Phase::kConnecting;
  begin(id, Step::kVerifyConnect, now);
  if (shutdown_at_ != base::SteadyTime::max()) {
    return close(CloseCode::kShutdown, out, shutdown_retry_);
  }
  if (now.fenced) return connect_failed(ErrorCode::kOverloaded, now, out);
  pending_->device = std::move(connect.device);
  pending_->messaging = connect.messaging;
  pending_->resume = std::move(connect.resume);
  if (!connect.user_ticket.empty()) {
    out.push_back(VerifyTicket{std::move(connect.user_ticket)});
    return;
  }
  pending_->step = Step::kFind;
  pending_->secret = std::move(connect.secret);
  out.push_back(FindInstance{base::InstanceId(std::move(connect.instance))});
}

void ConnectionMachine::ticket_for_connect(Result<TicketFacts>& ticket, Fresh& fresh, Moment now,
                                           Actions& out) {
  if (!ticket) return connect_failed(ticket.code(), now, out);
  // The verifier allows for skewed clocks; an instance ends when its ticket says so.
  if (ticket->expires <= now.wall) return connect_failed(ErrorCode::kExpired, now, out);
  storage::Instance& instance = pending_->instance;
  instance.device = std::move(pending_->device.empty() ? fresh.device : pending_->device);
  instance.application_key = std::move(ticket->application_key);
  instance.identity = std::move(ticket->identity);
  instance.session = std::move(ticket->session);
  instance.id = base::InstanceId(
      keys_.instance_for(instance.application_key, instance.identity, instance.device));
  instance.generation = fresh.generation;
  instance.key_id = keys_.current_key_id();
  instance.ticket_created = ticket->created;
  instance.created = now.wall;
  instance.expires = capped_expiry(ticket->expires, now);
  // A made-up name counts too: whoever was told it may come again with the ticket.
  pending_->presented = std::move(ticket->presented);
  if (pending_->presented) pending_->presented->device = instance.device;
  membership_ = Membership(instance);
  pending_->step = Step::kEnrolNew;
  out.push_back(Enrol{});
}

Actions ConnectionMachine::on_enrolled(Result<void> outcome, Moment now) {
  Actions out;
  if (!waits_for(Step::kEnrolNew) && !waits_for(Step::kEnrolKnown)) return out;
  if (!outcome) {
    connect_failed(outcome.code(), now, out);
  } else if (pending_->step == Step::kEnrolNew) {
    pending_->step = Step::kCreate;
    out.push_back(CreateInstance{pending_->instance, std::move(pending_->presented)});
  } else {
    pending_->step = Step::kCheck;
    out.push_back(CheckInstance{pending_->instance.id});
  }
  return out;
}

Actions ConnectionMachine::on_created(Result<storage::Instance> stored, Moment now) {
  Actions out;
  if (!waits_for(Step::kCreate)) return out;
  if (stored) {
    pending_->instance = std::move(*stored);
    enter(true, now, out);
  } else {
    connect_failed(stored.code(), now, out);
  }
  return out;
}

Actions ConnectionMachine::on_found(Result<std::optional<storage::Instance>> found, Moment now) {
  Actions out;
  if (!waits_for(Step::kFind)) return out;
  if (!found) {
    connect_failed(found.code(), now, out);
    return out;
  }
  // Unknown instance, wrong secret and somebody else's device are one answer outside.
  ErrorCode fault = ErrorCode::kAbsent;
  if (*found) {
    storage::Instance& instance = **found;
    const auto secret = keys_.secret(instance.key_id, instance.application_key, instance.id.text(),
                                     instance.generation);
    const bool genuine = secret && base::equal_constant_time(*secret, pending_->secret);
    const bool same_device = pending_->device.empty() || pending_->device == instance.device;
    if (genuine && same_device) {
      if (instance.expires <= now.wall) {
        connect_failed(ErrorCode::kInstanceExpired, now, out);
        return out;
      }
      membership_ = Membership(instance);
      pending_->instance = std::move(instance);
      pending_->step = Step::kEnrolKnown;
      out.push_back(Enrol{});
      return out;
    }
    fault = genuine ? ErrorCode::kPermissionDenied : ErrorCode::kUnauthorized;
  }
  out.push_back(Report{Report::Event::kInstanceRefused, fault});
  connect_failed(ErrorCode::kUnauthorized, now, out);
  return out;
}

Actions ConnectionMachine::on_checked(Result<storage::Instance> checked, Moment now) {
  Actions out;
  if (!waits_for(Step::kCheck)) return out;
  if (!checked) {
    connect_failed(checked.code(), now, out);
    return out;
  }
  // The device's older connection may have refreshed it since it was found. Then what we enrolled
  // with is out of date, and what was checked was checked before we enrol.
  const bool moved = checked->session != pending_->instance.session ||
                     checked->ticket_created != pending_->instance.ticket_created;
  pending_->instance = *std::move(checked);
  membership_ = Membership(pending_->instance);
  if (moved) {
    pending_->step = Step::kEnrolKnown;
    out.push_back(Enrol{});
  } else {
    enter(false, now, out);
  }
  return out;
}

void ConnectionMachine::enter(bool from_ticket, Moment now, Actions& out) {
  pending_->from_ticket = from_ticket;
  if (!pending_->messaging) return go_live(std::nullopt, now, out);
  pending_->step = Step::kAttach;
  out.push_back(AttachInbox{std::move(pending_->resume)});
}

void ConnectionMachine::go_live(std::optional<storage::Attached> attached, Moment now,
                                Actions& out) {
  if (now.fenced) return connect_failed(ErrorCode::kOverloaded, now, out);
  if (now.wall >= membership_.expires()) {
    return connect_failed(ErrorCode::kInstanceExpired, now, out);
  }
  const std::unique_ptr<Pending> done = std::move(pending_);
  const storage::Instance& instance = done->instance;
  phase_ = Phase::kLive;

  const std::string name = connection_name();
  std::optional<std::string> secret;
  protocol::ConnectReply reply;
  reply.connection = name;
  reply.node = config_.node;
  reply.user_type = instance.identity.type;
  reply.user_endpoint = instance.identity.endpoint;
  reply.device = instance.device;
  reply.server_time = now.wall;
  reply.instance_expires_at = instance.expires;
  reply.ping_interval = config_.ping_interval;
  reply.limits = config_.limits;
  if (attached) reply.inbox = inbox_state(*attached);
  if (done->from_ticket) {
    secret = keys_.secret(instance.key_id, instance.application_key, instance.id.text(),
                          instance.generation);
    reply.instance = instance.id.text();
    reply.secret = *secret;
  }
  out.push_back(SendFrame{protocol::encode_connect_reply(done->id, reply)});
  out.push_back(Announce{});
  if (secret) base::wipe(*secret);

  // The first ping falls into the second half of its interval.
  next_ping_ = now.steady + config_.ping_interval * (256 + spread_) / 512;
  plan_notice(now.wall, now);
  if (attached) {
    inbox_ = std::make_unique<InboxMachine>(config_.inbox, *attached, done->news, now);
    inbox_->start(for_inbox(now), out);
  }
}

void ConnectionMachine::connect_failed(ErrorCode reason, Moment, Actions& out) {
  const std::uint32_t id = pending_->id;
  pending_.reset();
  CloseCode code = CloseCode::kServerError;
  milliseconds retry_after = config_.retry_after;
  ErrorCode reply = reason;
  if (is_ticket_fault(reason)) {
    out.push_back(Report{Report::Event::kTicketRefused, reason});
    code = CloseCode::kBadInstance;
  } else if (reason == ErrorCode::kRevoked) {
    out.push_back(Report{Report::Event::kTicketRefused, reason});
    code = CloseCode::kRevoked;
  } else if (reason == ErrorCode::kLimitExceeded) {
    out.push_back(Report{Report::Event::kConnectFailed, reason});
    code = CloseCode::kConnectionLimit;
  } else if (reason == ErrorCode::kUnauthorized || reason == ErrorCode::kAbsent) {
    reply = ErrorCode::kUnauthorized;
    code = CloseCode::kBadInstance;
  } else if (reason == ErrorCode::kInstanceExpired) {
    out.push_back(Report{Report::Event::kInstanceRefused, reason});
    code = CloseCode::kInstanceExpired;
  } else {
    out.push_back(Report{Report::Event::kConnectFailed, reason});
  }
  if (code != CloseCode::kServerError) retry_after = milliseconds{0};
  reply_error(id, reply, out);
  close(code, out, retry_after);
}

}  // namespace countersign::gateway

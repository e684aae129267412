#include "gateway/callback_desk.h"

#include <algorithm>

#include "protocol/json_members.h"

namespace countersign::gateway {
namespace {

using std::chrono::milliseconds;

bool is_final(int status) {
  return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
}

/// The pause after this many failed attempts.
milliseconds pause_after(std::uint32_t attempts, const CallbackRules& rules, std::uint32_t jitter) {
  const std::uint32_t doublings = std::min<std::uint32_t>(attempts, 30);
  const milliseconds whole =
      std::min(rules.longest_pause, rules.first_pause * (std::int64_t{1} << doublings));
  return whole / 2 + whole / 2 * std::min<std::int64_t>(jitter, 65'535) / 65'535;
}

}  // namespace

CallbackVerdict judge_callback(const storage::Callback& callback, const CallbackAnswer& answer,
                               const CallbackRules& rules, base::SystemTime now,
                               std::uint32_t jitter) {
  CallbackVerdict verdict;
  if (answer.status >= 200 && answer.status < 300) return verdict;
  verdict.error = answer.status == 0 ? answer.failure : std::to_string(answer.status);
  milliseconds pause = pause_after(callback.attempts, rules, jitter);
  if (answer.retry_after) {
    pause = std::max(pause, std::min<milliseconds>(*answer.retry_after, rules.longest_pause));
  }
  verdict.next = now + pause;
  const bool too_late = verdict.next >= callback.time + rules.give_up_after;
  verdict.kind = answer.hopeless || is_final(answer.status) || too_late
                     ? CallbackVerdict::Kind::kDead
                     : CallbackVerdict::Kind::kRetry;
  return verdict;
}

std::string_view callback_event(storage::CallbackKind kind) {
  switch (kind) {
    case storage::CallbackKind::kMessageSent:
      return "message.sent";
    case storage::CallbackKind::kMessageDelivered:
      return "message.delivered";
    case storage::CallbackKind::kInstanceStarted:
      return "instance.started";
    case storage::CallbackKind::kInstanceEnded:
      return "instance.ended";
  }
  return "unknown";
}

std::string encode_callback(const storage::Callback& callback,
                            const std::optional<CallbackMessage>& message) {
  std::string out = "{";
  protocol::append_first_text(out, "id", callback.key);
  protocol::append_text(out, "event", callback_event(callback.kind));
  protocol::append_time(out, "time", callback.time);
  protocol::append_text(out, "application", callback.user.application);
  protocol::append_identity(out, "user", callback.user.identity);
  const bool instance = callback.kind == storage::CallbackKind::kInstanceStarted ||
                        callback.kind == storage::CallbackKind::kInstanceEnded;
  if (instance) {
    protocol::append_name(out, "instance");
    out.push_back('{');
    protocol::append_first_text(out, "id", callback.instance);
    return out + "}}";
  }
  protocol::append_name(out, "message");
  out.push_back('{');
  protocol::append_first_text(out, "conv", callback.conversation);
  protocol::append_number(out, "seq", callback.seq);
  if (callback.kind == storage::CallbackKind::kMessageSent) {
    protocol::append_text(out, "msg_id", callback.message_id);
    if (message && message->group) protocol::append_flag(out, "group", true);
    if (message && !message->to.empty()) protocol::append_identities(out, "to", message->to);
    if (!message || message->gone) {
      protocol::append_flag(out, "gone", true);
    } else if (!message->body.empty()) {
      out.append(",").append(message->body);
    }
  }
  return out + "}}";
}

}  // namespace countersign::gateway

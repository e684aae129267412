#include "protocol/server_messages.h"

#include "protocol/json_members.h"

namespace countersign::protocol {
namespace {

std::int64_t milliseconds(std::chrono::milliseconds duration) {
  return duration.count() < 0 ? 0 : duration.count();
}

}  // namespace

ErrorCode gateway_code(ErrorCode code) {
  constexpr int kFirst = 100, kEnd = 400;
  const ErrorCode wire = wire_code(code);
  if (wire == ErrorCode::kStoreFull) return ErrorCode::kOverloaded;
  const int number = static_cast<int>(wire);
  return number >= kFirst && number < kEnd ? wire : ErrorCode::kInternal;
}

std::string encode_connect_reply(std::uint32_t id, const ConnectReply& reply) {
  std::string out = reply_head(id, "connect");
  out.reserve(896);
  out += '{';
  append_first_text(out, "connection", reply.connection);
  append_text(out, "node", reply.node);
  out.append(",\"user\":{");
  append_first_text(out, "type", identity_type_name(reply.user_type));
  append_text(out, "endpoint", reply.user_endpoint);
  out += '}';
  append_text(out, "device", reply.device);
  append_time(out, "server_time", reply.server_time);
  append_time(out, "instance_expires_at", reply.instance_expires_at);
  out.append(",\"ping\":{\"interval\":").append(std::to_string(milliseconds(reply.ping_interval)));
  append_flag(out, "pong", true);
  out.append("},\"limits\":{\"max_frame_bytes\":");
  out.append(std::to_string(reply.limits.max_frame_bytes));
  append_number(out, "max_queued_bytes", static_cast<std::int64_t>(reply.limits.max_queued_bytes));
  append_number(out, "commands_per_second", reply.limits.commands_per_second);
  append_number(out, "command_burst", reply.limits.command_burst);
  out += '}';
  if (!reply.instance.empty()) {
    append_text(out, "instance", reply.instance);
    append_text(out, "secret", reply.secret);
  }
  if (reply.inbox) {
    append_name(out, "inbox");
    append_inbox_object(out, *reply.inbox);
  }
  out.append("}}");
  return out;
}

std::string encode_refresh_reply(std::uint32_t id, base::SystemTime instance_expires_at) {
  std::string out = reply_head(id, "refresh");
  out += '{';
  append_first_text(out, "instance_expires_at", base::format_rfc3339(instance_expires_at));
  out.append("}}");
  return out;
}

std::string encode_ping_reply(std::uint32_t id) { return reply_head(id, "ping").append("{}}"); }

std::string encode_terminate_reply(std::uint32_t id) {
  return reply_head(id, "terminate").append("{}}");
}

std::string encode_error(std::uint32_t id, ErrorCode code,
                         std::optional<std::chrono::milliseconds> retry_after,
                         std::span<const Identity> users) {
  const ErrorCode wire = gateway_code(code);
  std::string out = reply_head(id, "error");
  out.append("{\"code\":").append(std::to_string(static_cast<int>(wire)));
  append_text(out, "message", error_text(wire));
  append_flag(out, "temporary", is_temporary(wire));
  if (retry_after) append_number(out, "retry_after_ms", milliseconds(*retry_after));
  if (!users.empty()) append_identities(out, "users", users);
  out.append("}}");
  return out;
}

std::string encode_expiring(std::chrono::milliseconds left) {
  std::string out = push_head("expiring");
  out.append("{\"in_ms\":").append(std::to_string(milliseconds(left))).append("}}}");
  return out;
}

std::string encode_bye(CloseCode code, std::chrono::milliseconds retry_after) {
  std::string out = push_head("bye");
  out.append("{\"code\":").append(std::to_string(static_cast<int>(code)));
  append_text(out, "reason", close_name(code));
  append_number(out, "retry_after_ms", milliseconds(retry_after));
  out.append("}}}");
  return out;
}

}  // namespace countersign::protocol

#include "protocol/server_messages.h"

#include "base/json_text.h"

namespace countersign::protocol {
namespace {

void append_text(std::string& out, std::string_view name, std::string_view value) {
  out.append(",\"").append(name).append("\":");
  base::append_json_string(out, value);
}

void append_number(std::string& out, std::string_view name, std::uint64_t value) {
  out.append(",\"").append(name).append("\":").append(std::to_string(value));
}

std::string reply_head(std::uint32_t id) {
  return std::string("{\"id\":").append(std::to_string(id));
}

std::uint64_t milliseconds(std::chrono::milliseconds duration) {
  return duration.count() < 0 ? 0 : static_cast<std::uint64_t>(duration.count());
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
  std::string out = reply_head(id);
  out.reserve(640);
  out.append(",\"connect\":{\"connection\":");
  base::append_json_string(out, reply.connection);
  append_text(out, "node", reply.node);
  out.append(",\"user\":{\"type\":");
  base::append_json_string(out, identity_type_name(reply.user_type));
  append_text(out, "endpoint", reply.user_endpoint);
  out.append("}");
  append_text(out, "device", reply.device);
  append_text(out, "server_time", base::format_rfc3339(reply.server_time));
  append_text(out, "instance_expires_at", base::format_rfc3339(reply.instance_expires_at));
  out.append(",\"ping\":{\"interval\":").append(std::to_string(milliseconds(reply.ping_interval)));
  out.append(",\"pong\":true},\"limits\":{\"max_frame_bytes\":");
  out.append(std::to_string(reply.limits.max_frame_bytes));
  append_number(out, "max_queued_bytes", reply.limits.max_queued_bytes);
  append_number(out, "commands_per_second", reply.limits.commands_per_second);
  append_number(out, "command_burst", reply.limits.command_burst);
  out.append("}");
  if (!reply.instance.empty()) {
    append_text(out, "instance", reply.instance);
    append_text(out, "secret", reply.secret);
  }
  out.append("}}");
  return out;
}

std::string encode_refresh_reply(std::uint32_t id, base::SystemTime instance_expires_at) {
  std::string out = reply_head(id);
  out.append(",\"refresh\":{\"instance_expires_at\":");
  base::append_json_string(out, base::format_rfc3339(instance_expires_at));
  out.append("}}");
  return out;
}

std::string encode_ping_reply(std::uint32_t id) { return reply_head(id).append(",\"ping\":{}}"); }

std::string encode_terminate_reply(std::uint32_t id) {
  return reply_head(id).append(",\"terminate\":{}}");
}

std::string encode_error(std::uint32_t id, ErrorCode code,
                         std::optional<std::chrono::milliseconds> retry_after) {
  const ErrorCode wire = gateway_code(code);
  std::string out = reply_head(id);
  out.append(",\"error\":{\"code\":").append(std::to_string(static_cast<int>(wire)));
  append_text(out, "message", error_text(wire));
  out.append(is_temporary(wire) ? ",\"temporary\":true" : ",\"temporary\":false");
  if (retry_after) append_number(out, "retry_after_ms", milliseconds(*retry_after));
  out.append("}}");
  return out;
}

std::string encode_expiring(std::chrono::milliseconds left) {
  std::string out = "{\"push\":{\"expiring\":{\"in_ms\":";
  out.append(std::to_string(milliseconds(left))).append("}}}");
  return out;
}

std::string encode_bye(CloseCode code, std::chrono::milliseconds retry_after) {
  std::string out = "{\"push\":{\"bye\":{\"code\":";
  out.append(std::to_string(static_cast<int>(code)));
  append_text(out, "reason", close_name(code));
  append_number(out, "retry_after_ms", milliseconds(retry_after));
  out.append("}}}");
  return out;
}

}  // namespace countersign::protocol

#include "protocol/json_members.h"

#include "base/encoding.h"
#include "base/json_text.h"

namespace countersign::protocol {

std::string reply_head(std::uint32_t id, std::string_view verb) {
  std::string out = "{\"id\":";
  out.append(std::to_string(id)).append(",\"").append(verb).append("\":");
  return out;
}

std::string push_head(std::string_view kind) {
  std::string out = "{\"push\":{\"";
  out.append(kind).append("\":");
  return out;
}

void append_name(std::string& out, std::string_view name) {
  out.append(",\"").append(name).append("\":");
}

void append_text(std::string& out, std::string_view name, std::string_view value) {
  append_name(out, name);
  base::append_json_string(out, value);
}

void append_number(std::string& out, std::string_view name, std::int64_t value) {
  append_name(out, name);
  out.append(std::to_string(value));
}

void append_flag(std::string& out, std::string_view name, bool value) {
  append_name(out, name);
  out.append(value ? "true" : "false");
}

void append_time(std::string& out, std::string_view name, base::SystemTime value) {
  append_text(out, name, base::format_rfc3339(value));
}

void append_identity(std::string& out, std::string_view name, const Identity& user) {
  append_name(out, name);
  append_identity_object(out, user);
}

void append_identities(std::string& out, std::string_view name, std::span<const Identity> users) {
  append_name(out, name);
  append_identity_list(out, users);
}

void append_hex(std::string& out, std::string_view name, std::string_view raw) {
  append_name(out, name);
  out.append("\"").append(base::hex_encode(base::as_bytes(raw))).append("\"");
}

void append_first_text(std::string& out, std::string_view name, std::string_view value) {
  out.append("\"").append(name).append("\":");
  base::append_json_string(out, value);
}

void append_identity_object(std::string& out, const Identity& user) {
  out += '{';
  append_first_text(out, "type", identity_type_name(user.type));
  append_text(out, "endpoint", user.endpoint);
  out += '}';
}

void append_identity_list(std::string& out, std::span<const Identity> users) {
  out += '[';
  for (const Identity& user : users) {
    if (&user != users.data()) out += ',';
    append_identity_object(out, user);
  }
  out += ']';
}

void append_inbox_object(std::string& out, const InboxState& inbox) {
  out += '{';
  append_first_text(out, "epoch", inbox.epoch);
  append_number(out, "floor", inbox.floor);
  append_number(out, "top", inbox.top);
  append_number(out, "cursor", inbox.cursor);
  append_number(out, "from", inbox.from);
  append_hex(out, "from_chain", inbox.from_chain);
  append_flag(out, "recovered", inbox.reason == ResetReason::kNone);
  if (inbox.reason != ResetReason::kNone) append_text(out, "reason", reason_name(inbox.reason));
  out += '}';
}

}  // namespace countersign::protocol

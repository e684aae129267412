// Members of JSON objects, appended to a text: what every encoder of this room is made of. Each
// begins with a comma but those whose name says `first`; the braces are the caller's.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_PROTOCOL_JSON_MEMBERS_H_
#define COUNTERSIGN_PROTOCOL_JSON_MEMBERS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "countersign/identity.h"

#include "base/clock.h"
#include "protocol/inbox_messages.h"

namespace countersign::protocol {

/// `{"id":n,"<verb>":`: the value and the last brace are still to come.
std::string reply_head(std::uint32_t id, std::string_view verb);
/// `{"push":{"<kind>":`: the value and two braces are still to come.
std::string push_head(std::string_view kind);

/// `,"name":`.
void append_name(std::string& out, std::string_view name);
void append_text(std::string& out, std::string_view name, std::string_view value);
void append_number(std::string& out, std::string_view name, std::int64_t value);
void append_flag(std::string& out, std::string_view name, bool value);
/// RFC 3339, UTC, milliseconds.
void append_time(std::string& out, std::string_view name, base::SystemTime value);
void append_identity(std::string& out, std::string_view name, const Identity& user);
void append_identities(std::string& out, std::string_view name, std::span<const Identity> users);
/// `raw` in hexadecimal.
void append_hex(std::string& out, std::string_view name, std::string_view raw);

/// `"name":"value"`, for the beginning of an object.
void append_first_text(std::string& out, std::string_view name, std::string_view value);
/// `{"type":"…","endpoint":"…"}`.
void append_identity_object(std::string& out, const Identity& user);
/// `[{…},{…}]`.
void append_identity_list(std::string& out, std::span<const Identity> users);
/// `{"epoch":"…","floor":…}`, as `connect` and `sync` have it.
void append_inbox_object(std::string& out, const InboxState& inbox);

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_JSON_MEMBERS_H_

// Inbox text: stored messages as their readers see them on the wire.
// Thread-safety: pure functions. Source: docs/reference/messages.md, "inbox".
#ifndef COUNTERSIGN_GATEWAY_INBOX_TEXT_H_
#define COUNTERSIGN_GATEWAY_INBOX_TEXT_H_

#include <string>
#include <string_view>

#include "protocol/inbox_messages.h"
#include "storage/message_records.h"

namespace countersign::gateway {

/// Whether the id is a group's.
inline bool is_group(std::string_view conversation) { return conversation.starts_with("g-"); }

/// What of an entry is the same for all who get this kind of it; see protocol::join_entry().
std::string message_tail(storage::EntryKind kind, const storage::Message& message);
/// The entry as `device` gets it: a JSON object. What the device sent itself is a stub.
std::string entry_text(const storage::Entry& entry, std::string_view device);
/// The message as it stands in the history.
std::string history_text(const storage::Message& message);

protocol::ResetReason reset_reason(storage::Attached::Reason reason);
/// As `connect` and `sync` tell it; refers to the texts of `attached`.
protocol::InboxState inbox_state(const storage::Attached& attached);

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_INBOX_TEXT_H_

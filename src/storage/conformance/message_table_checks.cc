#include "storage/conformance/message_table_checks.h"

namespace countersign::storage {
namespace {

constexpr TableCheck kChecks[] = {
    {"entries without a message",
     "SELECT count(*) FROM inbox_entries WHERE message NOT IN (SELECT id FROM messages)"},
    {"entries without an inbox",
     "SELECT count(*) FROM inbox_entries WHERE inbox NOT IN (SELECT id FROM inboxes)"},
    {"failed entries without the other inbox",
     "SELECT count(*) FROM inbox_entries WHERE failed_inbox NOT IN (SELECT id FROM inboxes)"},
    {"inboxes with another number of entries",
     "SELECT count(*) FROM inboxes i WHERE top - floor <> "
     "(SELECT count(*) FROM inbox_entries WHERE inbox = i.id)"},
    {"inboxes with another number of bytes",
     "SELECT count(*) FROM inboxes i WHERE bytes <> "
     "(SELECT coalesce(sum(size), 0) FROM inbox_entries WHERE inbox = i.id)"},
    {"inboxes with another oldest entry",
     "SELECT count(*) FROM inboxes i WHERE oldest IS DISTINCT FROM (SELECT coalesce(e.time, "
     "m.time) "
     "FROM inbox_entries e JOIN messages m ON m.id = e.message WHERE e.inbox = i.id "
     "ORDER BY e.\"offset\" LIMIT 1)"},
    {"inboxes with another number of blocks",
     "SELECT count(*) FROM inboxes i WHERE blocking <> "
     "(SELECT count(*) FROM blocks WHERE inbox = i.id)"},
    {"shares that do not add up",
     "SELECT count(*) FROM sender_shares s WHERE entries <> (SELECT count(*) FROM inbox_entries e "
     "JOIN messages m ON m.id = e.message WHERE e.inbox = s.inbox AND m.sender = s.sender) "
     "OR inbox = sender"},
    {"entries that no share counts",
     "SELECT count(*) FROM inbox_entries e JOIN messages m ON m.id = e.message "
     "WHERE m.sender <> e.inbox AND NOT EXISTS (SELECT 1 FROM sender_shares s "
     "WHERE s.inbox = e.inbox AND s.sender = m.sender)"},
    {"messages with another number of uses",
     "SELECT count(*) FROM messages m WHERE uses <> "
     "(SELECT count(*) FROM inbox_entries WHERE message = m.id) + "
     "(SELECT count(*) FROM fan_out_jobs WHERE message = m.id)"},
    {"messages without a conversation or sender",
     "SELECT count(*) FROM messages WHERE conversation NOT IN (SELECT number FROM conversations) "
     "OR sender NOT IN (SELECT id FROM inboxes)"},
    {"messages above the top of their conversation",
     "SELECT count(*) FROM messages m JOIN conversations c ON c.number = m.conversation "
     "WHERE m.seq > c.top"},
    {"tombstones with a body", "SELECT count(*) FROM messages WHERE gone AND body <> ''"},
    {"conversations with another number of members",
     "SELECT count(*) FROM conversations c WHERE members <> (SELECT count(*) "
     "FROM conversation_members WHERE conversation = c.number "
     "AND until_seq = 9223372036854775807)"},
    {"conversations with another number of jobs",
     "SELECT count(*) FROM conversations c WHERE jobs <> "
     "(SELECT count(*) FROM fan_out_jobs WHERE conversation = c.number)"},
    {"members without inbox or conversation",
     "SELECT count(*) FROM conversation_members WHERE inbox NOT IN (SELECT id FROM inboxes) "
     "OR conversation NOT IN (SELECT number FROM conversations)"},
    {"past members who never were any",
     "SELECT count(*) FROM past_memberships p WHERE NOT EXISTS (SELECT 1 "
     "FROM conversation_members m WHERE m.conversation = p.conversation AND m.inbox = p.inbox)"},
    {"devices without an inbox",
     "SELECT count(*) FROM message_devices WHERE inbox NOT IN (SELECT id FROM inboxes)"},
    {"devices beyond the top",
     "SELECT count(*) FROM message_devices d JOIN inboxes i ON i.id = d.inbox "
     "WHERE d.cursor > i.top"},
    {"people left out by a job that is no more",
     "SELECT count(*) FROM fan_out_left_out WHERE message NOT IN "
     "(SELECT message FROM fan_out_jobs)"},
    {"anything left of the erased",
     "SELECT count(*) FROM inboxes i WHERE erased AND (top <> floor OR bytes <> 0 "
     "OR EXISTS (SELECT 1 FROM message_devices WHERE inbox = i.id) "
     "OR EXISTS (SELECT 1 FROM blocks WHERE inbox = i.id) "
     "OR EXISTS (SELECT 1 FROM sender_shares WHERE inbox = i.id) "
     "OR EXISTS (SELECT 1 FROM conversation_members WHERE inbox = i.id) "
     "OR EXISTS (SELECT 1 FROM past_memberships WHERE inbox = i.id) "
     "OR EXISTS (SELECT 1 FROM messages WHERE sender = i.id AND body <> ''))"},
};

}  // namespace

std::span<const TableCheck> message_table_checks() { return kChecks; }

}  // namespace countersign::storage

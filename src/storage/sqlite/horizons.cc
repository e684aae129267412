#include "storage/sqlite/horizons.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "storage/message_ids.h"
#include "storage/sqlite/inboxes.h"
#include "storage/sqlite/rows.h"
#include "storage/sqlite/stored_messages.h"

namespace countersign::storage {
namespace {

/// A member's horizons, and the conversation they are in.
struct Standing {
  std::int64_t delivered = 0;
  std::int64_t read = 0;
  bool group = false;
  std::string conversation;  ///< its id
};

Result<std::optional<Standing>> find_standing(Connection& connection, std::int64_t conversation,
                                              std::int64_t inbox) {
  return find_row(
      connection,
      "SELECT p.delivered, p.read, c.is_group, c.id FROM conversation_members p "
      "JOIN conversations c ON c.number = p.conversation WHERE p.conversation = ? AND p.inbox = ?",
      [](const Statement& row) {
        return Standing{row.integer(0), row.integer(1), row.flag(2), row.bytes(3)};
      },
      conversation, inbox);
}

/// Who hears that a horizon moved from `before` to `seq`: in a group the senders of what lies
/// between.
Result<std::vector<Identity>> list_audience(Connection& connection, bool group,
                                            std::int64_t conversation, std::int64_t inbox,
                                            std::int64_t before, std::int64_t seq) {
  const auto identity = [](const Statement& row) { return read_identity(row, 0); };
  if (!group) {
    Result<std::vector<Identity>> others =
        list_rows(connection,
                  "SELECT i.type, i.endpoint FROM conversation_members p "
                  "JOIN inboxes i ON i.id = p.inbox WHERE p.conversation = ? AND p.inbox <> ?",
                  identity, conversation, inbox);
    if (!others) return others.failure();
    return sorted_identities(*std::move(others));
  }
  return list_rows(connection,
                   "SELECT DISTINCT i.type, i.endpoint FROM " COUNTERSIGN_STRETCHES
                   "CROSS JOIN messages m ON m.conversation = ?1 "
                   "AND m.seq BETWEEN max(s.from_seq, ?3 + 1) AND min(s.until_seq, ?4) "
                   "JOIN inboxes i ON i.id = m.sender WHERE m.sender <> ?2 "
                   "ORDER BY i.type, i.endpoint",
                   identity, conversation, inbox, before, seq);
}

/// Writes the horizons, of which one moved from `before` to `seq`.
Result<std::optional<Receipt>> write_standing(Connection& connection, std::int64_t conversation,
                                              std::int64_t inbox, const Identity& member,
                                              Standing standing, std::int64_t before,
                                              std::int64_t seq) {
  Result<std::int64_t> written = connection.run(
      "UPDATE conversation_members SET delivered = ?, read = ? "
      "WHERE conversation = ? AND inbox = ?",
      standing.delivered, standing.read, conversation, inbox);
  if (!written) return written.failure();
  Result<std::vector<Identity>> audience =
      list_audience(connection, standing.group, conversation, inbox, before, seq);
  if (!audience) return audience.failure();
  Receipt receipt;
  receipt.horizon.conversation = std::move(standing.conversation);
  receipt.horizon.member = member;
  receipt.horizon.delivered = standing.delivered;
  receipt.horizon.read = standing.read;
  receipt.group = standing.group;
  receipt.audience = *std::move(audience);
  return std::optional<Receipt>(std::move(receipt));
}

}  // namespace

Result<std::optional<Receipt>> move_delivered(Connection& connection, std::int64_t conversation,
                                              std::int64_t inbox, const Identity& member,
                                              std::int64_t seq) {
  Result<std::optional<Standing>> found = find_standing(connection, conversation, inbox);
  if (!found) return found.failure();
  if (!*found || (*found)->delivered >= seq) return std::optional<Receipt>();
  Standing standing = **std::move(found);
  const std::int64_t before = std::exchange(standing.delivered, seq);
  return write_standing(connection, conversation, inbox, member, std::move(standing), before, seq);
}

Result<std::optional<Receipt>> move_read(Connection& connection, std::int64_t conversation,
                                         std::int64_t inbox, const Identity& member,
                                         std::int64_t seq) {
  Result<std::optional<Standing>> found = find_standing(connection, conversation, inbox);
  if (!found) return found.failure();
  if (!*found || (*found)->read >= seq) return std::optional<Receipt>();
  Standing standing = **std::move(found);
  const std::int64_t before = std::exchange(standing.read, seq);
  standing.delivered = std::max(standing.delivered, seq);
  return write_standing(connection, conversation, inbox, member, std::move(standing), before, seq);
}

}  // namespace countersign::storage

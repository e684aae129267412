#include "storage/sqlite/horizons.h"

#include <utility>
#include <vector>

#include "storage/sqlite/inboxes.h"
#include "storage/sqlite/rows.h"
#include "storage/sqlite/stored_messages.h"

namespace countersign::storage {
namespace {

struct Moved {
  std::int64_t before = 0;  ///< the horizon that moved
  std::int64_t delivered = 0;
  std::int64_t read = 0;
};

/// The receipt for a horizon that moved from `before` to `seq`.
Result<Receipt> make_receipt(Connection& connection, std::int64_t conversation, std::int64_t inbox,
                             const Identity& member, std::int64_t before, std::int64_t seq,
                             std::int64_t delivered, std::int64_t read) {
  Receipt receipt;
  receipt.horizon.member = member;
  receipt.horizon.delivered = delivered;
  receipt.horizon.read = read;
  Result<std::optional<std::int64_t>> found = find_row(
      connection, "SELECT is_group, id FROM conversations WHERE number = ?",
      [&receipt](const Statement& row) {
        receipt.group = row.flag(0);
        receipt.horizon.conversation = row.bytes(1);
        return row.integer(0);
      },
      conversation);
  if (!found) return found.failure();
  const auto identity = [](const Statement& row) { return read_identity(row, 0); };
  Result<std::vector<Identity>> audience =
      receipt.group
          ? list_rows(connection,
                      "SELECT DISTINCT i.type, i.endpoint FROM conversation_members p "
                      "JOIN messages m ON m.conversation = p.conversation "
                      "JOIN inboxes i ON i.id = m.sender WHERE p.conversation = ? AND p.inbox = ? "
                      "AND m.seq > ? AND m.seq <= ? AND m.sender <> p.inbox "
                      "AND " COUNTERSIGN_READABLE "ORDER BY i.type, i.endpoint",
                      identity, conversation, inbox, before, seq)
          : list_rows(connection,
                      "SELECT i.type, i.endpoint FROM conversation_members p "
                      "JOIN inboxes i ON i.id = p.inbox WHERE p.conversation = ? "
                      "AND p.inbox <> ? ORDER BY i.type, i.endpoint",
                      identity, conversation, inbox);
  if (!audience) return audience.failure();
  receipt.audience = *std::move(audience);
  return receipt;
}

Result<std::optional<Moved>> find_horizons(Connection& connection, std::int64_t conversation,
                                           std::int64_t inbox) {
  return find_row(
      connection,
      "SELECT delivered, read FROM conversation_members WHERE conversation = ? AND inbox = ?",
      [](const Statement& row) {
        return Moved{0, row.integer(0), row.integer(1)};
      },
      conversation, inbox);
}

Result<std::optional<Receipt>> write_horizons(Connection& connection, std::int64_t conversation,
                                              std::int64_t inbox, const Identity& member,
                                              std::int64_t seq, const Moved& moved) {
  Result<std::int64_t> written = connection.run(
      "UPDATE conversation_members SET delivered = ?, read = ? "
      "WHERE conversation = ? AND inbox = ?",
      moved.delivered, moved.read, conversation, inbox);
  if (!written) return written.failure();
  Result<Receipt> receipt = make_receipt(connection, conversation, inbox, member, moved.before, seq,
                                         moved.delivered, moved.read);
  if (!receipt) return receipt.failure();
  return std::optional<Receipt>(*std::move(receipt));
}

}  // namespace

Result<std::optional<Receipt>> move_delivered(Connection& connection, std::int64_t conversation,
                                              std::int64_t inbox, const Identity& member,
                                              std::int64_t seq) {
  Result<std::optional<Moved>> found = find_horizons(connection, conversation, inbox);
  if (!found) return found.failure();
  if (!*found || (*found)->delivered >= seq) return std::optional<Receipt>();
  Moved moved = **found;
  moved.before = std::exchange(moved.delivered, seq);
  return write_horizons(connection, conversation, inbox, member, seq, moved);
}

Result<std::optional<Receipt>> move_read(Connection& connection, std::int64_t conversation,
                                         std::int64_t inbox, const Identity& member,
                                         std::int64_t seq) {
  Result<std::optional<Moved>> found = find_horizons(connection, conversation, inbox);
  if (!found) return found.failure();
  if (!*found || (*found)->read >= seq) return std::optional<Receipt>();
  Moved moved = **found;
  moved.before = std::exchange(moved.read, seq);
  moved.delivered = std::max(moved.delivered, seq);
  return write_horizons(connection, conversation, inbox, member, seq, moved);
}

}  // namespace countersign::storage

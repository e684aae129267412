#include "storage/sqlite/stored_messages.h"

#include <optional>

#include "storage/sqlite/inboxes.h"
#include "storage/sqlite/rows.h"

namespace countersign::storage {

Message read_message(const Statement& row, int first) {
  Message message;
  message.conversation = row.bytes(first);
  message.seq = row.integer(first + 1);
  message.kind = static_cast<MessageKind>(row.integer(first + 2));
  message.id = row.bytes(first + 3);
  message.sender = read_identity(row, first + 4);
  message.device = row.bytes(first + 6);
  message.time = row.time(first + 7);
  if (!row.is_null(first + 8)) message.expires = row.time(first + 8);
  message.body = row.bytes(first + 9);
  message.gone = row.flag(first + 10);
  return message;
}

Result<void> change_uses(Connection& connection, std::int64_t message, std::int64_t by) {
  Result<std::optional<std::int64_t>> left =
      find_row(connection, "UPDATE messages SET uses = uses + ? WHERE id = ? RETURNING uses",
               first_integer, by, message);
  if (!left) return left.failure();
  if (left->value_or(1) > 0) return {};
  Result<std::int64_t> removed = connection.run("DELETE FROM messages WHERE id = ?", message);
  if (!removed) return removed.failure();
  return {};
}

}  // namespace countersign::storage

// What the parts of the message store in PostgreSQL read and write alike: identities, messages, and
// the words that the functions of the schema answer.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_ROWS_H_
#define COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_ROWS_H_

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/message_records.h"
#include "storage/postgres/parameters.h"
#include "storage/postgres/rows.h"

namespace countersign::storage::postgres {

/// The end of what has none: a membership, a message that does not expire.
inline constexpr std::int64_t kNoEnd = std::numeric_limits<std::int64_t>::max();

/// The number of an identity's type in the tables.
std::int64_t type_number(const Identity& identity);
/// The identity in two columns, type and endpoint, from `first` on.
Identity read_identity(const Row& row, int first);

/// The columns of a message for tables `m` (messages), `c` (conversations) and `u` (its sender's
/// row of inboxes); read_message() takes them from `first` on.
#define COUNTERSIGN_PG_MESSAGE_COLUMNS                                                       \
  "c.id, m.seq, m.kind, m.msg_id, u.type, u.endpoint, m.device, m.time, m.expires, m.body, " \
  "m.gone"
inline constexpr int kMessageColumnCount = 11;
Message read_message(const Row& row, int first = 0);

/// The code that a word of the schema stands for; kStoreFailed for one it does not know.
ErrorCode code_of_word(std::string_view word);

/// A list of users as three arrays.
struct UserArrays {
  std::vector<std::string> applications;
  std::vector<std::int64_t> types;
  std::vector<std::string> endpoints;
  void add(const UserKey& user);
};
UserArrays arrays_of(std::span<const UserKey> users);

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_ROWS_H_

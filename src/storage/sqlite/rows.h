// Reading rows into records: the loops that every part of the SQLite store needs.
// Thread-safety: as Connection.
#ifndef COUNTERSIGN_STORAGE_SQLITE_ROWS_H_
#define COUNTERSIGN_STORAGE_SQLITE_ROWS_H_

#include <optional>
#include <type_traits>
#include <vector>

#include "storage/records.h"
#include "storage/sqlite/connection.h"

namespace countersign::storage {

/// The first row, read by `read(statement)`, or nothing.
template <class Read, class... Arguments>
auto find_row(Connection& connection, const char* sql, Read&& read, const Arguments&... arguments)
    -> Result<std::optional<std::invoke_result_t<Read&, const Statement&>>> {
  using Row = std::optional<std::invoke_result_t<Read&, const Statement&>>;
  Result<Statement> statement = connection.prepare(sql, arguments...);
  if (!statement) return statement.failure();
  Result<bool> stepped = statement->step();
  if (!stepped) return stepped.failure();
  return *stepped ? Row(read(*statement)) : Row();
}

/// All rows, each read by `read(statement)`.
template <class Read, class... Arguments>
auto list_rows(Connection& connection, const char* sql, Read&& read, const Arguments&... arguments)
    -> Result<std::vector<std::invoke_result_t<Read&, const Statement&>>> {
  std::vector<std::invoke_result_t<Read&, const Statement&>> rows;
  Result<Statement> statement = connection.prepare(sql, arguments...);
  if (!statement) return statement.failure();
  for (;;) {
    Result<bool> stepped = statement->step();
    if (!stepped) return stepped.failure();
    if (!*stepped) return rows;
    rows.push_back(read(*statement));
  }
}

/// For find_row and list_rows: the first column.
inline std::string first_text(const Statement& row) { return row.bytes(0); }
inline std::int64_t first_integer(const Statement& row) { return row.integer(0); }

/// The columns of an account, for a table called `a`; read_account() takes them from `first` on.
inline constexpr const char kAccountColumns[] =
    "a.id, a.user_name, a.user_name_key, a.email, a.email_key, a.email_lookup, "
    "a.email_confirmed, a.disabled, a.epoch, a.created";
inline constexpr int kAccountColumnCount = 10;
Account read_account(const Statement& row, int first = 0);

/// The columns of a session, for a table called `s`.
inline constexpr const char kSessionColumns[] =
    "s.id_hash, s.handle, s.account, s.created, s.last_seen, s.authenticated, s.factors, "
    "s.address_prefix, s.agent, s.epoch";
inline constexpr int kSessionColumnCount = 10;
SignInSession read_session(const Statement& row, int first = 0);

/// A `LIMIT` that SQLite takes: it knows no unsigned numbers.
std::int64_t sql_limit(std::size_t limit);

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_ROWS_H_

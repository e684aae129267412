// Rows: what a statement answered, with typed columns.
// Thread-safety: a Rows belongs to one thread at a time; a Row lives no longer than its Rows.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_ROWS_H_
#define COUNTERSIGN_STORAGE_POSTGRES_ROWS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <libpq-fe.h>

#include "storage/records.h"

namespace countersign::storage::postgres {

/// One row, in binary format.
class Row {
 public:
  Row(const PGresult* result, int number) : result_(result), number_(number) {}

  /// Of a bigint, integer, smallint or boolean column.
  std::int64_t integer(int column) const;
  std::uint32_t number(int column) const { return static_cast<std::uint32_t>(integer(column)); }
  bool flag(int column) const { return integer(column) != 0; }
  base::SystemTime time(int column) const {
    return base::SystemTime(base::SystemTime::duration(integer(column)));
  }
  bool is_null(int column) const { return PQgetisnull(result_, number_, column) != 0; }
  /// The bytes of a text or bytea column.
  std::string bytes(int column) const;
  std::optional<std::string> optional_bytes(int column) const;

 private:
  const PGresult* result_;
  int number_;
};

class Rows {
 public:
  explicit Rows(PGresult* result) : result_(result) {}

  std::size_t size() const { return static_cast<std::size_t>(PQntuples(result_.get())); }
  bool empty() const { return size() == 0; }
  Row operator[](std::size_t number) const { return Row(result_.get(), static_cast<int>(number)); }
  Row front() const { return (*this)[0]; }
  /// How many rows an INSERT, UPDATE or DELETE changed.
  std::int64_t changed() const;

  /// The first row, read by `read(Row)`, or nothing.
  template <class Read>
  auto find(Read&& read) const -> std::optional<std::invoke_result_t<Read&, Row>> {
    if (empty()) return std::nullopt;
    return read(front());
  }
  /// All rows, each read by `read(Row)`.
  template <class Read>
  auto list(Read&& read) const -> std::vector<std::invoke_result_t<Read&, Row>> {
    std::vector<std::invoke_result_t<Read&, Row>> all;
    all.reserve(size());
    for (std::size_t i = 0; i < size(); ++i) all.push_back(read((*this)[i]));
    return all;
  }

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  std::unique_ptr<PGresult, Clear> result_;
};

/// The columns of an account, for a table called `a`; read_account() takes them from `first` on.
inline constexpr const char kAccountColumns[] =
    "a.id, a.user_name, a.user_name_key, a.email, a.email_key, a.email_lookup, "
    "a.email_confirmed, a.disabled, a.epoch, a.created";
Account read_account(const Row& row, int first = 0);

/// The columns of a session, for a table called `s`.
inline constexpr const char kSessionColumns[] =
    "s.id_hash, s.handle, s.account, s.created, s.last_seen, s.authenticated, s.factors, "
    "s.address_prefix, s.agent, s.epoch";
inline constexpr int kSessionColumnCount = 10;
SignInSession read_session(const Row& row, int first = 0);

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_ROWS_H_

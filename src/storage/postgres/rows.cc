#include "storage/postgres/rows.h"

#include <charconv>
#include <string_view>

namespace countersign::storage::postgres {

std::int64_t Row::integer(int column) const {
  const char* data = PQgetvalue(result_, number_, column);
  const int size = PQgetlength(result_, number_, column);
  if (size == 0) return 0;
  // Sign extension by the first byte; a boolean is one byte, 0 or 1.
  std::uint64_t bits = (static_cast<unsigned char>(data[0]) & 0x80) != 0 ? ~std::uint64_t{0} : 0;
  for (int i = 0; i < size; ++i) bits = bits << 8 | static_cast<unsigned char>(data[i]);
  return static_cast<std::int64_t>(bits);
}

std::string Row::bytes(int column) const {
  return std::string(PQgetvalue(result_, number_, column),
                     static_cast<std::size_t>(PQgetlength(result_, number_, column)));
}

std::optional<std::string> Row::optional_bytes(int column) const {
  if (is_null(column)) return std::nullopt;
  return bytes(column);
}

std::int64_t Rows::changed() const {
  const std::string_view text = PQcmdTuples(result_.get());
  std::int64_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return count;
}

Account read_account(const Row& row, int first) {
  Account account;
  account.id = AccountId(row.bytes(first));
  account.user_name = row.bytes(first + 1);
  account.user_name_key = row.bytes(first + 2);
  account.email = row.optional_bytes(first + 3);
  account.email_key = row.optional_bytes(first + 4);
  account.email_lookup = row.optional_bytes(first + 5);
  account.email_confirmed = row.flag(first + 6);
  account.disabled = row.flag(first + 7);
  account.epoch = row.number(first + 8);
  account.created = row.time(first + 9);
  return account;
}

SignInSession read_session(const Row& row, int first) {
  SignInSession session;
  session.id_hash = row.bytes(first);
  session.handle = SessionHandle(row.bytes(first + 1));
  session.account = AccountId(row.bytes(first + 2));
  session.created = row.time(first + 3);
  session.last_seen = row.time(first + 4);
  session.authenticated = row.time(first + 5);
  session.factors = row.bytes(first + 6);
  session.address_prefix = row.bytes(first + 7);
  session.agent = row.bytes(first + 8);
  session.epoch = row.number(first + 9);
  return session;
}

}  // namespace countersign::storage::postgres

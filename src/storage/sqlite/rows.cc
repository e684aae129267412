#include "storage/sqlite/rows.h"

#include <algorithm>
#include <limits>

namespace countersign::storage {

Account read_account(const Statement& row, int first) {
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

SignInSession read_session(const Statement& row, int first) {
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

std::int64_t sql_limit(std::size_t limit) {
  constexpr auto kMost = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
  return static_cast<std::int64_t>(std::min(limit, kMost));
}

}  // namespace countersign::storage

#include "storage/postgres/accounts.h"

#include <algorithm>

#include "storage/postgres/revocations.h"

namespace countersign::storage::postgres {
namespace {

const std::string kSelect = std::string("SELECT ") + kAccountColumns + " FROM accounts a WHERE ";
const std::string kFindById = kSelect + "a.id = $1";
const std::string kFindByName = kSelect + "a.user_name_key = $1";
const std::string kFindByEmail =
    kSelect + "a.email_lookup = $1 ORDER BY a.email_key IS NULL, a.created, a.id LIMIT $2";
const std::string kList = kSelect + "a.user_name_key > $1 ORDER BY a.user_name_key LIMIT $2";

constexpr const char* kSignOut =
    "SELECT sign_out_account($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

Account read_row(const Row& row) { return read_account(row); }

Result<std::optional<Account>> find_one(Database& database, const std::string& sql,
                                        std::string_view key) {
  Result<Rows> rows = database.read(sql.c_str(), key);
  if (!rows) return rows.failure();
  return rows->find(read_row);
}

/// Which of the unique keys refused the account.
Error conflict(Database& database, const Account& account) {
  Result<Rows> rows = database.read(
      "SELECT EXISTS (SELECT FROM accounts WHERE user_name_key = $1), "
      "EXISTS (SELECT FROM accounts WHERE email_key = $2)",
      account.user_name_key, account.email_key);
  if (!rows) return rows.error();
  if (rows->front().flag(0)) return Error{ErrorCode::kNameTaken, {}};
  if (rows->front().flag(1)) return Error{ErrorCode::kEmailRefused, "the address has an owner"};
  return Error{ErrorCode::kAlreadyExists, "the account's id is in use"};
}

/// Raises the epoch, ends all sessions, disables if `disable`; returns how many ended. kAbsent.
Result<std::size_t> sign_out(Database& database, const AccountId& id, bool disable,
                             std::string_view reason, std::span<const Revocation> identities,
                             SystemTime now) {
  std::vector<Revocation> rows(identities.begin(), identities.end());
  for (Revocation& row : rows) {
    row.time = std::max(row.time, now);
    if (row.reason.empty()) row.reason = reason;
  }
  Query query(kSignOut, id.text(), disable, reason, now);
  add_columns(query.parameters, rows);
  Result<std::vector<Rows>> answers = database.write_all({query});
  if (!answers) return answers.failure();
  const Row row = answers->front().front();
  if (row.is_null(0)) return fail(ErrorCode::kAbsent, "no such account");
  return static_cast<std::size_t>(row.integer(0));
}

}  // namespace

Result<void> PostgresAccounts::create_account(const Account& account,
                                              std::string_view password_hash) {
  Result<Rows> made = database_.write(
      "WITH made AS (INSERT INTO accounts (id, user_name, user_name_key, email, email_key, "
      "email_lookup, email_confirmed, disabled, epoch, created) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING RETURNING id) "
      "INSERT INTO password_hashes (account, phc) SELECT id, $11 FROM made",
      account.id.text(), account.user_name, account.user_name_key, account.email, account.email_key,
      account.email_lookup, account.email_confirmed, account.disabled, account.epoch,
      account.created, password_hash);
  if (!made) return made.failure();
  if (made->changed() == 0) return tl::make_unexpected(conflict(database_, account));
  return {};
}

Result<std::optional<Account>> PostgresAccounts::find_account(const AccountId& id) {
  return find_one(database_, kFindById, id.text());
}

Result<std::optional<Account>> PostgresAccounts::find_account_by_name(
    std::string_view user_name_key) {
  return find_one(database_, kFindByName, user_name_key);
}

Result<std::vector<Account>> PostgresAccounts::find_accounts_by_email(std::string_view email_lookup,
                                                                      std::size_t limit) {
  Result<Rows> rows = database_.read(kFindByEmail.c_str(), email_lookup, sql_limit(limit));
  if (!rows) return rows.failure();
  return rows->list(read_row);
}

Result<std::vector<Account>> PostgresAccounts::list_accounts(std::string_view after_key,
                                                             std::size_t limit) {
  Result<Rows> rows = database_.read(kList.c_str(), after_key, sql_limit(limit));
  if (!rows) return rows.failure();
  return rows->list(read_row);
}

Result<std::string> PostgresAccounts::get_password_hash(const AccountId& id) {
  Result<Rows> rows =
      database_.read("SELECT phc FROM password_hashes WHERE account = $1", id.text());
  if (!rows) return rows.failure();
  if (rows->empty()) return fail(ErrorCode::kAbsent, "no such account");
  return rows->front().bytes(0);
}

Result<bool> PostgresAccounts::rehash_password(const AccountId& id, std::string_view old_hash,
                                               std::string_view new_hash) {
  Result<Rows> replaced =
      database_.write("UPDATE password_hashes SET phc = $3 WHERE account = $1 AND phc = $2",
                      id.text(), old_hash, new_hash);
  if (!replaced) return replaced.failure();
  return replaced->changed() == 1;
}

Result<bool> PostgresAccounts::change_password(const AccountId& id, std::string_view old_hash,
                                               std::string_view new_hash, const SessionHandle& keep,
                                               SystemTime now) {
  Result<Rows> changed = database_.write("SELECT change_password($1, $2, $3, $4, $5)", id.text(),
                                         old_hash, new_hash, keep.text(), now);
  if (!changed) return changed.failure();
  return changed->front().flag(0);
}

Result<void> PostgresAccounts::set_disabled(const AccountId& id, bool disabled,
                                            std::span<const Revocation> identities,
                                            SystemTime now) {
  if (disabled) {
    Result<std::size_t> ended = sign_out(database_, id, true, "disabled", identities, now);
    if (!ended) return ended.failure();
    return {};
  }
  Result<Rows> enabled =
      database_.write("UPDATE accounts SET disabled = false WHERE id = $1", id.text());
  if (!enabled) return enabled.failure();
  if (enabled->changed() == 0) return fail(ErrorCode::kAbsent, "no such account");
  return {};
}

Result<std::size_t> PostgresAccounts::sign_out_everywhere(const AccountId& id,
                                                          std::span<const Revocation> identities,
                                                          std::string_view reason, SystemTime now) {
  return sign_out(database_, id, false, reason, identities, now);
}

Result<std::size_t> PostgresAccounts::count_unconfirmed() {
  Result<Rows> count = database_.read(
      "SELECT count(*) FROM accounts WHERE email IS NOT NULL AND NOT email_confirmed");
  if (!count) return count.failure();
  return static_cast<std::size_t>(count->front().integer(0));
}

}  // namespace countersign::storage::postgres

#include "storage/sqlite/accounts.h"

#include "storage/sqlite/revocations.h"
#include "storage/sqlite/rows.h"
#include "storage/sqlite/sessions.h"

namespace countersign::storage {
namespace {

const std::string kSelect = std::string("SELECT ") + kAccountColumns + " FROM accounts a WHERE ";
const std::string kFindById = kSelect + "a.id = ?";
const std::string kFindByName = kSelect + "a.user_name_key = ?";
const std::string kFindByEmail =
    kSelect + "a.email_lookup = ? ORDER BY a.email_key IS NULL, a.created, a.id LIMIT ?";
const std::string kList = kSelect + "a.user_name_key > ? ORDER BY a.user_name_key LIMIT ?";

Account read_row(const Statement& row) { return read_account(row); }

Result<std::optional<Account>> find_one(Database& database, const std::string& sql,
                                        std::string_view key) {
  return database.read(
      [&](Connection& connection) { return find_row(connection, sql.c_str(), read_row, key); });
}

/// Sets the hash while it is still `old_hash`. False: it had changed.
Result<bool> replace_hash(Connection& connection, const AccountId& id, std::string_view old_hash,
                          std::string_view new_hash) {
  Result<std::int64_t> replaced =
      connection.run("UPDATE password_hashes SET phc = ? WHERE account = ? AND phc = ?", new_hash,
                     id.text(), old_hash);
  if (!replaced) return replaced.failure();
  return *replaced == 1;
}

/// Every session and ticket of before is dead from here on. kAbsent.
Result<void> raise_epoch(Connection& connection, const AccountId& id) {
  Result<std::int64_t> raised =
      connection.run("UPDATE accounts SET epoch = epoch + 1 WHERE id = ?", id.text());
  if (!raised) return raised.failure();
  if (*raised == 0) return fail(ErrorCode::kAbsent, "no such account");
  return {};
}

/// Which of the two unique keys refused the account.
Error name_conflict(Connection& connection, const Account& account, Error error) {
  Result<std::optional<std::int64_t>> name =
      find_row(connection, "SELECT 1 FROM accounts WHERE user_name_key = ?", first_integer,
               account.user_name_key);
  if (!name) return name.error();
  if (*name) return Error{ErrorCode::kNameTaken, {}};
  Result<std::optional<std::int64_t>> email = find_row(
      connection, "SELECT 1 FROM accounts WHERE email_key = ?", first_integer, account.email_key);
  if (!email) return email.error();
  if (*email) return Error{ErrorCode::kEmailRefused, "the address has an owner"};
  return error;
}

}  // namespace

Result<void> SqliteAccounts::create_account(const Account& account,
                                            std::string_view password_hash) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<void> {
    Result<std::int64_t> inserted = connection.run(
        "INSERT INTO accounts (id, user_name, user_name_key, email, email_key, email_lookup, "
        "email_confirmed, disabled, epoch, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        account.id.text(), account.user_name, account.user_name_key, account.email,
        account.email_key, account.email_lookup, account.email_confirmed, account.disabled,
        account.epoch, account.created);
    if (!inserted) {
      if (inserted.code() != ErrorCode::kAlreadyExists) return inserted.failure();
      return tl::make_unexpected(name_conflict(connection, account, inserted.error()));
    }
    Result<std::int64_t> hashed =
        connection.run("INSERT INTO password_hashes (account, phc) VALUES (?, ?)",
                       account.id.text(), password_hash);
    if (!hashed) return hashed.failure();
    return {};
  });
}

Result<std::optional<Account>> SqliteAccounts::find_account(const AccountId& id) {
  return find_one(database_, kFindById, id.text());
}

Result<std::optional<Account>> SqliteAccounts::find_account_by_name(
    std::string_view user_name_key) {
  return find_one(database_, kFindByName, user_name_key);
}

Result<std::vector<Account>> SqliteAccounts::find_accounts_by_email(std::string_view email_lookup,
                                                                    std::size_t limit) {
  return database_.read([&](Connection& connection) {
    return list_rows(connection, kFindByEmail.c_str(), read_row, email_lookup, sql_limit(limit));
  });
}

Result<std::vector<Account>> SqliteAccounts::list_accounts(std::string_view after_key,
                                                           std::size_t limit) {
  return database_.read([&](Connection& connection) {
    return list_rows(connection, kList.c_str(), read_row, after_key, sql_limit(limit));
  });
}

Result<std::string> SqliteAccounts::get_password_hash(const AccountId& id) {
  return database_.read([&](Connection& connection) -> Result<std::string> {
    Result<std::optional<std::string>> hash = find_row(
        connection, "SELECT phc FROM password_hashes WHERE account = ?", first_text, id.text());
    if (!hash) return hash.failure();
    if (!*hash) return fail(ErrorCode::kAbsent, "no such account");
    return **std::move(hash);
  });
}

Result<bool> SqliteAccounts::rehash_password(const AccountId& id, std::string_view old_hash,
                                             std::string_view new_hash) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) {
    return replace_hash(connection, id, old_hash, new_hash);
  });
}

Result<bool> SqliteAccounts::change_password(const AccountId& id, std::string_view old_hash,
                                             std::string_view new_hash, const SessionHandle& keep,
                                             SystemTime now) {
  return database_.write(WriteKind::kGrow, [&](Connection& connection) -> Result<bool> {
    Result<bool> replaced = replace_hash(connection, id, old_hash, new_hash);
    if (!replaced || !*replaced) return replaced;
    if (Result<void> raised = raise_epoch(connection, id); !raised) return raised.failure();
    Result<std::int64_t> kept = connection.run(
        "UPDATE sessions SET epoch = (SELECT epoch FROM accounts WHERE id = ?1) "
        "WHERE handle = ?2 AND account = ?1",
        id.text(), keep.text());
    if (!kept) return kept.failure();
    Result<std::size_t> ended = end_account_sessions(connection, id, keep, "password_change", now);
    if (!ended) return ended.failure();
    Result<std::int64_t> forgotten =
        connection.run("DELETE FROM known_devices WHERE account = ?", id.text());
    if (!forgotten) return forgotten.failure();
    return true;
  });
}

Result<void> SqliteAccounts::set_disabled(const AccountId& id, bool disabled,
                                          std::span<const Revocation> identities, SystemTime now) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<void> {
    Result<std::int64_t> set =
        connection.run("UPDATE accounts SET disabled = ? WHERE id = ?", disabled, id.text());
    if (!set) return set.failure();
    if (*set == 0) return fail(ErrorCode::kAbsent, "no such account");
    if (!disabled) return {};
    if (Result<void> raised = raise_epoch(connection, id); !raised) return raised;
    Result<std::size_t> ended =
        end_account_sessions(connection, id, SessionHandle(), "disabled", now);
    if (!ended) return ended.failure();
    return revoke_all(connection, identities, "disabled", now);
  });
}

Result<std::size_t> SqliteAccounts::sign_out_everywhere(const AccountId& id,
                                                        std::span<const Revocation> identities,
                                                        std::string_view reason, SystemTime now) {
  return database_.write(WriteKind::kRelief, [&](Connection& connection) -> Result<std::size_t> {
    if (Result<void> raised = raise_epoch(connection, id); !raised) return raised.failure();
    Result<std::size_t> ended = end_account_sessions(connection, id, SessionHandle(), reason, now);
    if (!ended) return ended;
    Result<void> revoked = revoke_all(connection, identities, reason, now);
    if (!revoked) return revoked.failure();
    return ended;
  });
}

Result<std::size_t> SqliteAccounts::count_unconfirmed() {
  return database_.read([](Connection& connection) -> Result<std::size_t> {
    Result<std::optional<std::int64_t>> count = find_row(
        connection, "SELECT count(*) FROM accounts WHERE email IS NOT NULL AND email_confirmed = 0",
        first_integer);
    if (!count) return count.failure();
    return static_cast<std::size_t>(count->value_or(0));
  });
}

}  // namespace countersign::storage

// People and their password hashes in PostgreSQL.
// Thread-safety: as Store.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_ACCOUNTS_H_
#define COUNTERSIGN_STORAGE_POSTGRES_ACCOUNTS_H_

#include "storage/postgres/database.h"
#include "storage/store.h"

namespace countersign::storage::postgres {

class PostgresAccounts final : public AccountStore {
 public:
  explicit PostgresAccounts(Database& database) : database_(database) {}

  Result<void> create_account(const Account& account, std::string_view password_hash) override;
  Result<std::optional<Account>> find_account(const AccountId& id) override;
  Result<std::optional<Account>> find_account_by_name(std::string_view user_name_key) override;
  Result<std::vector<Account>> find_accounts_by_email(std::string_view email_lookup,
                                                      std::size_t limit) override;
  Result<std::vector<Account>> list_accounts(std::string_view after_key,
                                             std::size_t limit) override;
  Result<std::string> get_password_hash(const AccountId& id) override;
  Result<bool> rehash_password(const AccountId& id, std::string_view old_hash,
                               std::string_view new_hash) override;
  Result<bool> change_password(const AccountId& id, std::string_view old_hash,
                               std::string_view new_hash, const SessionHandle& keep,
                               SystemTime now) override;
  Result<void> set_disabled(const AccountId& id, bool disabled,
                            std::span<const Revocation> identities, SystemTime now) override;
  Result<std::size_t> sign_out_everywhere(const AccountId& id,
                                          std::span<const Revocation> identities,
                                          std::string_view reason, SystemTime now) override;
  Result<std::size_t> count_unconfirmed() override;

 private:
  Database& database_;
};

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_ACCOUNTS_H_

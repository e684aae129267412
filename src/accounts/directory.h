// Directory: what an operator does to accounts: add, list, disable, sign out, unlock.
// The commands `countersign user …` run it in another process than the server; everything it does
// reaches the server through the store (revocations are polled).
// Thread-safety: every call may be made from any thread. Calls block; add() also hashes.
#ifndef COUNTERSIGN_ACCOUNTS_DIRECTORY_H_
#define COUNTERSIGN_ACCOUNTS_DIRECTORY_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/identity.h"

#include "accounts/password_hasher.h"
#include "accounts/password_policy.h"
#include "accounts/throttle.h"
#include "base/clock.h"
#include "base/random.h"
#include "storage/store.h"

namespace countersign::accounts {

/// Every identity that tickets of this account may carry in any issuing mode: the user name and, if
/// the account owns its address, the address as `email` and as `username`.
std::vector<Identity> possible_identities(const storage::Account& account);

/// A kIdentity revocation for each of them and each application.
std::vector<storage::Revocation> identity_revocations(const storage::Account& account,
                                                      std::span<const std::string> application_keys,
                                                      std::string_view reason,
                                                      base::SystemTime now);

class Directory {
 public:
  /// All parts outlive the directory.
  Directory(storage::Store& store, const base::Clock& clock, base::Random& random,
            const PasswordHasher& hasher, const PasswordPolicy& policy, Throttle& throttle);

  /// Makes an account.
  /// @param email_required  issuing mode `email` or `email_as_username`.
  /// The address becomes its own in every mode: an operator knows whose it is.
  /// @return the codes of read_new_account(), kNameTaken, kEmailRefused (the address is owned).
  Result<storage::Account> add(std::string_view user_name, std::string_view email,
                               bool email_required, const base::SecretBytes& password);
  /// Accounts in the order of their keys, strictly after `after_key`, the `user_name_key` of the
  /// last one of the page before (empty: from the start).
  Result<std::vector<storage::Account>> list(std::string_view after_key, std::size_t limit);
  /// By user name, or by address: the account that owns it, or the only one that holds it. kAbsent,
  /// also if several hold it and none owns it.
  Result<storage::Account> get(std::string_view name_or_email);
  /// Disables (ends all sessions and everything made from them) or enables. kAbsent.
  Result<void> set_disabled(std::string_view name_or_email, bool disabled,
                            std::span<const std::string> application_keys);
  /// Signs the person out everywhere; returns how many sessions ended. kAbsent.
  Result<std::size_t> sign_out(std::string_view name_or_email,
                               std::span<const std::string> application_keys,
                               std::string_view reason = "operator");
  /// Forgets the account's failed sign-ins. kAbsent.
  Result<void> unlock(std::string_view name_or_email);

 private:
  storage::Store& store_;
  const base::Clock& clock_;
  base::Random& random_;
  const PasswordHasher& hasher_;
  const PasswordPolicy& policy_;
  Throttle& throttle_;
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_DIRECTORY_H_

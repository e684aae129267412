#include "accounts/directory.h"

#include <optional>
#include <utility>

#include "accounts/email.h"
#include "accounts/sign_up.h"
#include "accounts/user_name.h"
#include "base/log.h"

namespace countersign::accounts {

std::vector<Identity> possible_identities(const storage::Account& account) {
  std::vector<Identity> identities{{IdentityType::kUsername, account.user_name}};
  if (account.email && account.email_key) {
    identities.push_back({IdentityType::kEmail, *account.email});
    identities.push_back({IdentityType::kUsername, *account.email});
  }
  return identities;
}

std::vector<storage::Revocation> identity_revocations(const storage::Account& account,
                                                      std::span<const std::string> application_keys,
                                                      std::string_view reason,
                                                      base::SystemTime now) {
  std::vector<storage::Revocation> revocations;
  for (const std::string& key : application_keys) {
    for (Identity& identity : possible_identities(account)) {
      storage::Revocation revocation;
      revocation.scope = storage::RevocationScope::kIdentity;
      revocation.application_key = key;
      revocation.identity = std::move(identity);
      revocation.reason = std::string(reason);
      revocation.time = now;
      revocations.push_back(std::move(revocation));
    }
  }
  return revocations;
}

Directory::Directory(storage::Store& store, const base::Clock& clock, base::Random& random,
                     const PasswordHasher& hasher, const PasswordPolicy& policy, Throttle& throttle)
    : store_(store),
      clock_(clock),
      random_(random),
      hasher_(hasher),
      policy_(policy),
      throttle_(throttle) {}

Result<storage::Account> Directory::add(std::string_view user_name, std::string_view email,
                                        bool email_required, const base::SecretBytes& password) {
  Result<NewAccount> made =
      read_new_account(policy_, random_, clock_.now(), user_name, email, email_required, password);
  if (!made) return made.failure();
  const Result<std::string> hash = hasher_.hash(made->password, made->account.id);
  if (!hash) return hash.failure();
  const Result<void> created = store_.accounts().create_account(made->account, *hash);
  if (!created) return created.failure();
  base::log_info("account_added", {{"account", made->account.id.text()}});
  return std::move(made->account);
}

Result<std::vector<storage::Account>> Directory::list(std::string_view after_key,
                                                      std::size_t limit) {
  return store_.accounts().list_accounts(after_key, limit);
}

Result<storage::Account> Directory::get(std::string_view name_or_email) {
  Result<std::optional<storage::Account>> account(std::nullopt);
  if (name_or_email.find('@') != std::string_view::npos) {
    if (const Result<EmailAddress> email = parse_email(name_or_email)) {
      Result<std::vector<storage::Account>> holders =
          store_.accounts().find_accounts_by_email(email->key, 2);
      if (!holders) return holders.failure();
      if (holders->size() > 1 && !holders->front().email_key) {
        return fail(ErrorCode::kAbsent, "several accounts hold the address; give the user name");
      }
      if (!holders->empty()) account = std::move(holders->front());
    }
  } else if (const Result<UserName> name = parse_user_name(name_or_email)) {
    account = store_.accounts().find_account_by_name(name->key);
  }
  if (!account) return account.failure();
  if (!*account) return fail(ErrorCode::kAbsent, "no account has this name or address");
  return **std::move(account);
}

Result<void> Directory::set_disabled(std::string_view name_or_email, bool disabled,
                                     std::span<const std::string> application_keys) {
  const Result<storage::Account> account = get(name_or_email);
  if (!account) return account.failure();
  const base::SystemTime now = clock_.now();
  std::vector<storage::Revocation> revocations;
  if (disabled) revocations = identity_revocations(*account, application_keys, "disabled", now);
  Result<void> done = store_.accounts().set_disabled(account->id, disabled, revocations, now);
  if (done) {
    base::log_info(disabled ? "account_disabled" : "account_enabled",
                   {{"account", account->id.text()}});
  }
  return done;
}

Result<std::size_t> Directory::sign_out(std::string_view name_or_email,
                                        std::span<const std::string> application_keys,
                                        std::string_view reason) {
  const Result<storage::Account> account = get(name_or_email);
  if (!account) return account.failure();
  const base::SystemTime now = clock_.now();
  Result<std::size_t> ended = store_.accounts().sign_out_everywhere(
      account->id, identity_revocations(*account, application_keys, reason, now), reason, now);
  if (ended) {
    base::log_info("account_signed_out",
                   {{"account", account->id.text()}, {"reason", reason}, {"sessions", *ended}});
  }
  return ended;
}

Result<void> Directory::unlock(std::string_view name_or_email) {
  const Result<storage::Account> account = get(name_or_email);
  if (!account) return account.failure();
  std::vector<std::string> names{account->user_name_key};
  if (account->email_lookup) names.push_back(*account->email_lookup);
  Result<void> done = throttle_.unlock(names);
  if (done) base::log_info("account_unlocked", {{"account", account->id.text()}});
  return done;
}

}  // namespace countersign::accounts

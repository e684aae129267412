// The password policy: length, a list of common passwords, and the words that everybody who knows
// the account can guess. No composition rules and no expiry: they make passwords worse.
// Thread-safety: const functions may run concurrently.
// Source: NIST SP 800-63B-4 section 3.1.1.2; OWASP ASVS 5.0 section 6.2.
#ifndef COUNTERSIGN_ACCOUNTS_PASSWORD_POLICY_H_
#define COUNTERSIGN_ACCOUNTS_PASSWORD_POLICY_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "countersign/result.h"

#include "base/secret_bytes.h"

namespace countersign::accounts {

/// The longest password, in bytes after NFC. Longer ones are refused, never cut.
inline constexpr std::size_t kMaxPasswordBytes = 1024;

struct PasswordPolicyOptions {
  /// In code points. 15 where the password is the only factor.
  std::size_t minimum_length = 15;
  /// Words that fit this site, for instance its name; they count like the user name.
  std::vector<std::string> site_words;
};

/// The form that is hashed: UTF-8, NFC. The same keys pressed on two systems give the same bytes.
/// @return kBadPasswordText if it is not UTF-8 or holds a NUL, kPasswordTooLong.
Result<base::SecretBytes> normalise_password(const base::SecretBytes& typed);

class PasswordPolicy {
 public:
  explicit PasswordPolicy(PasswordPolicyOptions options);

  /// Judges a new password, in the order length, list, words, so that the answer names the first
  /// rule that failed. It depends on nothing but the arguments: telling it is safe.
  /// @param normalised  from normalise_password().
  /// @param user_name   the account's name; empty if there is none yet.
  /// @param email       the account's address; empty if there is none.
  /// @return kPasswordTooShort, kPasswordTooCommon, kPasswordContainsName.
  Result<void> check(const base::SecretBytes& normalised, std::string_view user_name,
                     std::string_view email) const;

  std::size_t minimum_length() const { return options_.minimum_length; }
  /// Entries of the embedded list.
  std::size_t common_count() const { return common_.size(); }

 private:
  PasswordPolicyOptions options_;
  std::unordered_set<std::string_view> common_;  // into the program's read-only data
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_PASSWORD_POLICY_H_

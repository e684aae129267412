// SignUp: a new account. The steps are those of accounts/authenticator.h.
//
// User names are public, so "taken" is told, and throttled. Addresses are not: where the address is
// not an identity nobody owns it, and many may hold the same (decision 4). Where it is (issuing
// mode `email` or `email_as_username`) it must be unique, and a taken one is refused.
// Thread-safety: every call may be made from any thread; one draft is used by one at a time.
#ifndef COUNTERSIGN_ACCOUNTS_SIGN_UP_H_
#define COUNTERSIGN_ACCOUNTS_SIGN_UP_H_

#include <optional>
#include <string>

#include "accounts/authenticator.h"
#include "accounts/email.h"
#include "accounts/password_policy.h"
#include "accounts/sign_in.h"
#include "accounts/user_name.h"

namespace countersign::accounts {

struct SignUpOptions {
  bool open = true;
  /// The address is an identity: it is required and must be unique.
  bool email_is_identity = false;
};

struct SignUpRequest {
  std::string user_name;
  std::string email;  ///< empty: none
  base::SecretBytes password;
  ClientPrefix prefix;
  std::string device_cookie;
  std::string request_id;
};

/// A sign-up on its way through the steps.
struct SignUpDraft {
  SignUpRequest request;
  base::SteadyTime began{};
  std::optional<PasswordPool::Slot> slot;
  storage::Account account;
  base::SecretBytes password;  ///< normalised
  bool reserved = false;
  std::optional<Result<std::string>> password_hash;

  /// Always: kept so that all flows look alike to the caller.
  bool wants_hash() const { return true; }
};

/// Reads what a new account is made of: name, address and password, each against its rules.
/// @return the account (with a fresh id) and the normalised password; kBadUserName, kEmailRequired,
///         kBadEmail, kBadPasswordText, kPasswordTooLong, kPasswordTooShort, kPasswordTooCommon,
///         kPasswordContainsName.
struct NewAccount {
  storage::Account account;
  base::SecretBytes password;
};
Result<NewAccount> read_new_account(const PasswordPolicy& policy, base::Random& random,
                                    base::SystemTime now, std::string_view user_name,
                                    std::string_view email, bool email_required,
                                    const base::SecretBytes& password);

class SignUp {
 public:
  /// @param policy, floor  outlive this; the floor is the sign-up door's.
  SignUp(Parts parts, const PasswordPolicy& policy, AnswerFloor& floor, SignUpOptions options);

  /// No I/O. kSignUpClosed, kBusy, and the codes of read_new_account().
  Result<SignUpDraft> admit(SignUpRequest request);
  /// Blocks on the store. kTooManyRequests: the prefix made too many accounts, or met too many
  /// taken names, in this hour; answer 429 with Retry-After 3600.
  Result<void> prepare(SignUpDraft& draft);
  /// Costs tens of milliseconds of CPU.
  void hash(SignUpDraft& draft);
  /// Blocks on the store. kNameTaken, kEmailRefused, kBusy if hash() did not run.
  Result<Authenticated> finish(SignUpDraft draft);

  bool open() const { return options_.open; }
  const SignUpOptions& options() const { return options_; }

 private:
  Parts parts_;
  const PasswordPolicy& policy_;
  AnswerFloor& floor_;
  SignUpOptions options_;
  base::Counter& created_;
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_SIGN_UP_H_

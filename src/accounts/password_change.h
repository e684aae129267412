// PasswordChange: a signed-in person replaces the password, proving the current one. The steps are
// those of accounts/authenticator.h.
//
// It ends every other session of the account and all known devices, in one transaction, and gives
// this browser a new known-device token. The caller then gives this session a new id
// (sessions::SessionService::renew) in the same worker task.
// Thread-safety: every call may be made from any thread; one draft is used by one at a time.
#ifndef COUNTERSIGN_ACCOUNTS_PASSWORD_CHANGE_H_
#define COUNTERSIGN_ACCOUNTS_PASSWORD_CHANGE_H_

#include <optional>
#include <string>

#include "accounts/password_policy.h"
#include "accounts/sign_in.h"

namespace countersign::accounts {

struct PasswordChangeRequest {
  storage::Account account;     ///< of the session
  base::SessionHandle session;  ///< the one that stays
  base::SecretBytes current_password;
  base::SecretBytes new_password;
  ClientPrefix prefix;
  std::string request_id;
};

/// A change on its way through the steps.
struct PasswordChangeDraft {
  PasswordChangeRequest request;
  base::SteadyTime began{};
  std::optional<PasswordPool::Slot> slot;
  base::SecretBytes current_password;  ///< normalised
  base::SecretBytes new_password;      ///< normalised
  bool typed_well = true;              ///< the current password is text that can be hashed
  bool throttled = false;
  std::optional<Throttle::Reservation> reservation;
  std::string stored_hash;
  bool hashed = false;
  bool matches = false;
  std::optional<Result<std::string>> new_hash;

  bool wants_hash() const { return !throttled; }
};

class PasswordChange {
 public:
  /// @param policy, floor  outlive this; the floor is the sign-in door's.
  PasswordChange(Parts parts, const PasswordPolicy& policy, AnswerFloor& floor);

  /// No I/O. kBusy, and for the new password kBadPasswordText, kPasswordTooLong, kPasswordTooShort,
  /// kPasswordTooCommon, kPasswordContainsName.
  Result<PasswordChangeDraft> admit(PasswordChangeRequest request);
  /// Blocks on the store.
  Result<void> prepare(PasswordChangeDraft& draft);
  /// Costs tens of milliseconds of CPU, twice.
  void hash(PasswordChangeDraft& draft);
  /// Blocks on the store. kCredentials if the current password is wrong, if too many were, or if it
  /// was changed meanwhile; kBusy if hash() did not run.
  Result<Authenticated> finish(PasswordChangeDraft draft);

 private:
  Parts parts_;
  const PasswordPolicy& policy_;
  AnswerFloor& floor_;
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_PASSWORD_CHANGE_H_

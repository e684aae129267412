// SignIn: user name or e-mail address and password against our own store.
//
// Unknown names, wrong passwords and throttled attempts take the same way out. For an unknown name
// a decoy is hashed with the current parameters. Whether the account is disabled is looked at only
// after the password was right. The session is not made here: the caller hands the account to
// sessions::SessionService in the same worker task.
//
// An address may be held by several accounts (decision 4): the password says which one is meant.
// What a stranger who holds somebody's address too may do must not depend on whether there is such
// a somebody, and must not buy guesses:
// - A known device exempts its own account alone. The others stay behind the throttle.
// - An attempt by address always comes before the throttle, whoever holds it.
// - A right password by an address clears what was counted only for the account that owns the
//   address; for another that holds it, the try is taken back, and that is all.
// Thread-safety and steps: accounts/authenticator.h.
#ifndef COUNTERSIGN_ACCOUNTS_SIGN_IN_H_
#define COUNTERSIGN_ACCOUNTS_SIGN_IN_H_

#include "accounts/answer_floor.h"
#include "accounts/authenticator.h"
#include "accounts/known_devices.h"
#include "accounts/password_hasher.h"
#include "accounts/password_pool.h"
#include "accounts/throttle.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "storage/store.h"

namespace countersign::accounts {

/// What the flows of this room work with. Everything outlives them.
struct Parts {
  storage::Store& store;
  const base::Clock& clock;
  base::Random& random;
  base::Metrics& metrics;
  const PasswordHasher& hasher;
  PasswordPool& pool;
  Throttle& throttle;
  KnownDevices& devices;
};

class SignIn final : public Authenticator {
 public:
  /// So many accounts of one address are tried: what one attempt costs at most, in hashes.
  static constexpr std::size_t kMostCandidates = 8;

  /// @param floor  of the sign-in door; finish() notes the work times. Outlives this.
  SignIn(Parts parts, AnswerFloor& floor);

  Result<SignInAttempt> admit(SignInRequest request) override;
  Result<void> prepare(SignInAttempt& attempt) override;
  void hash(SignInAttempt& attempt) override;
  Result<Authenticated> finish(SignInAttempt attempt) override;

 private:
  Result<void> ready(SignInAttempt& attempt);
  Result<void> find(SignInAttempt& attempt);
  Result<void> give_back(const SignInAttempt& attempt);
  Result<Authenticated> accept(SignInAttempt& attempt);
  void record(const SignInAttempt& attempt, std::string_view result);

  Parts parts_;
  AnswerFloor& floor_;
  base::Counter& succeeded_;
  base::Counter& refused_;
  base::Counter& throttled_;
  base::Counter& busy_;
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_SIGN_IN_H_

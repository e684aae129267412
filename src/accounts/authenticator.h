// Authenticator: turns a name and a password into an account, in four steps that the caller runs
// where they belong, because one hashes and two block:
//
//     admit    on the shard      takes a place in the hash pool, or refuses with kBusy
//     prepare  on a worker       throttle, look-up
//     hash     on the hash pool  only if attempt.wants_hash(); through PasswordPool::submit
//     finish   on a worker       the answer; always called once prepare has been
//
// SignIn (our own store) is the first of its kind; a team's own user store is another.
// Thread-safety: every call may be made from any thread; one attempt is used by one at a time.
#ifndef COUNTERSIGN_ACCOUNTS_AUTHENTICATOR_H_
#define COUNTERSIGN_ACCOUNTS_AUTHENTICATOR_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "countersign/result.h"

#include "accounts/client_prefix.h"
#include "accounts/password_pool.h"
#include "accounts/throttle.h"
#include "base/clock.h"
#include "base/secret_bytes.h"
#include "storage/records.h"

namespace countersign::accounts {

/// What somebody typed, and from where.
struct SignInRequest {
  std::string name;  ///< user name or e-mail address
  base::SecretBytes password;
  ClientPrefix prefix;
  std::string device_cookie;  ///< known-device tokens; empty where no cookie is read
  bool wants_device = true;   ///< issue a known-device token; false where no cookie is set
  std::string request_id;     ///< for the log
};

/// A person who proved who they are.
struct Authenticated {
  storage::Account account;
  /// The known-device cookie's new value, if it has to be set.
  std::optional<std::string> device_cookie;
};

/// An account that may be meant: its password is tried.
struct SignInCandidate {
  storage::Account account;
  std::string stored_hash;
  std::optional<std::string> device;  ///< hash of its known-device token that was good
};

/// An attempt on its way through the steps. Moves; holds the password and wipes it when it goes.
struct SignInAttempt {
  SignInRequest request;
  base::SteadyTime began{};
  std::optional<PasswordPool::Slot> slot;

  // After prepare:
  std::string key;          ///< what the throttle counts
  bool by_address = false;  ///< an e-mail address was typed
  bool typed_well = true;   ///< the password is text that can be hashed
  bool throttled = false;
  /// The account of a user name; all that hold an address, in the order in which they are tried.
  std::vector<SignInCandidate> candidates;
  std::optional<Throttle::Reservation> reservation;

  // After hash:
  bool hashed = false;
  std::optional<std::size_t> matched;  ///< which candidate's password it was
  std::string new_hash;                ///< of a rehash that is due; empty otherwise

  /// False: go on to finish() without hashing (and drop the slot).
  bool wants_hash() const { return !throttled; }
};

class Authenticator {
 public:
  virtual ~Authenticator() = default;

  /// No I/O. kBusy: the hash pool is full; answer 503 with Retry-After 1.
  virtual Result<SignInAttempt> admit(SignInRequest request) = 0;
  /// Blocks on the store. kStoreFailed, kStoreFull; kBusy if the place turned out to be a known
  /// device's alone. After a failure the attempt is over.
  virtual Result<void> prepare(SignInAttempt& attempt) = 0;
  /// Costs tens of milliseconds of CPU.
  virtual void hash(SignInAttempt& attempt) = 0;
  /// Blocks on the store. kCredentials for an unknown name, a wrong password and a throttled
  /// attempt alike; kAccountDisabled only after a right password; kBusy if hash() did not run;
  /// kStoreFailed, kStoreFull. The caller answers no earlier than AnswerFloor says, whatever the
  /// outcome.
  virtual Result<Authenticated> finish(SignInAttempt attempt) = 0;
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_AUTHENTICATOR_H_

// Throttle: how often somebody may guess.
//
// Every attempt is counted before it is verified (else a hundred parallel requests are a hundred
// free tries) and taken back if the password was right. Counters are keyed by what was typed,
// whether or not such an account exists, under an HMAC, so that the table holds no names. An
// attempt that is refused changes no counter, and is answered like a wrong password.
//
// Known devices do not come here: they have their own allowance (KnownDevices), so that strangers
// can slow strangers, never the owner at a browser that signed in before. Thread-safety: every call
// may be made from any thread. Calls block on the store: worker threads. Source:
// NIST SP 800-63B-4 section 3.2.2 (100 consecutive failures).
#ifndef COUNTERSIGN_ACCOUNTS_THROTTLE_H_
#define COUNTERSIGN_ACCOUNTS_THROTTLE_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/ids.h"
#include "base/secret_bytes.h"
#include "storage/store.h"

namespace countersign::accounts {

struct ThrottleOptions {
  // One account from one prefix: so many failures are free, then the pause doubles.
  std::uint32_t free_failures = 4;
  std::chrono::seconds first_pause{1};
  std::chrono::seconds longest_pause{900};
  std::chrono::hours forget_after{12};
  // One prefix, all accounts together.
  std::uint32_t prefix_failures_per_minute = 10;
  std::uint32_t prefix_failures_per_hour = 100;
  std::uint32_t prefix_accounts_per_hour = 20;
  // One account from everywhere: after so many consecutive failures, one attempt a pause.
  std::uint32_t account_failures = 100;
  std::chrono::seconds account_pause{10};
  // Sign-up, one prefix: accounts made, and tries that met a taken name.
  std::uint32_t sign_ups_per_hour = 5;
  std::uint32_t taken_names_per_hour = 20;
};

class Throttle {
 public:
  /// What an admitted attempt has counted, so that it can be taken back.
  struct Reservation {
    std::string name;    ///< hidden form of what was typed
    std::string prefix;  ///< empty: only the rule of one account from one place was counted
    base::SystemTime minute_start;
    base::SystemTime hour_start;
    bool new_account = false;  ///< it was the first try at this account from there in this hour
    // As they stood before it was counted.
    storage::ThrottleCounter pair{};
    storage::ThrottleCounter account{};
  };

  /// The store and the clock outlive the throttle.
  Throttle(storage::ThrottleStore& store, const base::Clock& clock, base::SecretBytes key,
           ThrottleOptions options);

  /// Counts an attempt of a stranger before it is verified.
  /// @param name    folded key of the name or address that was typed, or the raw text.
  /// @param prefix  ClientPrefix::narrow.
  /// @return nothing if the attempt is throttled; then no counter has changed.
  Result<std::optional<Reservation>> reserve(std::string_view name, std::string_view prefix);
  /// The same for somebody who is signed in and proves the password again: only the first rule,
  /// counted apart by account.
  Result<std::optional<Reservation>> reserve_proof(const base::AccountId& account);
  /// The password was right: the account's counters are cleared, the prefix gets its try back.
  Result<void> succeeded(const Reservation& reservation);
  /// Nothing was verified (the hash pool was full), or what was right says nothing about the
  /// failures of others: the try is taken back, and all is as if it had not been.
  Result<void> take_back(const Reservation& reservation);
  /// After a right password from a known device: the counters of the account are cleared.
  Result<void> clear(std::string_view name, std::string_view prefix);

  /// Counts a sign-up before it is made. False: the prefix made too many this hour.
  Result<bool> reserve_sign_up(std::string_view prefix);
  /// The sign-up was not made: gives the try back and, if it met a taken name, counts that instead.
  Result<void> take_back_sign_up(std::string_view prefix, bool name_was_taken);

  /// For an operator: forgets all failures of an account, from everywhere.
  /// @param names  the folded keys people may type for it: user name and address.
  Result<void> unlock(std::span<const std::string> names);
  /// Removes counters that no longer matter, at most `limit`; returns how many. Run now and then.
  /// Those of a minute or an hour go when it is over, the others when they are forgotten.
  Result<std::size_t> sweep(std::size_t limit);

  /// The form in which counters, and the log, name what somebody typed: an HMAC.
  std::string hide(std::string_view name) const;

 private:
  storage::ThrottleStore& store_;
  const base::Clock& clock_;
  base::SecretBytes key_;
  ThrottleOptions options_;
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_THROTTLE_H_

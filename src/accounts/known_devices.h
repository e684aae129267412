// Known devices: browsers in which somebody signed in before.
//
// After a sign-in the browser keeps a random token in a cookie of its own, which outlives the
// session. With it the owner is exempt from everything strangers can trigger; the token opens
// nothing. A token has ten tries, which a right password restores, and then is worth nothing; a
// password change ends all of them. One cookie holds up to four tokens (people share computers),
// joined by dots.
//
// A token is 24 random bytes and an 8-byte tag of them, so that made-up ones are told apart without
// asking the store, and cannot take the places that the hash pool keeps.
// Thread-safety: every call may be made from any thread. All but claims block on the store.
#ifndef COUNTERSIGN_ACCOUNTS_KNOWN_DEVICES_H_
#define COUNTERSIGN_ACCOUNTS_KNOWN_DEVICES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/secret_bytes.h"
#include "storage/store.h"

namespace countersign::accounts {

struct KnownDeviceOptions {
  std::uint32_t tries = 10;
  std::size_t devices_per_account = 20;
};

class KnownDevices {
 public:
  static constexpr std::size_t kTokensPerCookie = 4;

  KnownDevices(storage::KnownDeviceStore& store, const base::Clock& clock, base::Random& random,
               base::SecretBytes key, KnownDeviceOptions options);

  /// True if the cookie holds a token that we made, for whichever account. No I/O.
  bool claims(std::string_view cookie) const;
  /// Counts one try against the cookie's token of this account.
  /// @return the token's hash, or nothing if the cookie holds none that is good.
  Result<std::optional<std::string>> reserve(std::string_view cookie,
                                             const base::AccountId& account);
  /// Nothing was verified: the try is taken back.
  Result<void> give_back(std::string_view token_hash);
  /// After a right password at a known device.
  Result<void> clear(std::string_view token_hash);
  /// Makes a token for the account.
  /// @return the cookie's new value: the new token first, then those it held, four at most.
  Result<std::string> issue(std::string_view cookie, const base::AccountId& account);

 private:
  std::vector<std::string_view> tokens(std::string_view cookie) const;
  bool is_ours(std::string_view token) const;

  storage::KnownDeviceStore& store_;
  const base::Clock& clock_;
  base::Random& random_;
  base::SecretBytes key_;
  KnownDeviceOptions options_;
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_KNOWN_DEVICES_H_

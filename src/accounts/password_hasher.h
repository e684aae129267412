// PasswordHasher: argon2id, sealed with a key that is not in the database.
//
// What is stored is `v1$KEYID$base64url(nonce || XChaCha20-Poly1305(PHC string))`. The additional
// data is table, account and key id, so that a hash copied to another row opens nothing, and a
// stolen database alone cannot be guessed against. Unsealed PHC strings (imports) verify too and
// count as in need of a rehash.
//
// Every call that hashes takes tens of milliseconds of CPU and the configured memory: it belongs on
// the PasswordPool, never on a shard.
// Thread-safety: const functions may run concurrently.
// Source: RFC 9106 (argon2), draft-irtf-cfrg-xchacha-03, PHC string format; OWASP password storage.
#ifndef COUNTERSIGN_ACCOUNTS_PASSWORD_HASHER_H_
#define COUNTERSIGN_ACCOUNTS_PASSWORD_HASHER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

#include "accounts/keys.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/secret_bytes.h"

namespace countersign::accounts {

/// The default is also the floor; equal floors are 46 MiB with one pass and 12 MiB with three.
/// 64 MiB with two passes takes about three times as long and is worth it where sign-ins are few.
struct HashOptions {
  std::size_t memory_kib = 19 * 1024;
  std::uint32_t passes = 2;
};

struct PasswordVerdict {
  bool matches = false;
  /// Right, but made with other parameters, another key or none.
  bool needs_rehash = false;
};

class PasswordHasher {
 public:
  /// @param keys    at least one; the first seals. 32 bytes each.
  /// @param random  outlives the hasher.
  /// @return kBadSetting below the floor or above 1 GiB or 10 passes.
  static Result<PasswordHasher> create(HashOptions options, std::vector<SealingKey> keys,
                                       base::Random& random);

  /// Hashes and seals a normalised password for the account's row. kOverloaded without memory.
  Result<std::string> hash(const base::SecretBytes& password, const base::AccountId& row) const;

  /// Compares. Stored text that is damaged, sealed for another row or with an unknown key, or
  /// beyond the bounds (1 GiB, 10 passes, 16 lanes) does not match and costs no work.
  PasswordVerdict verify(std::string_view stored, const base::AccountId& row,
                         const base::SecretBytes& password) const;

  /// Does the work of one verify() with the current parameters, for a name that does not exist.
  void verify_decoy(const base::SecretBytes& password) const;

  /// Bytes of memory that one call takes, for sizing the pool.
  std::size_t memory_bytes() const { return options_.memory_kib * 1024; }

 private:
  PasswordHasher(HashOptions options, std::vector<SealingKey> keys, base::Random& random);

  std::string seal(std::string_view phc, const base::AccountId& row) const;
  /// The PHC string in `stored`, or empty.
  std::string open(std::string_view stored, const base::AccountId& row, bool& current_key) const;

  HashOptions options_;
  std::vector<SealingKey> keys_;
  base::Random* random_;
  base::AccountId decoy_row_;
  std::string decoy_;
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_PASSWORD_HASHER_H_

// Sealing: secrets at rest, encrypted under the master key and bound to the row they stand in.
// Thread-safety: const functions may run concurrently.
// Source: XChaCha20-Poly1305-IETF as in libsodium (draft-irtf-cfrg-xchacha-03).
#ifndef COUNTERSIGN_APP_SEALING_H_
#define COUNTERSIGN_APP_SEALING_H_

#include <string>
#include <string_view>

#include "countersign/result.h"

#include "app/master_key.h"
#include "base/random.h"
#include "base/secret_bytes.h"

namespace countersign::app {

class Sealer {
 public:
  /// @param purpose  the table whose secrets it seals: another purpose, another key.
  Sealer(const MasterKey& master_key, std::string_view purpose, base::Random& random);

  /// @return base64url of nonce and ciphertext.
  std::string seal(const base::SecretBytes& secret, std::string_view row) const;
  /// kMasterKeyMismatch if it was sealed under another key, for another row or purpose, or is
  /// damaged.
  Result<base::SecretBytes> open(std::string_view sealed, std::string_view row,
                                 std::string_view key_id) const;
  const std::string& key_id() const { return key_id_; }

 private:
  std::string purpose_;
  std::string key_id_;
  base::SecretBytes key_;
  base::Random& random_;
};

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_SEALING_H_

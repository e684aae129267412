// Which identity an account's tickets carry: the setting `issuing.identity`.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_ISSUING_IDENTITY_MODE_H_
#define COUNTERSIGN_ISSUING_IDENTITY_MODE_H_

#include <optional>
#include <string_view>

#include "countersign/identity.h"
#include "countersign/result.h"

#include "storage/records.h"

namespace countersign::issuing {

enum class IdentityMode {
  kUsername,         ///< `username` with the user name
  kEmail,            ///< `email` with the address
  kEmailAsUsername,  ///< `username` with the address, as the Rails tutorial does
};

/// `username`, `email` or `email_as_username`.
std::optional<IdentityMode> parse_identity_mode(std::string_view text);

/// True if the address is the identity, hence required and unique.
inline bool email_is_identity(IdentityMode mode) { return mode != IdentityMode::kUsername; }

/// The identity in the stored spelling. kEmailRequired if the mode wants the address and the
/// account does not own one: an address that somebody only claims must never become an identity.
Result<Identity> identity_of(const storage::Account& account, IdentityMode mode);

}  // namespace countersign::issuing

#endif  // COUNTERSIGN_ISSUING_IDENTITY_MODE_H_

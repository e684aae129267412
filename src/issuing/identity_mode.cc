#include "issuing/identity_mode.h"

namespace countersign::issuing {

std::optional<IdentityMode> parse_identity_mode(std::string_view text) {
  if (text == "username") return IdentityMode::kUsername;
  if (text == "email") return IdentityMode::kEmail;
  if (text == "email_as_username") return IdentityMode::kEmailAsUsername;
  return std::nullopt;
}

Result<Identity> identity_of(const storage::Account& account, IdentityMode mode) {
  if (mode == IdentityMode::kUsername) return Identity{IdentityType::kUsername, account.user_name};
  if (!account.email || !account.email_key) {
    return fail(ErrorCode::kEmailRequired, "the account owns no address");
  }
  return Identity{mode == IdentityMode::kEmail ? IdentityType::kEmail : IdentityType::kUsername,
                  *account.email};
}

}  // namespace countersign::issuing

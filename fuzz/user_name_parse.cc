// Property: whatever is accepted is a valid user name identity without @, reads as itself, and its
// key is stable under folding; policy and normalisation of the same bytes as a password never
// crash.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "countersign/identity.h"

#include "accounts/password_policy.h"
#include "accounts/user_name.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace countersign;
  static const accounts::PasswordPolicy policy({15, {"countersign"}});
  const std::string_view typed(reinterpret_cast<const char*>(data), size);

  if (const auto password = accounts::normalise_password(base::SecretBytes(typed))) {
    require(password->view().size() <= accounts::kMaxPasswordBytes);
    static_cast<void>(policy.check(*password, typed, typed));
  }

  const auto name = accounts::parse_user_name(typed);
  if (!name) {
    require(name.code() == ErrorCode::kBadUserName);
    return 0;
  }
  require(name->text.find('@') == std::string::npos);
  require(validate_identity({IdentityType::kUsername, name->text}, UserNameRule::kUtf8).ok());
  const auto again = accounts::parse_user_name(name->text);
  require(again.ok() && again->text == name->text && again->key == name->key);
  return 0;
}

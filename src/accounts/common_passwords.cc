#include "accounts/common_passwords.h"

namespace countersign::accounts {

std::string_view embedded_file(std::string_view name) noexcept;  // made by countersign_embed()

std::string_view common_passwords() { return embedded_file("common_passwords.txt"); }

}  // namespace countersign::accounts

#include "app/recipients.h"

namespace countersign::app {

Result<std::vector<Identity>> Recipients::known(std::string_view application,
                                                std::span<const Identity> users) {
  std::vector<Identity> found;
  if (application != application_) return found;
  for (const Identity& user : users) {
    const auto account = directory_.get(user.endpoint);
    if (!account && account.code() != ErrorCode::kAbsent) return account.failure();
    if (!account || account->disabled) continue;
    const auto identity = issuing::identity_of(*account, mode_);
    if (identity && *identity == user) found.push_back(user);
  }
  return found;
}

}  // namespace countersign::app

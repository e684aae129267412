// Recipients: tells the gateway which of the people somebody writes to have an account here.
// Thread-safety: every call may be made from any thread; calls block on the store.
#ifndef COUNTERSIGN_APP_RECIPIENTS_H_
#define COUNTERSIGN_APP_RECIPIENTS_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/directory.h"
#include "gateway/recipient_directory.h"
#include "issuing/identity_mode.h"

namespace countersign::app {

class Recipients final : public gateway::RecipientDirectory {
 public:
  /// Accounts belong to the application whose tickets we mint. `directory` outlives this.
  Recipients(accounts::Directory& directory, std::string application, issuing::IdentityMode mode)
      : directory_(directory), application_(std::move(application)), mode_(mode) {}

  /// Somebody is known under exactly the identity that their tickets carry.
  Result<std::vector<Identity>> known(std::string_view application,
                                      std::span<const Identity> users) override;

 private:
  accounts::Directory& directory_;
  const std::string application_;
  const issuing::IdentityMode mode_;
};

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_RECIPIENTS_H_

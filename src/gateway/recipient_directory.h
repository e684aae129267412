// The recipient directory: does somebody who never connected have an account here?
//
// The gateway knows nobody; whoever has accounts tells it.
// Thread-safety: every call may be made from any thread. Calls block and are made from a worker.
#ifndef COUNTERSIGN_GATEWAY_RECIPIENT_DIRECTORY_H_
#define COUNTERSIGN_GATEWAY_RECIPIENT_DIRECTORY_H_

#include <span>
#include <string_view>
#include <vector>

#include "countersign/identity.h"
#include "countersign/result.h"

namespace countersign::gateway {

class RecipientDirectory {
 public:
  virtual ~RecipientDirectory() = default;
  /// Those of `users` who are known, in the same order. kStoreFailed.
  virtual Result<std::vector<Identity>> known(std::string_view application,
                                              std::span<const Identity> users) = 0;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_RECIPIENT_DIRECTORY_H_

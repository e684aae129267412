// The instance desk: what the gateway asks of the store, one function for each question, with the
// judgement whether a sign-in session is live. Every call blocks and is made from a worker.
// Thread-safety: every function may be called from any thread.
// Source: docs/reference/protocol.md, "Instances" and "Revocation".
#ifndef COUNTERSIGN_GATEWAY_INSTANCE_DESK_H_
#define COUNTERSIGN_GATEWAY_INSTANCE_DESK_H_

#include <chrono>
#include <optional>
#include <vector>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/ids.h"
#include "storage/store.h"

namespace countersign::gateway {

/// When a sign-in session is over by itself; the same numbers as the pages use.
struct SessionLimits {
  std::chrono::minutes idle{30};
  std::chrono::hours absolute{12};
  /// Activity is written at most this often.
  std::chrono::seconds touch_every{60};
};

/// True if the session has neither idled nor aged out, its account is enabled, and no "sign out
/// everywhere" has passed it by.
bool session_is_live(const storage::SessionView& view, const SessionLimits& limits,
                     base::SystemTime now);

class InstanceDesk {
 public:
  struct Options {
    SessionLimits sessions;
    std::size_t max_instances_per_user = 200;
  };

  /// The stores must outlive the desk.
  InstanceDesk(storage::SessionStore& sessions, storage::InstanceStore& instances,
               storage::RevocationStore& revocations, Options options)
      : sessions_(sessions), instances_(instances), revocations_(revocations), options_(options) {}

  /// Stores a new instance, or prolongs the one of this id: the device was here before.
  /// @param presented  noted with it, so that no other device can use the ticket.
  /// @return the instance as it stands: one that was there keeps generation and key id.
  /// kRevoked if its session is not live or its ticket is older than the user's watermark;
  /// kLimitExceeded; kReplayed, kOverloaded if the ticket cannot be noted.
  Result<storage::Instance> create(storage::Instance instance,
                                   const std::optional<storage::PresentedTicket>& presented,
                                   base::SystemTime now);
  Result<std::optional<storage::Instance>> find(const base::InstanceId& id);
  /// Reads it again and judges what it says now. kAbsent if it has ended, kRevoked as above.
  Result<storage::Instance> check(const base::InstanceId& id, base::SystemTime now);
  /// Prolongs it. kAbsent, kRevoked; kReplayed, kOverloaded, kLimitExceeded if the ticket cannot be
  /// noted.
  Result<void> refresh(const storage::Instance& instance,
                       const std::optional<storage::PresentedTicket>& presented,
                       base::SystemTime now);
  /// Ends it; success also if it had ended before.
  Result<void> end(const base::InstanceId& id);
  /// Connected clients keep these sessions alive, up to their absolute limit.
  Result<void> touch(const std::vector<base::SessionHandle>& sessions, base::SystemTime now);

 private:
  Result<void> check_session(const std::optional<base::SessionHandle>& session,
                             base::SystemTime now);

  storage::SessionStore& sessions_;
  storage::InstanceStore& instances_;
  storage::RevocationStore& revocations_;
  const Options options_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_INSTANCE_DESK_H_

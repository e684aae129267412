// Classic instances: what a user ticket gives the classic SDK: an instance with its secret.
//
// The SDK cannot show a new ticket while it runs, so an instance outlives its ticket: it lives for
// a set time from the last ticket shown, and ends at once with the sign-in session behind that
// ticket. Renewing keeps the id and the secret: two tabs share one instance, and the one that
// renewed must not break the other.
// Thread-safety: every call may be made from any thread. Calls block: from a worker.
// Source: docs/reference/classic-door.md, "Instances".
#ifndef COUNTERSIGN_WEB_CLASSIC_CLASSIC_INSTANCES_H_
#define COUNTERSIGN_WEB_CLASSIC_CLASSIC_INSTANCES_H_

#include <chrono>
#include <string>
#include <string_view>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/random.h"
#include "gateway/instance_desk.h"
#include "gateway/instance_keys.h"
#include "gateway/send_budget.h"
#include "gateway/ticket_desk.h"
#include "storage/store.h"

namespace countersign::web::classic {

struct ClassicInstanceOptions {
  std::chrono::hours lifetime{24};
  gateway::InstanceDesk::Options desk;
  gateway::TicketDesk::ReplayBounds replay;
  /// New instances of a user: one may write a revocation, which every node reads.
  gateway::SendBudgetOptions openings{20, 100};
};

/// What the SDK is told.
struct GivenInstance {
  storage::Instance instance;
  std::string secret;  ///< base64
};

class ClassicInstances {
 public:
  /// References outlive this.
  ClassicInstances(ClassicInstanceOptions options, gateway::KeyRingProvider ring, Policy policy,
                   gateway::InstanceKeys keys, storage::Store& store, const base::Clock& clock,
                   base::Random& random);

  /// A new instance. Where the user has as many as may be, the oldest classic one makes room: an
  /// SDK that cannot remember its instance leaves one behind with every start.
  /// @return the errors of TicketDesk::verify() and InstanceDesk::create(); kTooManyRequests.
  Result<GivenInstance> create(std::string_view ticket);
  /// The same instance again, with a new ticket of the same user.
  /// @return kNotFound if there is no such instance, or it is not one of this user's classic ones;
  ///         otherwise as above.
  Result<GivenInstance> renew(std::string_view id, std::string_view ticket);

  /// Every secret that `instance` may sign with, base64. Empty if its master key is not known.
  std::vector<std::string> secrets(const storage::Instance& instance) const;

 private:
  Result<gateway::TicketFacts> read_ticket(std::string_view ticket, base::SystemTime now) const;
  Result<GivenInstance> given(storage::Instance instance) const;
  /// False if there was none to end.
  Result<bool> end_oldest(const storage::Instance& newcomer);

  const ClassicInstanceOptions options_;
  const gateway::TicketDesk tickets_;
  const gateway::InstanceKeys keys_;
  storage::Store& store_;
  gateway::InstanceDesk desk_;
  gateway::SendBudget openings_;
  const base::Clock& clock_;
  base::Random& random_;
};

}  // namespace countersign::web::classic

#endif  // COUNTERSIGN_WEB_CLASSIC_CLASSIC_INSTANCES_H_

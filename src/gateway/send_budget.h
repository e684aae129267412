// The send budget: how many messages a user may send, over all their connections of this node. Each
// recipient counts one.
//
// The table is bounded: a user whose budget is full again is forgotten, and where more users send
// at once than are remembered, whoever has used least of theirs.
// Thread-safety: every call may be made from any thread. Source: docs/reference/messages.md.
#ifndef COUNTERSIGN_GATEWAY_SEND_BUDGET_H_
#define COUNTERSIGN_GATEWAY_SEND_BUDGET_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"

namespace countersign::gateway {

struct SendBudgetOptions {
  double per_second = 50;
  double burst = 250;              ///< at once, after a pause
  std::size_t max_users = 65'536;  ///< that are remembered
};

class SendBudget {
 public:
  explicit SendBudget(SendBudgetOptions options) : options_(options) {}

  /// `user` names a user: equal for one, different for two. Takes `cost`, if anything is left: what
  /// is taken beyond that is a debt, paid off in time.
  /// @return how long to wait, if nothing is left.
  std::optional<std::chrono::milliseconds> take(std::string_view user, double cost,
                                                base::SteadyTime now);
  /// It turned out to cost this much more.
  void charge(std::string_view user, double cost, base::SteadyTime now);
  /// Who is remembered. For tests.
  std::size_t users();

 private:
  static constexpr std::size_t kStripes = 16;
  struct Row {
    double left = 0;
    base::SteadyTime at;
  };
  struct Stripe {
    std::mutex mutex;
    std::unordered_map<std::string, Row> rows;  // by user: a name that collides costs nobody else
  };

  Row& refill(Stripe& stripe, std::string_view user, base::SteadyTime now);
  void make_room(Stripe& stripe, base::SteadyTime now);
  Stripe& stripe_of(std::string_view user) {
    return stripes_[std::hash<std::string_view>()(user) % kStripes];
  }

  const SendBudgetOptions options_;
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_SEND_BUDGET_H_

#include "gateway/send_budget.h"

#include <algorithm>
#include <utility>

namespace countersign::gateway {

std::optional<std::chrono::milliseconds> SendBudget::take(std::string_view user, double cost,
                                                          base::SteadyTime now) {
  Stripe& stripe = stripe_of(user);
  const std::lock_guard lock(stripe.mutex);
  Row& row = refill(stripe, user, now);
  if (row.left < 1) {
    const double seconds = (1 - row.left) / options_.per_second;
    return std::chrono::milliseconds(1 + static_cast<long>(seconds * 1000));
  }
  row.left -= std::min(cost, options_.burst);
  return std::nullopt;
}

void SendBudget::charge(std::string_view user, double cost, base::SteadyTime now) {
  Stripe& stripe = stripe_of(user);
  const std::lock_guard lock(stripe.mutex);
  Row& row = refill(stripe, user, now);
  row.left = std::max(row.left - cost, -options_.burst);
}

SendBudget::Row& SendBudget::refill(Stripe& stripe, std::string_view user, base::SteadyTime now) {
  std::string name(user);
  if (stripe.rows.size() >= options_.max_users / kStripes && !stripe.rows.contains(name)) {
    make_room(stripe, now);
  }
  const auto [entry, made] = stripe.rows.try_emplace(std::move(name), Row{options_.burst, now});
  Row& row = entry->second;
  const double passed = std::chrono::duration<double>(now - row.at).count();
  if (!made && passed > 0) {
    row.left = std::min(options_.burst, row.left + passed * options_.per_second);
    row.at = now;
  }
  return row;
}

// Forgets who has paused; if nobody has, whoever has most left: they gain least by it.
void SendBudget::make_room(Stripe& stripe, base::SteadyTime now) {
  std::erase_if(stripe.rows, [&](const auto& entry) {
    const double passed = std::chrono::duration<double>(now - entry.second.at).count();
    return entry.second.left + passed * options_.per_second >= options_.burst;
  });
  if (stripe.rows.size() < options_.max_users / kStripes) return;
  stripe.rows.erase(
      std::max_element(stripe.rows.begin(), stripe.rows.end(),
                       [](const auto& a, const auto& b) { return a.second.left < b.second.left; }));
}

std::size_t SendBudget::users() {
  std::size_t sum = 0;
  for (Stripe& stripe : stripes_) {
    const std::lock_guard lock(stripe.mutex);
    sum += stripe.rows.size();
  }
  return sum;
}

}  // namespace countersign::gateway

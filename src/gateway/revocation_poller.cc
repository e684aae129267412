#include "gateway/revocation_poller.h"

#include "base/log.h"

namespace countersign::gateway {

RevocationPoller::RevocationPoller(PollerOptions options, storage::RevocationStore& store,
                                   const base::Clock& clock)
    : options_(options), store_(store), clock_(clock) {}

Result<void> RevocationPoller::begin() {
  const base::SteadyTime began = clock_.steady();
  const auto head = store_.head();
  if (!head) return head.failure();
  last_.store(*head, std::memory_order_relaxed);
  succeeded_.store(began.time_since_epoch().count(), std::memory_order_release);
  return {};
}

Result<void> RevocationPoller::tick() {
  // The age of what is known counts from the start: a row may be committed while we read.
  const base::SteadyTime began = clock_.steady();
  auto outcome = poll();
  if (outcome) {
    succeeded_.store(began.time_since_epoch().count(), std::memory_order_release);
    if (failed_before_) base::log_info("revocation_poll_recovered");
  } else if (!failed_before_) {
    base::log_warning("revocation_poll_failed", {{"detail", outcome.error().detail}});
  }
  failed_before_ = !outcome.ok();
  return outcome;
}

Result<void> RevocationPoller::poll() {
  bool gap = false;
  std::int64_t last = last_.load(std::memory_order_relaxed);
  while (true) {
    const auto rows = store_.poll(last, options_.page);
    if (!rows) return rows.failure();
    if (rows->empty()) break;
    for (const storage::Revocation& row : *rows) {
      gap = gap || row.id != last + 1;
      last = row.id;
    }
    for (RevocationListener* listener : listeners_) listener->on_revocations(*rows);
    last_.store(last, std::memory_order_relaxed);
    if (rows->size() < options_.page) break;
  }
  // Rows may have been pruned unread, or the store restored to an earlier state. Rows added since
  // the read above are no gap: they are read next time.
  const auto head = store_.head();
  if (!head) return head.failure();
  if (*head < last) {
    gap = true;
    last_.store(*head, std::memory_order_relaxed);
  } else if (*head > last) {
    const auto next = store_.poll(last, 1);
    if (!next) return next.failure();
    if (next->empty()) {
      gap = true;
      last_.store(*head, std::memory_order_relaxed);
    }
  }
  if (gap) {
    base::log_warning("revocation_gap", {{"after", last}});
    for (RevocationListener* listener : listeners_) listener->on_gap();
  }
  return {};
}

bool RevocationPoller::fenced(base::SteadyTime now) const {
  const base::SteadyTime succeeded{
      base::SteadyTime::duration(succeeded_.load(std::memory_order_acquire))};
  return succeeded == base::SteadyTime::min() || now - succeeded > options_.fence_after;
}

}  // namespace countersign::gateway

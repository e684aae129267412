#include "gateway/gateway.h"

#include <utility>

#include "base/log.h"

namespace countersign::gateway {
namespace {

// Expired instances stay for a while, for the grace in which they may be refreshed.
constexpr std::chrono::minutes kKeepExpired{10};
constexpr std::size_t kRemoveAtOnce = 1000;

}  // namespace

Gateway::Gateway(GatewayOptions options, storage::Store& store, base::WorkerPool& workers,
                 const base::Clock& clock, base::Random& random, base::Metrics& metrics,
                 KeyRingProvider ring, Policy policy, InstanceKeys keys)
    : options_(std::move(options)),
      store_(store),
      clock_(clock),
      keys_(std::move(keys)),
      tickets_(std::move(ring), policy, options_.replay_capacity),
      instances_(store.sessions(), store.instances(), store.revocations(),
                 {options_.sessions, options_.max_instances_per_user}),
      poller_(options_.poller, store.revocations(), clock),
      hub_({options_.shards, options_.max_instances_per_user}, clock, random, metrics),
      tasks_(workers),
      fenced_gauge_(metrics.gauge("countersign_gateway_fenced",
                                  "1 while revocations cannot be heard and nobody is accepted.")),
      context_{
          options_.machine,
          keys_,
          tickets_,
          instances_,
          poller_,
          tasks_,
          clock,
          random,
          metrics,
          metrics.counter("countersign_gateway_accepted_total", "Connects that were accepted.")} {
  poller_.add_listener(hub_);
}

Gateway::~Gateway() { stop(); }

Result<void> Gateway::start() {
  if (auto begun = poller_.begin(); !begun) return begun;
  thread_ = std::thread([this] { follow(); });
  return {};
}

void Gateway::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::unique_ptr<ChannelHandler> Gateway::open(std::string address, std::size_t shard) {
  return std::make_unique<GatewayConnection>(context_, hub_.shard(shard), std::move(address));
}

void Gateway::follow() {
  auto next_housekeeping = clock_.steady() + options_.housekeeping_interval;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, options_.poller.interval, [this] { return stopping_; })) {
    lock.unlock();
    (void)poller_.tick();  // it logs by itself
    fenced_gauge_.set(fenced() ? 1 : 0);
    if (clock_.steady() >= next_housekeeping) {
      next_housekeeping = clock_.steady() + options_.housekeeping_interval;
      housekeep();
    }
    lock.lock();
  }
}

void Gateway::housekeep() {
  hub_.live_sessions([this](std::vector<base::SessionHandle> sessions) {
    const bool submitted = tasks_.try_submit([this, sessions = std::move(sessions)] {
      const auto touched = instances_.touch(sessions, clock_.now());
      if (!touched) base::log_warning("touch_failed", {{"detail", touched.error().detail}});
    });
    if (!submitted) base::log_warning("touch_failed", {{"detail", "workers are busy"}});
  });
  const bool submitted = tasks_.try_submit([this] {
    const base::SystemTime now = clock_.now();
    const auto instances = store_.instances().remove_expired(now - kKeepExpired, kRemoveAtOnce);
    const auto rows =
        store_.revocations().remove_older(now - options_.revocation_retention, kRemoveAtOnce);
    if (!instances || !rows) base::log_warning("gateway_housekeeping_failed");
  });
  if (!submitted)
    base::log_warning("gateway_housekeeping_failed", {{"detail", "workers are busy"}});
}

}  // namespace countersign::gateway

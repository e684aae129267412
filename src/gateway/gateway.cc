#include "gateway/gateway.h"

#include <utility>

#include "base/log.h"

namespace countersign::gateway {
namespace {

// Expired instances stay for a while, for the grace in which they may be refreshed.
constexpr std::chrono::minutes kKeepExpired{10};
// Rows go in portions, so that connects are not kept waiting, and up to a bound in one run.
constexpr std::size_t kRemoveAtOnce = 1000;
constexpr int kMaxPortions = 100;
/// News without content: the store says what was revoked.
constexpr std::string_view kRevokedSubject = "revoked";

// Calls `remove(limit)` until little was left to remove. False: the store failed.
template <class Remove>
bool remove_in_portions(Remove&& remove) {
  for (int portion = 0; portion < kMaxPortions; ++portion) {
    const Result<std::size_t> removed = remove(kRemoveAtOnce);
    if (!removed) return false;
    if (*removed < kRemoveAtOnce) break;
  }
  return true;
}

}  // namespace

Gateway::Gateway(GatewayOptions options, storage::Store& store, base::WorkerPool& workers,
                 const base::Clock& clock, base::Random& random, base::Metrics& metrics,
                 KeyRingProvider ring, Policy policy, InstanceKeys keys,
                 const MessagingSetup* messaging)
    : options_(std::move(options)),
      store_(store),
      clock_(clock),
      keys_(std::move(keys)),
      tickets_(std::move(ring), policy,
               {options_.replay_capacity, options_.replay_capacity_per_user}),
      instances_(store.sessions(), store.instances(), store.revocations(),
                 {options_.sessions, options_.max_instances_per_user}),
      poller_(options_.poller, store.revocations(), clock),
      hub_({options_.shards, options_.max_instances_per_user}, clock, random, metrics),
      tasks_(workers),
      fenced_gauge_(metrics.gauge("countersign_gateway_fenced",
                                  "1 while revocations cannot be heard and nobody is accepted.")),
      bus_(messaging == nullptr ? nullptr : &messaging->bus),
      messaging_(messaging == nullptr
                     ? nullptr
                     : std::make_unique<Messaging>(*messaging, store.messages(), hub_, tasks_,
                                                   clock, random, metrics)),
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
          metrics.counter("countersign_gateway_accepted_total", "Connects that were accepted."),
          messaging_.get()},
      jump_guard_(store_clock().now(), store_clock().steady()) {
  poller_.add_listener(hub_);
}

Gateway::~Gateway() { stop(); }

Result<void> Gateway::start() {
  if (auto begun = poller_.begin(); !begun) return begun;
  if (messaging_) messaging_->start();
  if (bus_ != nullptr) {
    auto hearing = bus_->subscribe(kRevokedSubject, [this](const bus::Payload&) { look_now(); });
    if (!hearing) return hearing.failure();
    revoked_ = *std::move(hearing);
  }
  thread_ = std::thread([this] { follow(); });
  return {};
}

void Gateway::hasten_revocation() {
  if (bus_ != nullptr) (void)bus_->publish(kRevokedSubject, {});
}

void Gateway::look_now() {
  {
    const std::lock_guard lock(mutex_);
    look_ = true;
  }
  wake_.notify_all();
}

void Gateway::stop() {
  revoked_.reset();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (messaging_) messaging_->stop();
}

std::unique_ptr<ChannelHandler> Gateway::open(std::string address, std::size_t shard) {
  return std::make_unique<GatewayConnection>(context_, hub_.shard(shard), std::move(address),
                                             messaging_ ? &messaging_->mailroom(shard) : nullptr);
}

void Gateway::follow() {
  auto next_housekeeping = clock_.steady() + options_.housekeeping_interval;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait_for(lock, options_.poller.interval, [this] { return stopping_ || look_; });
    if (stopping_) return;
    look_ = false;
    lock.unlock();
    (void)poller_.tick();  // it logs by itself
    fenced_gauge_.set(fenced() ? 1 : 0);
    if (messaging_) messaging_->tick();
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
  const base::SystemTime now = store_clock().now();
  if (!may_remove(now)) return;
  const bool submitted = tasks_.try_submit([this, now] { remove_old(now); });
  if (!submitted)
    base::log_warning("gateway_housekeeping_failed", {{"detail", "workers are busy"}});
}

bool Gateway::may_remove(base::SystemTime now) {
  const auto verdict = jump_guard_.check(now, store_clock().steady());
  if (verdict.jumped) {
    base::log_error("clock_jumped", {{"seconds", verdict.jumped->count()},
                                     {"action", "nothing is removed for now"}});
  }
  return verdict.may_run;
}

// `now` is what the jump guard has passed; the clock may have jumped since.
void Gateway::remove_old(base::SystemTime now) {
  const bool expired = remove_in_portions([&](std::size_t limit) {
    return store_.instances().remove_expired(now - kKeepExpired, limit);
  });
  const bool revocations = remove_in_portions([&](std::size_t limit) {
    return store_.revocations().remove_older(now - options_.revocation_retention, limit);
  });
  if (!expired || !revocations) base::log_warning("gateway_housekeeping_failed");
}

}  // namespace countersign::gateway

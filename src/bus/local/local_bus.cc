#include "bus/local/local_bus.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/log.h"
#include "bus/bus_metrics.h"
#include "bus/gap_listener.h"
#include "bus/handler_slot.h"
#include "bus/local/local_leases.h"
#include "bus/rules.h"

namespace countersign::bus {
namespace {

/// Who listens to what; shared with the subscriptions, which may outlive the bus.
class Subscribers {
 public:
  using Slots = std::vector<std::shared_ptr<HandlerSlot>>;

  std::shared_ptr<const Slots> find(const std::string& subject) const {
    const std::shared_lock lock(mutex_);
    const auto found = slots_.find(subject);
    return found == slots_.end() ? nullptr : found->second;
  }

  void add(const std::string& subject, const std::shared_ptr<HandlerSlot>& slot) {
    const std::unique_lock lock(mutex_);
    auto& slots = slots_[subject];
    auto longer = slots ? std::make_shared<Slots>(*slots) : std::make_shared<Slots>();
    longer->push_back(slot);
    slots = std::move(longer);
  }

  void remove(const std::string& subject, const std::shared_ptr<HandlerSlot>& slot) {
    const std::unique_lock lock(mutex_);
    const auto found = slots_.find(subject);
    if (found == slots_.end()) return;
    auto shorter = std::make_shared<Slots>(*found->second);
    std::erase(*shorter, slot);
    if (shorter->empty()) {
      slots_.erase(found);
    } else {
      found->second = std::move(shorter);
    }
  }

 private:
  mutable std::shared_mutex mutex_;
  /// The lists never change, so that publishers use them without the lock.
  std::unordered_map<std::string, std::shared_ptr<const Slots>> slots_;
};

class LocalSubscription final : public Subscription {
 public:
  LocalSubscription(std::shared_ptr<Subscribers> subscribers, std::string subject, Handler handler)
      : subscribers_(std::move(subscribers)),
        subject_(std::move(subject)),
        slot_(std::make_shared<HandlerSlot>(std::move(handler))) {
    subscribers_->add(subject_, slot_);
  }
  ~LocalSubscription() override {
    subscribers_->remove(subject_, slot_);
    slot_->close();
  }

 private:
  const std::shared_ptr<Subscribers> subscribers_;
  const std::string subject_;
  const std::shared_ptr<HandlerSlot> slot_;
};

class LocalBus final : public Bus {
 public:
  LocalBus(const base::Clock& clock, base::Metrics& metrics) : clock_(clock), metrics_(metrics) {
    metrics_.connected.set(1);
    metrics_.nodes.set(1);
  }

  Result<void> publish(std::string_view subject, std::string payload) override {
    if (auto good = check_publication(subject, payload); !good) return good;
    metrics_.published.add();
    const auto slots = subscribers_->find(std::string(subject));
    if (!slots) return {};
    const auto shared = std::make_shared<const std::string>(std::move(payload));
    bool dropped = false;
    for (const auto& slot : *slots) {
      if (slot->deliver(shared)) {
        metrics_.received.add();
      } else {
        dropped = true;
      }
    }
    if (dropped) {
      metrics_.gaps_slow.add();
      base::log_warning("bus_gap", {{"reason", "slow"}});
      gap_.call();
    }
    return {};
  }

  Result<std::unique_ptr<Subscription>> subscribe(std::string_view subject,
                                                  Handler handler) override {
    if (!is_subject(subject)) return fail(ErrorCode::kBadRequest, "this is no subject");
    return std::make_unique<LocalSubscription>(subscribers_, std::string(subject),
                                               std::move(handler));
  }

  void flush(std::function<void(Result<void>)> done) override { done({}); }
  void on_gap(std::function<void()> listener) override { gap_.set(std::move(listener)); }
  bool connected() const override { return true; }

  Result<std::unique_ptr<Leases>> leases(std::string_view bucket,
                                         std::chrono::milliseconds time_to_live) override {
    if (const auto good = check_bucket(bucket, time_to_live); !good) return good.failure();
    const std::lock_guard lock(buckets_mutex_);
    auto& opened = buckets_[std::string(bucket)];
    if (!opened) opened = std::make_shared<LocalBucket>(clock_);
    opened->set_time_to_live(time_to_live);
    return make_local_leases(opened);
  }

 private:
  const base::Clock& clock_;
  BusMetrics metrics_;
  GapListener gap_;
  const std::shared_ptr<Subscribers> subscribers_ = std::make_shared<Subscribers>();
  std::mutex buckets_mutex_;
  std::map<std::string, std::shared_ptr<LocalBucket>> buckets_;
};

}  // namespace

std::unique_ptr<Bus> make_local_bus(const base::Clock& clock, base::Metrics& metrics) {
  return std::make_unique<LocalBus>(clock, metrics);
}

}  // namespace countersign::bus

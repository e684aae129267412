#include "gateway/node_lease.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "base/encoding.h"
#include "base/log.h"

namespace countersign::gateway {
namespace {

constexpr std::string_view kBucket = "nodes";

}  // namespace

NodeLease::NodeLease(NodeLeaseOptions options, bus::Bus& bus, NodeListener& listener,
                     const base::Clock& clock)
    : options_(std::move(options)),
      key_(base::hex_encode(base::as_bytes(options_.node))),
      bus_(bus),
      listener_(listener),
      clock_(clock) {}

NodeLease::~NodeLease() { stop(); }

void NodeLease::start() {
  thread_ = std::thread([this] { follow(); });
}

void NodeLease::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  release();
}

void NodeLease::follow() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const base::SteadyTime next = step();
    lock.lock();
    wake_.wait_for(lock, next - clock_.steady(), [this] { return stopping_; });
  }
}

base::SteadyTime NodeLease::step() {
  const base::SteadyTime began = clock_.steady();
  Result<void> outcome;
  if (!revision_ || renew_at_ <= began) {
    outcome = hold();
    if (outcome) renew_at_ = began + options_.renew_interval;
  }
  if (outcome) outcome = read();
  const bool lost = !outcome && !bus_lost_;
  const bool back = outcome && bus_lost_;
  bus_lost_ = !outcome;
  if (back) distrust_list();
  {
    const std::lock_guard lock(listed_mutex_);
    const bool known = outcome && settled_at_ <= clock_.steady();
    listed_ = known ? std::optional(others_) : std::nullopt;
  }
  if (lost) {
    base::log_warning("node_lease_failed",
                      {{"reason", error_name(outcome.code())}, {"detail", outcome.error().detail}});
    listener_.on_bus_lost();
  }
  if (back) {
    base::log_info("node_lease_recovered");
    listener_.on_bus_back();
  }
  return began + (outcome && revision_ ? options_.read_interval : options_.retry_interval);
}

std::optional<std::set<std::string>> NodeLease::others() const {
  const std::lock_guard lock(listed_mutex_);
  return listed_;
}

// Success also if the key is held by somebody else: then it is tried again soon.
Result<void> NodeLease::hold() {
  if (!leases_) {
    auto opened = bus_.leases(kBucket, options_.time_to_live);
    if (!opened) return opened.failure();
    leases_ = std::move(*opened);
  }
  if (revision_) {
    const auto renewed = leases_->renew(key_, options_.node, *revision_);
    if (renewed) {
      revision_ = *renewed;
      return {};
    }
    if (renewed.code() != ErrorCode::kAbsent) return renewed.failure();
    revision_.reset();
    distrust_list();
    base::log_warning("node_lease_lost", {{"node", options_.node}});
  }
  const auto acquired = leases_->acquire(key_, options_.node);
  if (acquired) {
    revision_ = *acquired;
    name_taken_ = false;
    return {};
  }
  // It may be our own, from a call whose answer was lost: it stays listed, and ends by itself.
  if (acquired.code() != ErrorCode::kAlreadyExists) return acquired.failure();
  if (!std::exchange(name_taken_, true)) {
    base::log_warning("node_lease_taken", {{"node", options_.node}});
  }
  return {};
}

void NodeLease::distrust_list() { settled_at_ = clock_.steady() + options_.settling; }

Result<void> NodeLease::read() {
  const auto listed = leases_->list();
  if (!listed) return listed.failure();
  if (revision_ && !listed->contains(key_)) {
    // Gone, or the server that we read lags behind: the next step's renewal shows which.
    renew_at_ = base::SteadyTime::min();
    distrust_list();
  }
  std::set<std::string> others;
  for (const auto& [key, node] : *listed) {
    if (key != key_) others.insert(node);
  }
  std::vector<std::string> back;
  std::vector<std::string> lost;
  std::ranges::set_difference(others, others_, std::back_inserter(back));
  std::ranges::set_difference(others_, others, std::back_inserter(lost));
  others_ = std::move(others);
  live_.store(others_.size() + 1, std::memory_order_relaxed);
  for (const std::string& node : back) listener_.on_node_back(node);
  for (const std::string& node : lost) {
    base::log_info("node_gone", {{"node", node}});
    listener_.on_node_lost(node);
  }
  return {};
}

void NodeLease::release() {
  if (!revision_) return;
  const auto released = leases_->release(key_, *revision_);
  revision_.reset();
  if (!released) {
    base::log_info("node_lease_left", {{"detail", released.error().detail}});  // it ends by itself
  }
}

}  // namespace countersign::gateway

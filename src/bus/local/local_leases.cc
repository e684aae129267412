#include "bus/local/local_leases.h"

#include <utility>

#include "bus/rules.h"

namespace countersign::bus {
namespace {

class LocalLeases final : public Leases {
 public:
  explicit LocalLeases(std::shared_ptr<LocalBucket> bucket) : bucket_(std::move(bucket)) {}

  Result<std::uint64_t> acquire(std::string_view key, std::string_view value) override {
    if (const auto good = check_key(key); !good) return good.failure();
    return bucket_->acquire(key, value);
  }
  Result<std::uint64_t> renew(std::string_view key, std::string_view value,
                              std::uint64_t revision) override {
    if (const auto good = check_key(key); !good) return good.failure();
    return bucket_->renew(key, value, revision);
  }
  Result<void> release(std::string_view key, std::uint64_t revision) override {
    if (auto good = check_key(key); !good) return good;
    bucket_->release(key, revision);
    return {};
  }
  Result<std::map<std::string, std::string>> list() override { return bucket_->list(); }

 private:
  const std::shared_ptr<LocalBucket> bucket_;
};

}  // namespace

void LocalBucket::set_time_to_live(std::chrono::milliseconds time_to_live) {
  const std::lock_guard lock(mutex_);
  time_to_live_ = time_to_live;
}

base::SteadyTime LocalBucket::sweep() {
  const auto now = clock_.steady();
  std::erase_if(leases_,
                [&](const auto& row) { return now >= row.second.renewed + time_to_live_; });
  return now;
}

Result<std::uint64_t> LocalBucket::acquire(std::string_view key, std::string_view value) {
  const std::lock_guard lock(mutex_);
  const auto now = sweep();
  const auto [row, fresh] = leases_.try_emplace(std::string(key));
  if (!fresh) return fail(ErrorCode::kAlreadyExists, "the lease is held");
  row->second = {std::string(value), ++last_revision_, now};
  return last_revision_;
}

Result<std::uint64_t> LocalBucket::renew(std::string_view key, std::string_view value,
                                         std::uint64_t revision) {
  const std::lock_guard lock(mutex_);
  const auto now = sweep();
  const auto row = leases_.find(key);
  if (row == leases_.end() || row->second.revision != revision) {
    return fail(ErrorCode::kAbsent, "the lease has ended");
  }
  row->second = {std::string(value), ++last_revision_, now};
  return last_revision_;
}

void LocalBucket::release(std::string_view key, std::uint64_t revision) {
  const std::lock_guard lock(mutex_);
  sweep();
  const auto row = leases_.find(key);
  if (row != leases_.end() && row->second.revision == revision) leases_.erase(row);
}

std::map<std::string, std::string> LocalBucket::list() {
  const std::lock_guard lock(mutex_);
  sweep();
  std::map<std::string, std::string> held;
  for (const auto& [key, lease] : leases_) held.emplace(key, lease.value);
  return held;
}

std::unique_ptr<Leases> make_local_leases(std::shared_ptr<LocalBucket> bucket) {
  return std::make_unique<LocalLeases>(std::move(bucket));
}

}  // namespace countersign::bus

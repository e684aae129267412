#include "net/connection_limits.h"

namespace countersign::net {

Admission::Admission(Admission&& other) noexcept { *this = std::move(other); }

Admission& Admission::operator=(Admission&& other) noexcept {
  if (this == &other) return *this;
  release();
  limits_ = std::exchange(other.limits_, nullptr);
  key_ = other.key_;
  kind_ = std::exchange(other.kind_, Kind::kNone);
  counts_address_ = other.counts_address_;
  counts_total_ = other.counts_total_;
  return *this;
}

void Admission::release() {
  if (limits_ != nullptr && kind_ != Kind::kNone) limits_->give_back(*this);
  limits_ = nullptr;
  kind_ = Kind::kNone;
}

std::size_t ConnectionLimits::Hash::operator()(const Admission::Key& key) const noexcept {
  std::uint64_t z = (key.value ^ seed) + (key.is_v4 ? 0x9e3779b97f4a7c15u : 0);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<std::size_t>(z ^ (z >> 31));
}

Admission::Key ConnectionLimits::key_of(const IpAddress& address) {
  Admission::Key key;
  key.is_v4 = address.is_v4;
  for (std::size_t i = 0; i < (address.is_v4 ? 4u : 8u); ++i) {
    key.value = key.value << 8 | address.bytes[i];
  }
  return key;
}

bool ConnectionLimits::count_address(const Admission::Key& key) {
  auto& count = counts_[key];
  if (count >= per_address_) {
    if (count == 0) counts_.erase(key);
    return false;
  }
  ++count;
  return true;
}

Admission ConnectionLimits::admit(const IpAddress& address, bool exempt) {
  Admission admission;
  admission.key_ = key_of(address);
  admission.counts_total_ = true;
  const std::lock_guard lock(mutex_);
  if (served_ >= total_) {
    admission.kind_ = Admission::Kind::kTotalReached;
  } else if (!exempt && !count_address(admission.key_)) {
    admission.kind_ = Admission::Kind::kAddressReached;
  } else {
    admission.kind_ = Admission::Kind::kServed;
    admission.counts_address_ = !exempt;
    ++served_;
  }
  if (admission.refused()) {
    if (refusals_ >= kMaxRefusals) {
      admission.kind_ = Admission::Kind::kNone;
      return admission;
    }
    ++refusals_;
  }
  admission.limits_ = this;
  open_.fetch_add(1, std::memory_order_relaxed);
  return admission;
}

bool ConnectionLimits::count_client(Admission& admission, const IpAddress& address) {
  if (admission.counts_address_) return true;
  const Admission::Key key = key_of(address);
  const std::lock_guard lock(mutex_);
  if (!count_address(key)) return false;
  admission.key_ = key;
  admission.counts_address_ = true;
  return true;
}

void ConnectionLimits::give_back(const Admission& admission) {
  const std::lock_guard lock(mutex_);
  if (admission.counts_address_) {
    const auto found = counts_.find(admission.key_);
    if (found != counts_.end() && --found->second == 0) counts_.erase(found);
  }
  if (!admission.counts_total_) return;
  if (admission.refused()) {
    --refusals_;
  } else {
    --served_;
  }
  if (open_.fetch_sub(1, std::memory_order_relaxed) == 1) none_left_.notify_all();
}

bool ConnectionLimits::wait_until_none(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  return none_left_.wait_for(lock, limit, [&] { return open_.load() == 0; });
}

}  // namespace countersign::net

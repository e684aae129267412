#include "gateway/classic/receipt_book.h"

#include <algorithm>

namespace countersign::gateway::classic {
namespace {

// How often, in new devices, idle ones are looked for.
constexpr std::size_t kForgetEvery = 256;

}  // namespace

ReceiptBook::Device* ReceiptBook::find(const base::InstanceId& instance, base::SteadyTime now) {
  const auto found = devices_.find(instance);
  if (found == devices_.end()) return nullptr;
  found->second.heard = now;
  return &found->second;
}

bool ReceiptBook::knows(const base::InstanceId& instance) {
  const std::lock_guard lock(mutex_);
  return devices_.contains(instance);
}

void ReceiptBook::forget_idle(base::SteadyTime now) {
  std::erase_if(devices_,
                [&](const auto& row) { return now - row.second.heard > options_.forget_after; });
}

void ReceiptBook::add_waiting(Device& device, const Unreceipted& entry,
                              base::SteadyTime now) const {
  if (device.waiting.size() >= options_.max_waiting) device.waiting.pop_front();
  device.waiting.push_back({entry, now});
}

void ReceiptBook::open(const base::InstanceId& instance, std::string_view epoch,
                       std::int64_t cursor, const LogReader::Stretch& stretch,
                       base::SteadyTime now) {
  const std::lock_guard lock(mutex_);
  if (++opened_ % kForgetEvery == 0) forget_idle(now);
  Device* const known = find(instance, now);
  if (known != nullptr && known->epoch == epoch) return;
  Device device;
  device.epoch = epoch;
  device.stored = device.polled = device.handled = cursor;
  device.known = std::max(cursor, stretch.until);
  device.heard = device.moved = now;
  for (const Unreceipted& entry : stretch.unreceipted) add_waiting(device, entry, now);
  devices_[instance] = std::move(device);
}

std::optional<std::int64_t> ReceiptBook::known_until(const base::InstanceId& instance) {
  const std::lock_guard lock(mutex_);
  const auto found = devices_.find(instance);
  if (found == devices_.end()) return std::nullopt;
  return found->second.known;
}

void ReceiptBook::add(const base::InstanceId& instance, const LogReader::Stretch& stretch,
                      base::SteadyTime now) {
  delivered(instance, stretch.unreceipted, stretch.until, now);
}

void ReceiptBook::delivered(const base::InstanceId& instance,
                            const std::vector<Unreceipted>& unreceipted, std::int64_t offset,
                            base::SteadyTime now) {
  const std::lock_guard lock(mutex_);
  Device* const device = find(instance, now);
  if (device == nullptr) return;
  for (const Unreceipted& entry : unreceipted) {
    if (entry.offset > device->known) {
      add_waiting(*device, entry, now);
      continue;
    }
    const auto waiting = std::find_if(device->waiting.begin(), device->waiting.end(),
                                      [&](const Waiting& row) { return row.entry == entry; });
    if (waiting != device->waiting.end()) waiting->since = now;
  }
  device->known = std::max(device->known, offset);
}

// The first entry that waits holds the cursor below it.
std::int64_t ReceiptBook::reach(const Device& device) {
  const std::int64_t got = std::max(device.polled, device.handled);
  if (device.waiting.empty()) return got;
  return std::min(got, device.waiting.front().entry.offset - 1);
}

std::optional<CursorMove> ReceiptBook::move(Device& device, base::SteadyTime now) {
  device.stored = reach(device);
  device.moved = now;
  return CursorMove{device.epoch, device.stored};
}

std::optional<CursorMove> ReceiptBook::polled(const base::InstanceId& instance, std::int64_t offset,
                                              base::SteadyTime now) {
  const std::lock_guard lock(mutex_);
  Device* const device = find(instance, now);
  if (device == nullptr) return std::nullopt;
  device->polled = std::max(device->polled, offset);
  while (!device->waiting.empty() && device->waiting.front().entry.offset <= device->polled &&
         now - device->waiting.front().since >= options_.patience) {
    device->waiting.pop_front();
  }
  const std::int64_t behind = reach(*device) - device->stored;
  const bool due = behind >= options_.write_behind || now - device->moved >= options_.write_after;
  if (behind <= 0 || !due) return std::nullopt;
  return move(*device, now);
}

ReceiptBook::Noted ReceiptBook::receipt(const base::InstanceId& instance, const Identity& sender,
                                        std::string_view session, base::SteadyTime now) {
  const std::lock_guard lock(mutex_);
  Device* const device = find(instance, now);
  if (device == nullptr) return {};
  const auto row =
      std::find_if(device->waiting.begin(), device->waiting.end(), [&](const Waiting& waiting) {
        return waiting.entry.session == session && waiting.entry.sender == sender;
      });
  if (row == device->waiting.end()) return {};
  device->handled = std::max(device->handled, row->entry.offset);
  device->waiting.erase(row);
  Noted noted{true, std::nullopt};
  if (reach(*device) > device->stored) noted.move = move(*device, now);
  return noted;
}

void ReceiptBook::forget(const base::InstanceId& instance) {
  const std::lock_guard lock(mutex_);
  devices_.erase(instance);
}

}  // namespace countersign::gateway::classic

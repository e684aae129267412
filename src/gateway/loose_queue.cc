#include "gateway/loose_queue.h"

#include <algorithm>
#include <utility>

namespace countersign::gateway {

void LooseQueue::put(Kind kind, std::string_view key, std::string push, base::SteadyTime now) {
  const auto waiting = std::ranges::find_if(
      items_, [&](const Item& item) { return item.kind == kind && item.key == key; });
  if (waiting != items_.end()) {
    // It keeps its place, so that a key with much news does not always go to the end.
    bytes_ -= waiting->size();
    waiting->push = std::move(push);
    waiting->since = now;
    bytes_ += waiting->size();
  } else {
    items_.push_back({kind, std::string(key), std::move(push), now});
    bytes_ += items_.back().size();
  }
  while (bytes_ > limits_.max_bytes) {
    if (drop_oldest(Kind::kTyping)) continue;
    if (drop_oldest(Kind::kPresence)) {
      lost_presence_ = true;
      continue;
    }
    drop_oldest(Kind::kReceipt);
  }
}

std::optional<std::string> LooseQueue::next(std::size_t queued, base::SteadyTime now) {
  if (!has_room(queued)) return std::nullopt;
  const auto item = std::ranges::find_if(items_, [&](const Item& candidate) {
    return candidate.kind != Kind::kTyping || now - candidate.since < limits_.typing_life;
  });
  std::optional<std::string> push;
  if (item != items_.end()) push = std::move(item->push);
  const auto end = item == items_.end() ? item : item + 1;
  items_.erase(items_.begin(), end);  // with the old typing before it
  bytes_ = 0;
  for (const Item& left : items_) bytes_ += left.size();
  if (items_.empty()) items_ = {};
  return push;
}

bool LooseQueue::take_lost_presence(std::size_t queued) {
  if (!items_.empty() || !has_room(queued)) return false;
  return std::exchange(lost_presence_, false);
}

bool LooseQueue::drop_oldest(Kind kind) {
  const auto oldest = std::ranges::find(items_, kind, &Item::kind);
  if (oldest == items_.end()) return false;
  bytes_ -= oldest->size();
  items_.erase(oldest);
  return true;
}

}  // namespace countersign::gateway

#include "gateway/presence_words.h"

#include <algorithm>

namespace countersign::gateway {

PresenceState::State state_of_devices(std::uint32_t devices, std::uint32_t away) {
  if (devices == 0) return PresenceState::State::kOffline;
  return devices == away ? PresenceState::State::kAway : PresenceState::State::kOnline;
}

bool UserOrder::operator()(const storage::UserKey& a, const storage::UserKey& b) const {
  if (a.identity.type != b.identity.type) return a.identity.type < b.identity.type;
  const int endpoint = a.identity.endpoint.compare(b.identity.endpoint);
  return endpoint != 0 ? endpoint < 0 : a.application < b.application;
}

void PresenceWords::take(const protocol::PresenceEvent& event) {
  auto word = std::ranges::find(words_, event.node, &Word::node);
  if (word == words_.end()) {
    if (words_.size() >= kMaxNodes) return;
    word = words_.insert(word, {event.node});
  }
  if (event.version < word->version) return;
  word->version = event.version;
  word->devices = event.devices;
  word->away = std::min(event.away, event.devices);
  word->confirmed = true;
}

void PresenceWords::doubt() {
  for (Word& word : words_) word.confirmed = false;
}

bool PresenceWords::confirmed() const { return std::ranges::all_of(words_, &Word::confirmed); }

void PresenceWords::forget_doubted() {
  std::erase_if(words_, [](const Word& word) { return !word.confirmed; });
}

bool PresenceWords::forget(const std::string& node) {
  const auto word = std::ranges::find(words_, node, &Word::node);
  if (word == words_.end()) return false;
  const bool was_there = word->devices > 0;
  words_.erase(word);
  return was_there;
}

std::pair<std::uint32_t, std::uint32_t> PresenceWords::devices() const {
  std::pair<std::uint32_t, std::uint32_t> sum{0, 0};
  for (const Word& word : words_) {
    sum.first += word.devices;
    sum.second += word.away;
  }
  return sum;
}

void SeenUsers::note(const storage::UserKey& user, base::SystemTime seen) {
  if (max_users_ == 0) return;
  const auto [row, is_new] = rows_.try_emplace(user);
  row->second.seen = seen;
  if (!is_new) {
    order_.splice(order_.end(), order_, row->second.place);
    return;
  }
  row->second.place = order_.insert(order_.end(), &row->first);
  if (rows_.size() <= max_users_) return;
  rows_.erase(rows_.find(*order_.front()));
  order_.pop_front();
}

std::optional<base::SystemTime> SeenUsers::find(const storage::UserKey& user) const {
  const auto row = rows_.find(user);
  if (row == rows_.end()) return std::nullopt;
  return row->second.seen;
}

}  // namespace countersign::gateway

#include "gateway/audience_cache.h"

#include <utility>

namespace countersign::gateway {

std::string AudienceCache::key_of(std::string_view application, std::string_view conversation) {
  std::string key(application);
  key.push_back('\0');
  key.append(conversation);
  return key;
}

Audience AudienceCache::find(std::string_view application, std::string_view conversation,
                             base::SteadyTime now) {
  const std::string key = key_of(application, conversation);
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  const auto row = found->second;
  if (now >= row->until) {
    by_key_.erase(found);
    rows_.erase(row);
    return nullptr;
  }
  rows_.splice(rows_.begin(), rows_, row);
  return row->audience;
}

void AudienceCache::put(std::string_view application, std::string_view conversation,
                        Audience audience, base::SteadyTime now) {
  std::string key = key_of(application, conversation);
  const std::lock_guard lock(mutex_);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    const auto row = found->second;
    by_key_.erase(found);
    rows_.erase(row);
  }
  rows_.push_front({std::move(key), std::move(audience), now + options_.life});
  by_key_.emplace(rows_.front().key, rows_.begin());
  if (rows_.size() <= options_.conversations) return;
  by_key_.erase(rows_.back().key);
  rows_.pop_back();
}

}  // namespace countersign::gateway

#include "sessions/session_cache.h"

#include <algorithm>

namespace countersign::sessions {

SessionCache::SessionCache(const base::Clock& clock, std::chrono::milliseconds validity,
                           std::size_t capacity)
    : clock_(clock), validity_(validity), stripe_capacity_((capacity + kStripes - 1) / kStripes) {}

SessionCache::View SessionCache::find(std::string_view id_hash) const {
  const base::SteadyTime now = clock_.steady();
  Stripe& in = stripe(id_hash);
  const std::lock_guard lock(in.mutex);
  const auto entry = in.entries.find(id_hash);
  if (entry == in.entries.end() || now >= entry->second.good_until) return nullptr;
  return entry->second.view;
}

SessionCache::ReadMark SessionCache::begin_read() const {
  return {clock_.steady(), generation_.load()};
}

void SessionCache::insert(const ReadMark& mark, View view) {
  const base::SteadyTime now = clock_.steady();
  const base::SteadyTime good_until = mark.began + validity_;
  if (now >= good_until || stripe_capacity_ == 0) return;
  const std::string& id_hash = view->session.id_hash;
  Stripe& in = stripe(id_hash);
  {
    const std::lock_guard lock(in.mutex);
    // Entries expire in about the order they came: drop from the front what is over, or too much.
    while (!in.order.empty() &&
           (now >= in.order.front().first || in.entries.size() >= stripe_capacity_)) {
      const auto old = in.entries.find(in.order.front().second);
      if (old != in.entries.end() && old->second.good_until <= in.order.front().first) {
        forget_handle(*old->second.view);
        in.entries.erase(old);
      }
      in.order.pop_front();
    }
    in.order.emplace_back(good_until, id_hash);
    in.entries.insert_or_assign(id_hash, Entry{view, good_until});
    remember_handle(*view);
  }
  // An invalidation that came since the read began either sees the entry or is seen here.
  if (generation_.load() != mark.generation) erase(id_hash);
}

void SessionCache::remove(std::string_view id_hash) {
  ++generation_;
  erase(id_hash);
}

void SessionCache::remove(const base::SessionHandle& handle) {
  ++generation_;
  std::vector<std::string> id_hashes;
  {
    HandleStripe& in = handle_stripe(handle.text());
    const std::lock_guard lock(in.mutex);
    const auto found = in.id_hashes.find(handle.text());
    if (found == in.id_hashes.end()) return;
    id_hashes = found->second;
  }
  for (const std::string& id_hash : id_hashes) erase(id_hash);
}

void SessionCache::clear() {
  ++generation_;
  for (Stripe& in : stripes_) {
    const std::lock_guard lock(in.mutex);
    for (const auto& [id_hash, entry] : in.entries) forget_handle(*entry.view);
    in.entries.clear();
    in.order.clear();
  }
}

std::size_t SessionCache::size() const {
  std::size_t size = 0;
  for (Stripe& in : stripes_) {
    const std::lock_guard lock(in.mutex);
    size += in.entries.size();
  }
  return size;
}

SessionCache::Stripe& SessionCache::stripe(std::string_view id_hash) const {
  // The key is a SHA-256: its bytes are as good as a hash.
  return stripes_[id_hash.empty() ? 0 : static_cast<unsigned char>(id_hash[0]) % kStripes];
}

SessionCache::HandleStripe& SessionCache::handle_stripe(std::string_view handle) {
  return handles_[std::hash<std::string_view>()(handle) % kStripes];
}

// Lock order of these two: a stripe, then a handle stripe; never the other way round.

void SessionCache::remember_handle(const storage::SessionView& view) {
  HandleStripe& in = handle_stripe(view.session.handle.text());
  const std::lock_guard lock(in.mutex);
  std::vector<std::string>& ids = in.id_hashes[view.session.handle.text()];
  if (std::find(ids.begin(), ids.end(), view.session.id_hash) == ids.end()) {
    ids.push_back(view.session.id_hash);
  }
}

void SessionCache::forget_handle(const storage::SessionView& view) {
  HandleStripe& in = handle_stripe(view.session.handle.text());
  const std::lock_guard lock(in.mutex);
  const auto found = in.id_hashes.find(view.session.handle.text());
  if (found == in.id_hashes.end()) return;
  std::erase(found->second, view.session.id_hash);
  if (found->second.empty()) in.id_hashes.erase(found);
}

void SessionCache::erase(std::string_view id_hash) {
  Stripe& in = stripe(id_hash);
  const std::lock_guard lock(in.mutex);
  const auto entry = in.entries.find(id_hash);
  if (entry == in.entries.end()) return;
  forget_handle(*entry->second.view);
  in.entries.erase(entry);
}

}  // namespace countersign::sessions

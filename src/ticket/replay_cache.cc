#include "countersign/replay_cache.h"

#include <cstring>
#include <mutex>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ticket/digest.h"

namespace countersign {
namespace {

// Presenters are kept as digests: a long name costs no more memory than a short one.
using Presenter = std::array<std::byte, 32>;

struct IdHash {
  // Identifiers are MACs and digests already; their first bytes are a good hash.
  std::size_t operator()(const ReplayId& id) const noexcept {
    std::size_t hash = 0;
    std::memcpy(&hash, id.data(), sizeof(hash));
    return hash;
  }
};

struct Seen {
  bool named = false;
  Presenter presenter{};
};

struct Leaves {
  Instant until;
  ReplayId id;
};
struct LaterFirst {
  bool operator()(const Leaves& a, const Leaves& b) const noexcept { return a.until > b.until; }
};

}  // namespace

struct BoundedReplayCache::State {
  explicit State(std::size_t limit) : capacity(limit) {}

  const std::size_t capacity;
  mutable std::mutex mutex;
  std::unordered_map<ReplayId, Seen, IdHash> seen;
  std::priority_queue<Leaves, std::vector<Leaves>, LaterFirst> leaving;
};

BoundedReplayCache::BoundedReplayCache(std::size_t capacity)
    : state_(std::make_unique<State>(capacity)) {}

BoundedReplayCache::~BoundedReplayCache() = default;

ReplayVerdict BoundedReplayCache::note(const ReplayId& id, std::string_view presenter, Instant now,
                                       Instant until) {
  const Seen current{!presenter.empty(),
                     presenter.empty() ? Presenter{} : digest<32>("SHA256", presenter)};
  const std::lock_guard lock(state_->mutex);
  while (!state_->leaving.empty() && state_->leaving.top().until <= now) {
    state_->seen.erase(state_->leaving.top().id);
    state_->leaving.pop();
  }
  if (const auto at = state_->seen.find(id); at != state_->seen.end()) {
    const Seen& first = at->second;
    const bool same = first.named && current.named && first.presenter == current.presenter;
    return same ? ReplayVerdict::kRepeat : ReplayVerdict::kReplayed;
  }
  if (state_->seen.size() >= state_->capacity) return ReplayVerdict::kFull;
  state_->seen.emplace(id, current);
  state_->leaving.push(Leaves{until, id});
  return ReplayVerdict::kFirst;
}

std::size_t BoundedReplayCache::size() const {
  const std::lock_guard lock(state_->mutex);
  return state_->seen.size();
}

}  // namespace countersign

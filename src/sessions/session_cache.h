// SessionCache: sessions that were looked up within the last second.
//
// A ticket request must not cost a read of the store. An entry is good for at most a second of
// steady clock, counted from before the read; it goes at once when this process changes the
// session, and when a revocation from another process is polled. An entry that was read before an
// invalidation and comes after it is not kept. Thread-safety: every call may be made from any
// thread; locks are striped.
#ifndef COUNTERSIGN_SESSIONS_SESSION_CACHE_H_
#define COUNTERSIGN_SESSIONS_SESSION_CACHE_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "storage/records.h"

namespace countersign::sessions {

class SessionCache {
 public:
  using View = std::shared_ptr<const storage::SessionView>;

  /// @param clock     outlives the cache.
  /// @param validity  how long an entry is good; at most 1 s is promised to people.
  /// @param capacity  entries in all; beyond it the oldest go.
  SessionCache(const base::Clock& clock, std::chrono::milliseconds validity, std::size_t capacity);

  /// The entry, or null.
  View find(std::string_view id_hash) const;

  /// Taken before the store is read; hand it to insert() with what was read.
  struct ReadMark {
    base::SteadyTime began;
    std::uint64_t generation;
  };
  ReadMark begin_read() const;
  void insert(const ReadMark& mark, View view);

  void remove(std::string_view id_hash);
  void remove(const base::SessionHandle& handle);
  void clear();

  std::size_t size() const;

 private:
  static constexpr std::size_t kStripes = 16;  // a power of two

  struct Entry {
    View view;
    base::SteadyTime good_until;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  using Map = std::unordered_map<std::string, Entry, Hash, std::equal_to<>>;
  struct Stripe {
    mutable std::mutex mutex;
    Map entries;
    std::deque<std::pair<base::SteadyTime, std::string>> order;  // by good_until; may name the gone
  };
  struct HandleStripe {
    std::mutex mutex;
    /// By handle, what is cached of the session: its id, and for a moment after it was renewed the
    /// one before, which a read that began earlier may still bring.
    std::unordered_map<std::string, std::vector<std::string>> id_hashes;
  };

  Stripe& stripe(std::string_view id_hash) const;
  HandleStripe& handle_stripe(std::string_view handle);
  void remember_handle(const storage::SessionView& view);  // the view's stripe is held
  void forget_handle(const storage::SessionView& view);
  void erase(std::string_view id_hash);

  const base::Clock& clock_;
  const std::chrono::milliseconds validity_;
  const std::size_t stripe_capacity_;
  std::atomic<std::uint64_t> generation_{0};
  mutable std::array<Stripe, kStripes> stripes_;
  std::array<HandleStripe, kStripes> handles_;
};

}  // namespace countersign::sessions

#endif  // COUNTERSIGN_SESSIONS_SESSION_CACHE_H_

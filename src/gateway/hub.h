// The hub: which connections of this process belong to which user, session and instance.
//
// Every shard has a table of its own that only its thread touches; what concerns all shards travels
// there as a posted task. A shard becomes known with its first connection, or by know().
// Thread-safety: HubShard's functions on their shard; Hub's functions from any thread. The hub must
// outlive every task of the shards: stop the shards first.
#ifndef COUNTERSIGN_GATEWAY_HUB_H_
#define COUNTERSIGN_GATEWAY_HUB_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/metrics.h"
#include "base/random.h"
#include "gateway/membership.h"
#include "gateway/revocation_poller.h"
#include "storage/records.h"

namespace countersign::gateway {

class Hub;

/// A connection, as the hub sees it.
class HubMember {
 public:
  virtual ~HubMember() = default;

  virtual const Membership& membership() const = 0;
  /// Session, user or instance has been revoked; `reason` is the row's fixed word.
  virtual void on_revoked(std::string_view reason) = 0;
  /// A newer connection of the same device is in.
  virtual void on_replaced(bool same_instance) = 0;
  virtual void on_shutdown(base::SteadyTime at, std::chrono::milliseconds retry_after) = 0;
  /// Revocations may have been missed.
  virtual void on_recheck() = 0;

 private:
  friend class HubShard;
  enum Key { kUser, kInstance, kSession, kWatched, kKeys };
  std::array<std::uint64_t, kKeys> keys_{};  // 0: not in the index
  std::uint64_t order_ = 0;                  // of announcement; 0: not announced
  std::uint32_t slot_ = 0;
};

/// The table of one shard.
class HubShard {
 public:
  explicit HubShard(Hub& hub) : hub_(hub) {}
  HubShard(const HubShard&) = delete;
  HubShard& operator=(const HubShard&) = delete;

  /// The shard is there, with or without connections.
  void know(base::Executor& shard) { executor_.store(&shard, std::memory_order_release); }
  /// A connection is open on this shard. While the hub shuts down it is told so at once.
  void add(HubMember& member, base::Executor& shard);
  /// It is gone.
  void remove(HubMember& member);

  /// Indexes the member by its membership, in place of what it was before.
  /// kLimitExceeded if it is new and its user has too many connections on this shard.
  Result<void> enrol(HubMember& member);
  /// The member also wants to hear of this session, until it enrols or leaves.
  void watch(HubMember& member, const base::SessionHandle& session);
  /// The member's client is in; older connections of its device, on all shards, are replaced.
  void announce(HubMember& member);
  /// Takes the member out of the index; it stays counted until remove().
  void leave(HubMember& member);

  /// Announced members. May be read from any thread.
  std::size_t live() const { return live_.load(std::memory_order_relaxed); }
  std::size_t connections() const { return connections_.load(std::memory_order_relaxed); }

 private:
  friend class Hub;
  struct Newcomer;

  void set_key(HubMember& member, HubMember::Key key, std::uint64_t value);
  std::vector<HubMember*> matching(const storage::Revocation& revocation) const;
  void apply(std::span<const storage::Revocation> revocations);
  void replace_older(const Newcomer& newcomer);
  void shut_down(std::chrono::milliseconds spread);
  void recheck();
  std::vector<base::SessionHandle> sessions() const;

  Hub& hub_;
  std::atomic<base::Executor*> executor_{nullptr};
  std::atomic<std::size_t> connections_{0};
  std::atomic<std::size_t> live_{0};
  std::vector<HubMember*> members_;
  std::unordered_multimap<std::uint64_t, HubMember*> by_key_;
};

struct HubOptions {
  std::size_t shards = 1;
  /// Of one user on one shard. The store bounds a user's instances exactly and for all nodes; this
  /// bounds what one process spends on them before the store has answered.
  std::size_t max_connections_per_user = 200;
  /// Clients that are sent away come back after 0 to this long.
  std::chrono::milliseconds shutdown_return{5'000};
};

class Hub final : public RevocationListener {
 public:
  /// All references must outlive the hub.
  Hub(HubOptions options, const base::Clock& clock, base::Random& random, base::Metrics& metrics);
  ~Hub() override;

  HubShard& shard(std::size_t index) { return *shards_[index]; }
  std::size_t shard_count() const { return shards_.size(); }

  /// Ends what the rows name, on every shard.
  void on_revocations(std::span<const storage::Revocation> revocations) override;
  /// Closes every connection, so that each comes back through the checks.
  void on_gap() override;

  /// Sends every connection away, each at a random moment within `spread`; returns at once.
  void shut_down(std::chrono::milliseconds spread);
  bool shutting_down() const { return shutting_down_.load(std::memory_order_acquire); }

  /// Hands over the sessions of the connected instances: `take` runs once on every shard that has
  /// any, each session once per shard.
  void live_sessions(std::function<void(std::vector<base::SessionHandle>)> take);

  /// Runs `task` once on every shard that is known, with its index.
  void on_shards(const std::function<void(std::size_t shard)>& task);

  /// Open connections, and those of them whose client is in.
  std::size_t connections() const;
  std::size_t live() const;

 private:
  friend class HubShard;
  void on_every_shard(const std::function<void(HubShard&)>& task, const HubShard* except = nullptr);
  std::uint64_t hash(std::initializer_list<std::string_view> parts) const;
  std::uint64_t user_key(std::string_view application, IdentityType type,
                         std::string_view endpoint) const;

  const HubOptions options_;
  const base::Clock& clock_;
  base::Random& random_;
  base::Gauge& connections_gauge_;
  base::Gauge& live_gauge_;
  base::Counter& revoked_;
  std::array<std::uint8_t, 16> hash_key_{};
  std::atomic<std::uint64_t> next_order_{1};
  std::atomic<bool> shutting_down_{false};
  std::vector<std::unique_ptr<HubShard>> shards_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_HUB_H_

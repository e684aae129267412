// ConnectionLimits: how many connections there may be, in all and of one address.
//
// An IPv6 address counts as its /64: whoever has one address has them all.
// Thread-safety: every function may be called from any thread.
#ifndef COUNTERSIGN_NET_CONNECTION_LIMITS_H_
#define COUNTERSIGN_NET_CONNECTION_LIMITS_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "net/address.h"

namespace countersign::net {

class ConnectionLimits;

/// The right to one connection; gives itself back when destroyed.
class Admission {
 public:
  enum class Kind : std::uint8_t {
    kNone,
    kServed,          ///< within the limits
    kTotalReached,    ///< to be refused politely: too many connections in all
    kAddressReached,  ///< to be refused politely: too many from this address
  };

  Admission() = default;
  Admission(Admission&& other) noexcept;
  Admission& operator=(Admission&& other) noexcept;
  ~Admission() { release(); }

  Kind kind() const { return kind_; }
  bool refused() const { return kind_ == Kind::kTotalReached || kind_ == Kind::kAddressReached; }
  void release();

 private:
  friend class ConnectionLimits;
  struct Key {
    std::uint64_t value = 0;  ///< the IPv4 address or the first 64 bits of the IPv6 address
    bool is_v4 = true;
    friend bool operator==(const Key&, const Key&) = default;
  };

  ConnectionLimits* limits_ = nullptr;
  Key key_;
  Kind kind_ = Kind::kNone;
  bool counts_address_ = false;
  bool counts_total_ = false;
};

class ConnectionLimits {
 public:
  /// Connections over the limits that may be open to be told so; past them there is no answer.
  static constexpr std::size_t kMaxRefusals = 64;

  /// `seed` makes the places of addresses in the table unpredictable.
  ConnectionLimits(std::size_t total, std::size_t per_address, std::uint64_t seed)
      : total_(total), per_address_(per_address), counts_(16, Hash{seed}) {}

  /// Counts a new connection from `address`. Kind kNone: close it without a word.
  /// @param exempt  a trusted proxy, behind which are many people: no limit per address
  Admission admit(const IpAddress& address, bool exempt);
  /// Lets an exempt admission count for `address` from now on: the client behind a trusted proxy.
  /// False if that address has reached its limit.
  [[nodiscard]] bool count_client(Admission& admission, const IpAddress& address);

  /// Connections now open, refusals included.
  std::size_t open() const { return open_.load(std::memory_order_relaxed); }
  /// Waits until none is open. False if `limit` passed first.
  bool wait_until_none(std::chrono::milliseconds limit);

 private:
  friend class Admission;
  struct Hash {
    std::uint64_t seed;
    std::size_t operator()(const Admission::Key& key) const noexcept;
  };

  static Admission::Key key_of(const IpAddress& address);
  bool count_address(const Admission::Key& key);
  void give_back(const Admission& admission);

  const std::size_t total_;
  const std::size_t per_address_;
  std::atomic<std::size_t> open_{0};
  std::mutex mutex_;
  std::condition_variable none_left_;
  std::size_t served_ = 0;
  std::size_t refusals_ = 0;
  std::unordered_map<Admission::Key, std::uint32_t, Hash> counts_;
};

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_CONNECTION_LIMITS_H_

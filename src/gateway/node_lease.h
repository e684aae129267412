// The node lease: how nodes know of each other. Each holds one key in the bucket `nodes`, renewed
// every 20 s, gone 60 s after the last renewal; the value is the node's name. The list is read
// every 2 s. Whoever stops being listed has stopped, or cannot be heard: what it said about its
// users is void after a grace, which the presence table keeps.
//
// A node that cannot reach the bus knows nothing of the others, and says so once. Losing one's own
// lease costs nothing but a moment in which others think the node has gone: it is taken again.
// Thread-safety: start() and stop() from one thread; live_nodes() and others() from any. The
// listener is called on the lease's thread. Source: docs/reference/messages.md, "Presence".
#ifndef COUNTERSIGN_GATEWAY_NODE_LEASE_H_
#define COUNTERSIGN_GATEWAY_NODE_LEASE_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "countersign/result.h"

#include "base/clock.h"
#include "bus/bus.h"

namespace countersign::gateway {

/// Hears of the other nodes.
class NodeListener {
 public:
  virtual ~NodeListener() = default;
  /// The node is listed, for the first time or again.
  virtual void on_node_back(const std::string& node) = 0;
  /// It no longer is.
  virtual void on_node_lost(const std::string& node) = 0;
  /// The list could not be read; nothing is known of the others until on_bus_back().
  virtual void on_bus_lost() = 0;
  virtual void on_bus_back() = 0;
};

struct NodeLeaseOptions {
  /// This node's name; another one after every start, else the lease of the process before stands
  /// in the way until it ends. At most 100 bytes.
  std::string node;
  std::chrono::milliseconds time_to_live{60'000};
  std::chrono::milliseconds renew_interval{20'000};
  std::chrono::milliseconds read_interval{2'000};   ///< between two readings of the list
  std::chrono::milliseconds retry_interval{2'000};  ///< after a failure
  /// How long the others may take to be listed again after the leases were lost.
  std::chrono::milliseconds settling{6'000};
};

class NodeLease {
 public:
  /// References must outlive the lease.
  NodeLease(NodeLeaseOptions options, bus::Bus& bus, NodeListener& listener,
            const base::Clock& clock);
  ~NodeLease();
  NodeLease(const NodeLease&) = delete;
  NodeLease& operator=(const NodeLease&) = delete;

  /// Takes the lease and keeps it, on a thread of its own.
  void start();
  /// Ends that thread and gives the lease up. Idempotent.
  void stop();

  /// Renews the lease if that is due, and reads the list; blocks on the bus. The thread of start()
  /// calls it; tests may instead. @return when it is to be called next.
  base::SteadyTime step();
  /// Gives the lease up, so that the others need not wait for its end. Blocks on the bus.
  void release();

  /// Nodes listed at the last reading, this one included.
  std::size_t live_nodes() const { return live_.load(std::memory_order_relaxed); }
  /// The names of the other nodes at the last reading; nothing if that failed, has yet to come, or
  /// if the bus lost our lease a moment ago, and so perhaps those of the others.
  std::optional<std::set<std::string>> others() const;

 private:
  Result<void> hold();
  Result<void> read();
  /// For a while others may be missing on it.
  void distrust_list();
  void follow();

  const NodeLeaseOptions options_;
  const std::string key_;
  bus::Bus& bus_;
  NodeListener& listener_;
  const base::Clock& clock_;
  std::unique_ptr<bus::Leases> leases_;
  std::optional<std::uint64_t> revision_;  ///< of our lease, while we hold it
  base::SteadyTime renew_at_ = base::SteadyTime::min();
  base::SteadyTime settled_at_ = base::SteadyTime::min();
  std::set<std::string> others_;  ///< as they were last listed
  bool bus_lost_ = false;
  bool name_taken_ = false;
  std::atomic<std::size_t> live_{1};

  mutable std::mutex listed_mutex_;
  std::optional<std::set<std::string>> listed_;  ///< `others_` for everybody, while it is known

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_NODE_LEASE_H_

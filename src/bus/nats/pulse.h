// Pulses: how a node notices that news of another did not get through.
//
// Every node publishes a numbered pulse each second. Who hears a number that does not follow the
// last one has missed pulses, and so perhaps news: the servers were cut off from each other, or
// dropped something. A node that could not publish some of its news skips a number to say so.
// Thread-safety: each object belongs to one thread at a time.
#ifndef COUNTERSIGN_BUS_NATS_PULSE_H_
#define COUNTERSIGN_BUS_NATS_PULSE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace countersign::bus {

struct Pulse {
  std::string node;
  std::uint64_t number = 0;  ///< from 1

  std::string encode() const;
  /// nullopt for anything else.
  static std::optional<Pulse> decode(std::string_view text);
};

/// What was heard from whom.
class PulseEar {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kMaxNodes = 1024;
  /// Nodes that are heard of so soon after the start were there before: that is no loss.
  static constexpr std::chrono::seconds kAcquaintance{3};

  explicit PulseEar(Time start) : start_(start) {}

  /// @return true if something was missed before this pulse; also for a node that neither begins
  /// nor was known. Of more than kMaxNodes the one that was silent longest is forgotten.
  bool hear(const Pulse& pulse, Time now);
  /// Nodes that were heard within the last 5 s.
  std::size_t present(Time now) const;

 private:
  const Time start_;
  struct Node {
    std::uint64_t number = 0;
    std::uint64_t turn = 0;
    Time heard;
  };
  std::uint64_t turn_ = 0;
  std::unordered_map<std::string, Node> nodes_;
};

/// What this node says.
class PulseVoice {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// Numbers are skipped no oftener: each costs every node a look into the store.
  static constexpr std::chrono::seconds kSkipPause{5};

  explicit PulseVoice(std::string node) { next_.node = std::move(node); }

  /// The next pulse. `failed`: publications of this node failed since the last one that was sent.
  /// @return the pulse; skipped() tells whether it says so.
  const Pulse& next(bool failed, Time now);
  bool skipped() const { return skipped_; }

 private:
  Pulse next_;
  bool skipped_ = false;
  std::optional<Time> last_skip_;
};

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_NATS_PULSE_H_

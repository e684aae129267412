// Replay cache: remembers which tickets and tokens were presented, and by whom. The same presenter
// (a device) may show a ticket again, because a reconnecting client does; anybody else, and whoever
// does not say who they are, is refused.
//
// The verifier asks it last, after the MAC and everything else held, so that nobody can fill it
// with forgeries. Entries are keyed on decoded values (the MAC, or application and nonce), never on
// text. Source: docs/reference/ticket-format.md, "Replay".
#ifndef COUNTERSIGN_REPLAY_CACHE_H_
#define COUNTERSIGN_REPLAY_CACHE_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>

namespace countersign {

/// An instant of the verifier's clock, UTC.
using Instant = std::chrono::sys_time<std::chrono::nanoseconds>;

/// What is remembered: 32 bytes that name one ticket, token or request.
using ReplayId = std::array<std::byte, 32>;

enum class ReplayVerdict {
  kFirst,     ///< never seen; noted now
  kRepeat,    ///< the presenter who came first came again
  kReplayed,  ///< somebody else, or nobody in particular, came again
  kFull,      ///< cannot be noted, so must not be accepted
};

/// The interface; a gateway keeps its cache in the shared store.
/// Implementations must be thread-safe: of two concurrent first presentations one is kFirst.
class ReplayCache {
 public:
  virtual ~ReplayCache() = default;
  /// Notes a presentation.
  /// @param presenter  names the device; empty when the caller does not tell devices apart.
  /// @param until      from then on the ticket has expired and the entry may go.
  virtual ReplayVerdict note(const ReplayId& id, std::string_view presenter, Instant now,
                             Instant until) = 0;
};

/// Keeps at most `capacity` entries in memory (about 150 bytes each). Expired entries leave first;
/// live ones are never dropped to make room: a full cache answers kFull, because forgetting one
/// would accept a replay. Thread-safe.
class BoundedReplayCache final : public ReplayCache {
 public:
  static constexpr std::size_t kDefaultCapacity = 65536;

  explicit BoundedReplayCache(std::size_t capacity = kDefaultCapacity);
  ~BoundedReplayCache() override;

  ReplayVerdict note(const ReplayId& id, std::string_view presenter, Instant now,
                     Instant until) override;
  /// Entries held now, expired ones included until the next note().
  std::size_t size() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace countersign

#endif  // COUNTERSIGN_REPLAY_CACHE_H_

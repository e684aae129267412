// Random: where unpredictable bytes come from.
// Thread-safety: SystemRandom and SeededRandom may be used from any thread.
#ifndef COUNTERSIGN_BASE_RANDOM_H_
#define COUNTERSIGN_BASE_RANDOM_H_

#include <cstdint>
#include <mutex>
#include <span>
#include <string>

namespace countersign::base {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::uint8_t> bytes) = 0;

  /// `bytes` random bytes as base64url without padding, for tokens and ids.
  std::string token(std::size_t bytes);
  /// Uniform in [0, bound); bound > 0. Not for secrets: the bias of 2^-32 is accepted.
  std::uint32_t below(std::uint32_t bound);
};

/// The operating system's generator, through libsodium.
class SystemRandom final : public Random {
 public:
  SystemRandom();
  void fill(std::span<std::uint8_t> bytes) override;
};

/// Repeatable bytes for tests and simulations; never for secrets.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::uint8_t> bytes) override;

 private:
  std::mutex mutex_;
  std::uint64_t state_;
};

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_RANDOM_H_

// The application secret: the key that signs everything of one application. It is written as base64
// text and decoded once, strictly; text that a lenient decoder would repair is refused, because two
// programs that repair differently use two keys without noticing.
// Thread-safety: a value type; reading is thread-safe.
// Source: docs/reference/ticket-format.md, "Applications and secrets".
#ifndef COUNTERSIGN_APPLICATION_SECRET_H_
#define COUNTERSIGN_APPLICATION_SECRET_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

namespace countersign {

/// Decoded key bytes that wipe themselves. Moves only: a copy is a deliberate clone(), and there is
/// no operator to print or compare one.
class ApplicationSecret {
 public:
  static constexpr std::size_t kMinBytes = 16;
  static constexpr std::size_t kMaxBytes = 1024;

  /// Decodes the base64 text of a secret: RFC 4648 section 4, padded, canonical.
  /// @return kBadSecret if the text does not decode or gives fewer than 16 or more than 1024 bytes.
  static Result<ApplicationSecret> from_base64(std::string_view text);
  /// Takes key bytes as they are, for instance derived instance secrets.
  /// @return kBadSecret if there are fewer than 16 or more than 1024 bytes.
  static Result<ApplicationSecret> from_bytes(std::span<const std::byte> bytes);

  ApplicationSecret(ApplicationSecret&& other) noexcept;
  ApplicationSecret& operator=(ApplicationSecret&& other) noexcept;
  ApplicationSecret(const ApplicationSecret&) = delete;
  ApplicationSecret& operator=(const ApplicationSecret&) = delete;
  ~ApplicationSecret();

  ApplicationSecret clone() const;

  /// 16 hexadecimal digits that name this secret in lists and logs: a truncated MAC of a label of
  /// its own. It reveals nothing usable about a secret of at least 16 random bytes.
  std::string fingerprint() const;

  /// The key bytes themselves. One searchable word for every place that touches them.
  std::span<const std::byte> reveal() const noexcept { return bytes_; }

 private:
  explicit ApplicationSecret(std::vector<std::byte> bytes) noexcept;
  void wipe() noexcept;

  std::vector<std::byte> bytes_;
};

}  // namespace countersign

#endif  // COUNTERSIGN_APPLICATION_SECRET_H_

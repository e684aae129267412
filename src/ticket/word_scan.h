// Scanning text eight bytes at a time with plain integer arithmetic: which of eight characters is
// the first that a JSON string cannot hold as it is. Thread-safety: pure functions.
#ifndef COUNTERSIGN_TICKET_WORD_SCAN_H_
#define COUNTERSIGN_TICKET_WORD_SCAN_H_

#include <bit>
#include <cstdint>
#include <cstring>

namespace countersign {

static_assert(std::endian::native == std::endian::little, "the first byte must be the lowest");

constexpr std::uint64_t repeat_byte(std::uint8_t byte) noexcept {
  return byte * 0x0101010101010101ULL;
}

/// How many of the eight characters at `at`, counted from the first, are ASCII, not below U+0020,
/// and neither quote nor backslash: 0 to 8.
inline unsigned plain_characters(const char* at) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, at, 8);
  // A subtraction sets the top bit of each byte that is smaller than what is subtracted. A borrow
  // can disturb only bytes above one that is marked already, so that the lowest mark is always
  // right.
  const std::uint64_t control = word - repeat_byte(0x20);
  const std::uint64_t quote = (word ^ repeat_byte('"')) - repeat_byte(1);
  const std::uint64_t backslash = (word ^ repeat_byte('\\')) - repeat_byte(1);
  const std::uint64_t marks = (control | quote | backslash | word) & repeat_byte(0x80);
  return static_cast<unsigned>(std::countr_zero(marks)) / 8;
}

/// True if none of the eight characters at `at` needs an escape in canonical JSON: additionally to
/// the above, none is U+007F.
inline bool needs_no_escape(const char* at) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, at, 8);
  return plain_characters(at) == 8 && ((word + repeat_byte(1)) & repeat_byte(0x80)) == 0;
}

}  // namespace countersign

#endif  // COUNTERSIGN_TICKET_WORD_SCAN_H_

#include <cstddef>

#include "base/encoding.h"
#include "bus/bus.h"

namespace countersign::bus {
namespace {

constexpr std::size_t kMaxSubjectBytes = 255;

/// RFC 4648 section 6 in lower case, without padding.
std::string base32_encode(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
  std::string text;
  std::uint32_t bits = 0;
  int held = 0;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8) | byte;
    held += 8;
    while (held >= 5) {
      held -= 5;
      text += kAlphabet[(bits >> held) & 31];
    }
  }
  if (held > 0) text += kAlphabet[(bits << (5 - held)) & 31];
  return text;
}

}  // namespace

std::string subject_token(std::initializer_list<std::string_view> parts) {
  std::string joined;
  for (const std::string_view part : parts) {
    for (int shift = 56; shift >= 0; shift -= 8) {
      joined += static_cast<char>((static_cast<std::uint64_t>(part.size()) >> shift) & 0xff);
    }
    joined += part;
  }
  return base32_encode(base::sha256(joined));
}

bool is_subject(std::string_view subject) {
  if (subject.empty() || subject.size() > kMaxSubjectBytes) return false;
  char before = '.';
  for (const char c : subject) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!plain && (c != '.' || before == '.')) return false;
    before = c;
  }
  return before != '.';
}

}  // namespace countersign::bus

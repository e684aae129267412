// Writes JSON strings in the canonical form of minted tickets: ASCII only, so that a client which
// decodes base64 to one character per byte still reads every name.
// Thread-safety: pure functions.
// Source: docs/reference/ticket-format.md, "Canonical form"; RFC 8259 section 7.
#ifndef COUNTERSIGN_TICKET_JSON_WRITER_H_
#define COUNTERSIGN_TICKET_JSON_WRITER_H_

#include <cstddef>
#include <cstring>
#include <string_view>

namespace countersign {

/// The most characters that one byte of a string may become: `\u0001` for a control character.
inline constexpr std::size_t kMaxEscapedPerByte = 6;

/// Writes the string's content, without quotes; returns the end. Precondition: valid UTF-8 and room
/// for kMaxEscapedPerByte characters a byte.
char* write_json_text(std::string_view text, char* out) noexcept;
/// Copies text that needs no escape.
inline char* write_plain(std::string_view text, char* out) noexcept {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}
/// Writes a non-negative number in decimal digits; needs room for 20 characters.
char* write_number(unsigned long long number, char* out) noexcept;

}  // namespace countersign

#endif  // COUNTERSIGN_TICKET_JSON_WRITER_H_

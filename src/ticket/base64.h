// Base64 as tickets use it: canonical only. A decoder that skips blanks or ignores unused bits
// would let one MAC have many spellings, so every text that the encoder would not write is refused.
// Thread-safety: pure functions.
// Source: RFC 4648 sections 3.5, 4 and 5.
#ifndef COUNTERSIGN_TICKET_BASE64_H_
#define COUNTERSIGN_TICKET_BASE64_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace countersign::base64 {

/// Standard alphabet, padded (user tickets), or URL-safe alphabet without padding (JWT).
enum class Variant { kStandard, kUrlSafe };

/// Length of the encoding of `size` bytes.
constexpr std::size_t encoded_size(Variant variant, std::size_t size) noexcept {
  return variant == Variant::kStandard ? (size + 2) / 3 * 4 : (size * 4 + 2) / 3;
}
/// The room that decoding a text of `length` characters needs: the data, and up to four bytes that
/// are written behind it.
constexpr std::size_t max_decoded_size(std::size_t length) noexcept { return length / 4 * 3 + 6; }

/// Writes exactly encoded_size() characters to `out`; returns the end of what was written.
char* encode(Variant variant, const void* data, std::size_t size, char* out) noexcept;
std::string encode(Variant variant, std::string_view data);

/// Decodes canonical text into `out`, which has room for max_decoded_size() bytes; all of them may
/// be written.
/// @return the number of bytes, or nothing if the text is not canonical. The empty text is
/// canonical.
std::optional<std::size_t> decode(Variant variant, std::string_view text, void* out) noexcept;
std::optional<std::string> decode(Variant variant, std::string_view text);

}  // namespace countersign::base64

#endif  // COUNTERSIGN_TICKET_BASE64_H_

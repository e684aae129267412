// Encodings and digests for ids, cookies and stored tokens. (Tickets have their own strict base64.)
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_BASE_ENCODING_H_
#define COUNTERSIGN_BASE_ENCODING_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace countersign::base {

using Sha256 = std::array<std::uint8_t, 32>;

/// RFC 4648 section 5, without padding.
std::string base64url_encode(std::span<const std::uint8_t> bytes);
/// Strict inverse: nothing but the alphabet, unused bits zero; nullopt otherwise.
std::optional<std::vector<std::uint8_t>> base64url_decode(std::string_view text);
/// RFC 4648 section 4, padded.
std::string base64_encode(std::span<const std::uint8_t> bytes);
/// Lower-case hexadecimal digits.
std::string hex_encode(std::span<const std::uint8_t> bytes);

/// SHA-256 (FIPS 180-4).
Sha256 sha256(std::string_view bytes);
/// HMAC-SHA256 (RFC 2104).
Sha256 hmac_sha256(std::span<const std::uint8_t> key, std::string_view bytes);
/// True if equal; the time taken depends on the lengths alone.
bool equal_constant_time(std::string_view a, std::string_view b);

/// The bytes as a string, for map keys and BLOB columns.
inline std::string to_string(const Sha256& digest) {
  return std::string(reinterpret_cast<const char*>(digest.data()), digest.size());
}

/// The bytes of text.
inline std::span<const std::uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace countersign::base

#endif  // COUNTERSIGN_BASE_ENCODING_H_

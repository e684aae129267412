#include "ticket/base64.h"

#include <array>
#include <cstdint>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace countersign::base64 {
namespace {

constexpr std::string_view kStandardAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlSafeAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// Two characters for each 12-bit value: one look-up and one 2-byte store for a byte and a half.
struct EncodeTable {
  std::array<std::array<char, 2>, 4096> pairs;
};

constexpr EncodeTable make_encode_table(std::string_view alphabet) {
  EncodeTable table{};
  for (std::size_t i = 0; i < 4096; ++i) table.pairs[i] = {alphabet[i >> 6], alphabet[i & 63]};
  return table;
}

// One table per position in a group, the value already shifted into place. Bit 31 marks characters
// outside the alphabet, so that one test per group (or for many groups) finds them all.
constexpr std::uint32_t kInvalid = 0x80000000U;
struct DecodeTable {
  std::array<std::array<std::uint32_t, 256>, 4> position;
};

constexpr DecodeTable make_decode_table(std::string_view alphabet) {
  DecodeTable table{};
  for (auto& column : table.position) column.fill(kInvalid);
  for (std::uint32_t value = 0; value < 64; ++value) {
    const auto character = static_cast<unsigned char>(alphabet[value]);
    table.position[0][character] = value << 18;
    table.position[1][character] = value << 12;
    table.position[2][character] = value << 6;
    table.position[3][character] = value;
  }
  return table;
}

constexpr EncodeTable kStandardEncode = make_encode_table(kStandardAlphabet);
constexpr EncodeTable kUrlSafeEncode = make_encode_table(kUrlSafeAlphabet);
constexpr DecodeTable kStandardDecode = make_decode_table(kStandardAlphabet);
constexpr DecodeTable kUrlSafeDecode = make_decode_table(kUrlSafeAlphabet);

inline void put_pair(char* out, const EncodeTable& table, std::uint32_t value) noexcept {
  std::memcpy(out, table.pairs[value].data(), 2);
}

std::uint32_t group(const DecodeTable& table, const unsigned char* in) noexcept {
  return table.position[0][in[0]] | table.position[1][in[1]] | table.position[2][in[2]] |
         table.position[3][in[3]];
}

inline void put_bytes(unsigned char* out, std::uint32_t value) noexcept {
  out[0] = static_cast<unsigned char>(value >> 16);
  out[1] = static_cast<unsigned char>(value >> 8);
  out[2] = static_cast<unsigned char>(value);
}

#if defined(__x86_64__)
// Sixteen characters at a time where the processor can shuffle bytes (SSSE3, every x86-64 since
// 2006). The vector code never decides: what it does not like it leaves to the tables below.
// Method: W. Mula and D. Lemire, "Faster Base64 Encoding and Decoding Using AVX2 Instructions".
const bool kHasSsse3 = [] {
  __builtin_cpu_init();
  return __builtin_cpu_supports("ssse3") != 0;
}();

// Encodes 12 bytes to 16 characters per step; reads 16. Returns how many bytes were encoded.
__attribute__((target("ssse3"))) std::size_t encode_vectors(const unsigned char* in,
                                                            std::size_t size, char* out) noexcept {
  const __m128i spread = _mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
  const __m128i offsets =
      _mm_setr_epi8('a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
                    '0' - 52, '0' - 52, '0' - 52, '+' - 62, '/' - 63, 'A', 0, 0);
  std::size_t done = 0;
  for (; size - done >= 16; done += 12) {
    __m128i word = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in));
    word = _mm_shuffle_epi8(word, spread);
    // Four 6-bit values out of each three bytes, moved into place by multiplication.
    const __m128i high = _mm_mulhi_epu16(_mm_and_si128(word, _mm_set1_epi32(0x0fc0fc00)),
                                         _mm_set1_epi32(0x04000040));
    const __m128i low = _mm_mullo_epi16(_mm_and_si128(word, _mm_set1_epi32(0x003f03f0)),
                                        _mm_set1_epi32(0x01000010));
    const __m128i values = _mm_or_si128(high, low);
    // 0-25: entry 13; 26-51: entry 0; 52-61: entries 1-10; 62, 63: entries 11 and 12.
    __m128i entry = _mm_subs_epu8(values, _mm_set1_epi8(51));
    const __m128i upper = _mm_cmpgt_epi8(_mm_set1_epi8(26), values);
    entry = _mm_or_si128(entry, _mm_and_si128(upper, _mm_set1_epi8(13)));
    const __m128i text = _mm_add_epi8(_mm_shuffle_epi8(offsets, entry), values);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), text);
    in += 12;
    out += 16;
  }
  return done;
}

// Decodes 16 characters to 12 bytes per step; writes 16. Stops at the first character outside the
// alphabet. Returns how many characters were decoded.
__attribute__((target("ssse3"))) std::size_t decode_vectors(const unsigned char* in,
                                                            std::size_t size,
                                                            unsigned char* out) noexcept {
  // Two look-ups, by the low and the high half of a character, have a bit in common exactly for
  // characters outside the alphabet.
  const __m128i low_class = _mm_setr_epi8(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                          0x11, 0x13, 0x1A, 0x1B, 0x1B, 0x1B, 0x1A);
  const __m128i high_class = _mm_setr_epi8(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10,
                                           0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10);
  const __m128i offsets = _mm_setr_epi8(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m128i slash = _mm_set1_epi8(0x2F);
  const __m128i pack = _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
  std::size_t done = 0;
  for (; size - done >= 16; done += 16) {
    const __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in));
    const __m128i high = _mm_and_si128(_mm_srli_epi32(text, 4), slash);
    const __m128i low = _mm_and_si128(text, slash);
    const __m128i foreign =
        _mm_and_si128(_mm_shuffle_epi8(low_class, low), _mm_shuffle_epi8(high_class, high));
    if (_mm_movemask_epi8(_mm_cmpgt_epi8(foreign, _mm_setzero_si128())) != 0) break;
    const __m128i is_slash = _mm_cmpeq_epi8(text, slash);
    const __m128i values =
        _mm_add_epi8(text, _mm_shuffle_epi8(offsets, _mm_add_epi8(is_slash, high)));
    const __m128i pairs = _mm_maddubs_epi16(values, _mm_set1_epi32(0x01400140));
    const __m128i groups = _mm_madd_epi16(pairs, _mm_set1_epi32(0x00011000));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_shuffle_epi8(groups, pack));
    in += 16;
    out += 12;
  }
  return done;
}
#endif

}  // namespace

char* encode(Variant variant, const void* data, std::size_t size, char* out) noexcept {
  const EncodeTable& table = variant == Variant::kStandard ? kStandardEncode : kUrlSafeEncode;
  const auto* in = static_cast<const unsigned char*>(data);
#if defined(__x86_64__)
  if (variant == Variant::kStandard && kHasSsse3) {
    const std::size_t done = encode_vectors(in, size, out);
    in += done;
    size -= done;
    out += done / 3 * 4;
  }
#endif
  while (size >= 8) {
    // Eight bytes read, six used: four pairs from one load.
    std::uint64_t word = 0;
    std::memcpy(&word, in, 8);
    word = __builtin_bswap64(word);
    put_pair(out, table, (word >> 52) & 4095U);
    put_pair(out + 2, table, (word >> 40) & 4095U);
    put_pair(out + 4, table, (word >> 28) & 4095U);
    put_pair(out + 6, table, (word >> 16) & 4095U);
    in += 6;
    out += 8;
    size -= 6;
  }
  while (size >= 3) {
    const std::uint32_t value = (std::uint32_t{in[0]} << 16) | (std::uint32_t{in[1]} << 8) | in[2];
    put_pair(out, table, value >> 12);
    put_pair(out + 2, table, value & 4095U);
    in += 3;
    out += 4;
    size -= 3;
  }
  if (size == 0) return out;
  const std::uint32_t value =
      (std::uint32_t{in[0]} << 16) | (size == 2 ? std::uint32_t{in[1]} << 8 : 0U);
  put_pair(out, table, value >> 12);
  out += 2;
  if (size == 2) *out++ = table.pairs[value & 4095U][0];
  if (variant == Variant::kStandard) {
    for (std::size_t i = size; i < 3; ++i) *out++ = '=';
  }
  return out;
}

std::string encode(Variant variant, std::string_view data) {
  std::string text(encoded_size(variant, data.size()), '\0');
  encode(variant, data.data(), data.size(), text.data());
  return text;
}

std::optional<std::size_t> decode(Variant variant, std::string_view text, void* out) noexcept {
  const DecodeTable& table = variant == Variant::kStandard ? kStandardDecode : kUrlSafeDecode;
  if (variant == Variant::kStandard) {
    if (text.size() % 4 != 0) return std::nullopt;
    if (!text.empty() && text.back() == '=') {
      text.remove_suffix(1);
      if (text.back() == '=') text.remove_suffix(1);
    }
  }
  const std::size_t rest = text.size() % 4;
  if (rest == 1) return std::nullopt;

  const auto* in = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const groups_end = in + (text.size() - rest);
  auto* write = static_cast<unsigned char*>(out);
  auto* const begin = write;
#if defined(__x86_64__)
  if (variant == Variant::kStandard && kHasSsse3) {
    const std::size_t done = decode_vectors(in, static_cast<std::size_t>(groups_end - in), write);
    in += done;
    write += done / 4 * 3;
  }
#endif
  std::uint32_t seen = 0;
  while (groups_end - in >= 8) {
    const std::uint32_t first = group(table, in);
    const std::uint32_t second = group(table, in + 4);
    seen |= first | second;
    put_bytes(write, first);
    put_bytes(write + 3, second);
    in += 8;
    write += 6;
  }
  if (in != groups_end) {
    const std::uint32_t value = group(table, in);
    seen |= value;
    put_bytes(write, value);
    in += 4;
    write += 3;
  }
  if (rest != 0) {
    std::uint32_t value = table.position[0][in[0]] | table.position[1][in[1]];
    if (rest == 3) value |= table.position[2][in[2]];
    seen |= value;
    // The bits that belong to no byte must be zero: one value, one spelling.
    if ((value & (rest == 3 ? 0xFFU : 0xFFFFU)) != 0) return std::nullopt;
    *write++ = static_cast<unsigned char>(value >> 16);
    if (rest == 3) *write++ = static_cast<unsigned char>(value >> 8);
  }
  if ((seen & kInvalid) != 0) return std::nullopt;
  return static_cast<std::size_t>(write - begin);
}

std::optional<std::string> decode(Variant variant, std::string_view text) {
  std::string data(max_decoded_size(text.size()), '\0');
  const std::optional<std::size_t> size = decode(variant, text, data.data());
  if (!size) return std::nullopt;
  data.resize(*size);
  return data;
}

}  // namespace countersign::base64

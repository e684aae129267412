#include "ticket/base64.h"

#include <array>
#include <cstdint>
#include <cstring>

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

}  // namespace

char* encode(Variant variant, const void* data, std::size_t size, char* out) noexcept {
  const EncodeTable& table = variant == Variant::kStandard ? kStandardEncode : kUrlSafeEncode;
  const auto* in = static_cast<const unsigned char*>(data);
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

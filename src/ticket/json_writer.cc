#include "ticket/json_writer.h"

#include <charconv>
#include <cstring>

#include "ticket/word_scan.h"

namespace countersign {
namespace {

char* put_unit(char* out, unsigned unit) noexcept {
  static constexpr char kHex[] = "0123456789abcdef";
  *out++ = '\\';
  *out++ = 'u';
  *out++ = kHex[unit >> 12 & 15U];
  *out++ = kHex[unit >> 8 & 15U];
  *out++ = kHex[unit >> 4 & 15U];
  *out++ = kHex[unit & 15U];
  return out;
}

char* put_escape(char* out, char letter) noexcept {
  *out++ = '\\';
  *out++ = letter;
  return out;
}

// The code point of the well-formed sequence at `at`, which is moved behind it.
unsigned next_code_point(const char*& at) noexcept {
  const auto next = [&] { return static_cast<unsigned>(static_cast<unsigned char>(*at++)); };
  const unsigned lead = next();
  if (lead < 0x80) return lead;
  if (lead < 0xE0) return (lead & 0x1FU) << 6 | (next() & 0x3FU);
  unsigned value = lead < 0xF0 ? lead & 0x0FU : lead & 0x07U;
  const int continuations = lead < 0xF0 ? 2 : 3;
  for (int i = 0; i < continuations; ++i) value = value << 6 | (next() & 0x3FU);
  return value;
}

}  // namespace

char* write_json_text(std::string_view text, char* out) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    while (end - at >= 8 && needs_no_escape(at)) {
      std::memcpy(out, at, 8);
      at += 8;
      out += 8;
    }
    if (at == end) break;
    const auto c = static_cast<unsigned char>(*at);
    if (c >= 0x20 && c < 0x7F && c != '"' && c != '\\') {
      *out++ = *at++;
      continue;
    }
    switch (c) {
      case '"':
        out = put_escape(out, '"');
        ++at;
        continue;
      case '\\':
        out = put_escape(out, '\\');
        ++at;
        continue;
      case '\b':
        out = put_escape(out, 'b');
        ++at;
        continue;
      case '\f':
        out = put_escape(out, 'f');
        ++at;
        continue;
      case '\n':
        out = put_escape(out, 'n');
        ++at;
        continue;
      case '\r':
        out = put_escape(out, 'r');
        ++at;
        continue;
      case '\t':
        out = put_escape(out, 't');
        ++at;
        continue;
      default:
        break;
    }
    const unsigned code_point = next_code_point(at);
    if (code_point < 0x10000) {
      out = put_unit(out, code_point);
    } else {
      out = put_unit(out, 0xD800U + ((code_point - 0x10000) >> 10));
      out = put_unit(out, 0xDC00U + ((code_point - 0x10000) & 0x3FFU));
    }
  }
  return out;
}

char* write_number(unsigned long long number, char* out) noexcept {
  return std::to_chars(out, out + 20, number).ptr;
}

}  // namespace countersign

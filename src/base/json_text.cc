#include "base/json_text.h"

#include <array>

#include <utf8proc.h>

namespace countersign::base {

void append_json_string(std::string& out, std::string_view text) {
  static constexpr std::array<char, 17> kHex{"0123456789abcdef"};
  out += '"';
  std::size_t at = 0;
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0x80) {
      utf8proc_int32_t point = 0;
      const auto size =
          utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at),
                           static_cast<utf8proc_ssize_t>(text.size() - at), &point);
      if (size <= 0) {
        out += "\\ufffd";
        ++at;
      } else {
        if (point == 0x2028 || point == 0x2029) {
          out += point == 0x2028 ? "\\u2028" : "\\u2029";
        } else {
          out.append(text.substr(at, static_cast<std::size_t>(size)));
        }
        at += static_cast<std::size_t>(size);
      }
      continue;
    }
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += text[at];
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += text[at];
    }
    ++at;
  }
  out += '"';
}

}  // namespace countersign::base

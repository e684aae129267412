#include "ticket/json_reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "ticket/word_scan.h"

namespace countersign {
namespace {

// Length of the well-formed UTF-8 sequence of more than one byte at `at`, or 0 (RFC 3629 section
// 4).
std::size_t utf8_sequence(const char* at, const char* end) noexcept {
  const auto byte = [&](std::ptrdiff_t i) { return static_cast<unsigned char>(at[i]); };
  const auto continues = [&](std::ptrdiff_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const std::ptrdiff_t left = end - at;
  const unsigned lead = byte(0);
  if (lead >= 0xC2 && lead <= 0xDF) return left >= 2 && continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (left < 3 || !continues(1) || !continues(2)) return 0;
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
    if (lead == 0xED && byte(1) > 0x9F) return 0;  // surrogate
    return 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (left < 4 || !continues(1) || !continues(2) || !continues(3)) return 0;
    if (lead == 0xF0 && byte(1) < 0x90) return 0;  // overlong
    if (lead == 0xF4 && byte(1) > 0x8F) return 0;  // above U+10FFFF
    return 4;
  }
  return 0;
}

// Reads four hexadecimal digits; negative if there are fewer or other characters.
int hex4(const char* at, const char* end) noexcept {
  if (end - at < 4) return -1;
  int value = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = at[i];
    int digit = 0;
    if (c >= '0' && c <= '9') {
      digit = c - '0';
    } else if (c >= 'a' && c <= 'f') {
      digit = c - 'a' + 10;
    } else if (c >= 'A' && c <= 'F') {
      digit = c - 'A' + 10;
    } else {
      return -1;
    }
    value = value * 16 + digit;
  }
  return value;
}

char* put_utf8(char* out, unsigned code_point) noexcept {
  const auto put = [&](unsigned value) { *out++ = static_cast<char>(value); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0U | code_point >> 6);
    put(0x80U | (code_point & 0x3FU));
  } else if (code_point < 0x10000) {
    put(0xE0U | code_point >> 12);
    put(0x80U | (code_point >> 6 & 0x3FU));
    put(0x80U | (code_point & 0x3FU));
  } else {
    put(0xF0U | code_point >> 18);
    put(0x80U | (code_point >> 12 & 0x3FU));
    put(0x80U | (code_point >> 6 & 0x3FU));
    put(0x80U | (code_point & 0x3FU));
  }
  return out;
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

const char* skip_digits(const char* at, const char* end) noexcept {
  while (at != end && is_digit(*at)) ++at;
  return at;
}

// The end of the number that starts at `at`, or null if there is none.
const char* skip_number(const char* at, const char* end) noexcept {
  if (at != end && *at == '-') ++at;
  if (at == end || !is_digit(*at)) return nullptr;
  at = *at == '0' ? at + 1 : skip_digits(at, end);
  if (at != end && *at == '.') {
    const char* const fraction = at + 1;
    at = skip_digits(fraction, end);
    if (at == fraction) return nullptr;
  }
  if (at != end && (*at == 'e' || *at == 'E')) {
    ++at;
    if (at != end && (*at == '+' || *at == '-')) ++at;
    const char* const exponent = at;
    at = skip_digits(exponent, end);
    if (at == exponent) return nullptr;
  }
  return at;
}

const char* skip_blanks(const char* at, const char* end) noexcept {
  // Most producers write none.
  if (at != end && *at > ' ') return at;
  while (at != end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) ++at;
  return at;
}

bool takes(const char*& at, const char* end, std::string_view word) noexcept {
  if (static_cast<std::size_t>(end - at) < word.size()) return false;
  if (std::memcmp(at, word.data(), word.size()) != 0) return false;
  at += word.size();
  return true;
}

}  // namespace

bool is_valid_utf8(std::string_view text) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    if (static_cast<unsigned char>(*at) < 0x80) {
      ++at;
      continue;
    }
    const std::size_t length = utf8_sequence(at, end);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

void JsonDocument::grow() {
  const bool first = more_nodes_.empty();
  more_nodes_.resize(capacity_ * 2);
  if (first) std::copy_n(nodes_, size_, more_nodes_.begin());
  nodes_ = more_nodes_.data();
  capacity_ = more_nodes_.size();
}

// Reads a string whose opening quote is at `at`.
bool JsonDocument::scan_string(const char*& at, const char* end, std::string_view& out) {
  const char* const begin = ++at;
  for (;;) {
    while (end - at >= 8) {
      const unsigned plain = plain_characters(at);
      at += plain;
      if (plain < 8) break;
    }
    if (at == end) return false;
    const auto c = static_cast<unsigned char>(*at);
    if (c == '"') {
      out = {begin, static_cast<std::size_t>(at - begin)};
      ++at;
      return true;
    }
    if (c == '\\') return unescape(at, end, begin, out);
    if (c < 0x20) return false;
    if (c < 0x80) {
      ++at;
      continue;
    }
    const std::size_t length = utf8_sequence(at, end);
    if (length == 0) return false;
    at += length;
  }
}

// Goes on with a string in which the first backslash was found at `at`.
bool JsonDocument::unescape(const char*& at, const char* end, const char* begin,
                            std::string_view& out) {
  if (!unescaped_) {
    unescaped_ = std::make_unique<char[]>(unescaped_capacity_);
    unescaped_end_ = unescaped_.get();
  }
  char* const first = unescaped_end_;
  char* write = std::copy(begin, at, first);
  while (at != end) {
    const auto c = static_cast<unsigned char>(*at);
    if (c == '"') {
      out = {first, static_cast<std::size_t>(write - first)};
      unescaped_end_ = write;
      ++at;
      return true;
    }
    if (c < 0x20) return false;
    if (c >= 0x80) {
      const std::size_t length = utf8_sequence(at, end);
      if (length == 0) return false;
      write = std::copy(at, at + length, write);
      at += length;
      continue;
    }
    if (c != '\\') {
      *write++ = *at++;
      continue;
    }
    if (++at == end) return false;
    switch (*at++) {
      case '"':
        *write++ = '"';
        break;
      case '\\':
        *write++ = '\\';
        break;
      case '/':
        *write++ = '/';
        break;
      case 'b':
        *write++ = '\b';
        break;
      case 'f':
        *write++ = '\f';
        break;
      case 'n':
        *write++ = '\n';
        break;
      case 'r':
        *write++ = '\r';
        break;
      case 't':
        *write++ = '\t';
        break;
      case 'u': {
        const int unit = hex4(at, end);
        if (unit < 0) return false;
        at += 4;
        auto code_point = static_cast<unsigned>(unit);
        if (code_point >= 0xDC00 && code_point <= 0xDFFF) return false;  // low half first
        if (code_point >= 0xD800 && code_point <= 0xDBFF) {
          if (!takes(at, end, "\\u")) return false;
          const int low = hex4(at, end);
          if (low < 0xDC00 || low > 0xDFFF) return false;
          at += 4;
          code_point =
              0x10000 + ((code_point - 0xD800) << 10) + static_cast<unsigned>(low - 0xDC00);
        }
        write = put_utf8(write, code_point);
        break;
      }
      default:
        return false;
    }
  }
  return false;
}

std::optional<ErrorCode> JsonDocument::parse(std::string_view text) {
  unescaped_capacity_ = text.size();
  const char* at = text.data();
  const char* const end = at + text.size();
  std::array<std::uint32_t, kMaxDepth> open{};  // indices of the arrays and objects we are inside
  std::size_t depth = 0;
  std::string_view name;

  for (;;) {
    // A value is due here, and `name` is its name if we are inside an object.
    at = skip_blanks(at, end);
    if (at == end) return ErrorCode::kBadJson;
    const auto index = static_cast<std::uint32_t>(size_);
    if (size_ == capacity_) grow();
    JsonNode& node = *std::construct_at(&nodes_[size_++]);
    node.name = name;
    node.end = index + 1;
    bool opened = false;
    switch (*at) {
      case '"':
        node.type = JsonType::kString;
        if (!scan_string(at, end, node.text)) return ErrorCode::kBadJson;
        break;
      case '{':
      case '[':
        node.type = *at == '{' ? JsonType::kObject : JsonType::kArray;
        if (depth == kMaxDepth) return ErrorCode::kTooDeep;
        open[depth++] = index;
        opened = true;
        ++at;
        break;
      case 't':
        node.type = JsonType::kTrue;
        if (!takes(at, end, "true")) return ErrorCode::kBadJson;
        break;
      case 'f':
        node.type = JsonType::kFalse;
        if (!takes(at, end, "false")) return ErrorCode::kBadJson;
        break;
      case 'n':
        if (!takes(at, end, "null")) return ErrorCode::kBadJson;
        break;
      default: {
        node.type = JsonType::kNumber;
        const char* const number_end = skip_number(at, end);
        if (number_end == nullptr) return ErrorCode::kBadJson;
        node.text = {at, static_cast<std::size_t>(number_end - at)};
        at = number_end;
      }
    }

    // What follows a value: closing brackets, then a comma or the end; `opened` allows an empty
    // one.
    name = {};
    for (;;) {
      at = skip_blanks(at, end);
      if (depth == 0) {
        if (at != end) return ErrorCode::kBadJson;
        return has_duplicates() ? std::optional{ErrorCode::kDuplicateMember} : std::nullopt;
      }
      if (at == end) return ErrorCode::kBadJson;
      JsonNode& container = nodes_[open[depth - 1]];
      const bool in_object = container.type == JsonType::kObject;
      if (*at == (in_object ? '}' : ']')) {
        container.end = static_cast<std::uint32_t>(size_);
        --depth;
        opened = false;
        ++at;
        continue;
      }
      if (!opened) {
        if (*at != ',') return ErrorCode::kBadJson;
        at = skip_blanks(at + 1, end);
      }
      if (in_object) {
        if (at == end || *at != '"' || !scan_string(at, end, name)) return ErrorCode::kBadJson;
        at = skip_blanks(at, end);
        if (at == end || *at != ':') return ErrorCode::kBadJson;
        ++at;
      }
      break;
    }
  }
}

bool JsonDocument::has_duplicates() const {
  for (std::size_t i = 0; i < size_; ++i) {
    if (nodes_[i].type == JsonType::kObject && has_duplicates(i)) return true;
  }
  return false;
}

bool JsonDocument::has_duplicates(std::size_t object) const {
  // Few members are compared each with each, without memory; many are sorted, so that a payload
  // full of members costs n log n and not n squared.
  constexpr std::size_t kFew = 8;
  const std::size_t end = nodes_[object].end;
  std::size_t count = 0;
  for (std::size_t child = object + 1; child < end; child = nodes_[child].end) {
    if (++count > kFew) return has_duplicates_among_many(object);
    const std::string_view name = nodes_[child].name;
    for (std::size_t other = object + 1; other < child; other = nodes_[other].end) {
      if (nodes_[other].name == name) return true;
    }
  }
  return false;
}

bool JsonDocument::has_duplicates_among_many(std::size_t object) const {
  std::vector<std::string_view> names;
  for (std::size_t child = object + 1; child < nodes_[object].end; child = nodes_[child].end) {
    names.push_back(nodes_[child].name);
  }
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) != names.end();
}

}  // namespace countersign

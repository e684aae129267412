#include "accounts/user_name.h"

#include <algorithm>
#include <array>
#include <optional>

#include <utf8proc.h>

#include "countersign/identity.h"

#include "base/unicode.h"

namespace countersign::accounts {
namespace {

struct Range {
  utf8proc_int32_t first;
  utf8proc_int32_t last;
};

/// Default-ignorable code points: drawn as nothing, whatever their category is.
constexpr std::array<Range, 15> kInvisible{{
    {0x00AD, 0x00AD},    // soft hyphen
    {0x034F, 0x034F},    // combining grapheme joiner
    {0x115F, 0x1160},    // Hangul fillers
    {0x17B4, 0x17B5},    // Khmer inherent vowels
    {0x180B, 0x180F},    // Mongolian selectors and separator
    {0x200B, 0x200F},    // zero-width characters, direction marks
    {0x202A, 0x202E},    // embeddings and overrides
    {0x2060, 0x206F},    // word joiner, isolates
    {0x3164, 0x3164},    // Hangul filler
    {0xFE00, 0xFE0F},    // variation selectors
    {0xFEFF, 0xFEFF},    // byte order mark
    {0xFFA0, 0xFFA0},    // half-width Hangul filler
    {0xFFF0, 0xFFFB},    // interlinear annotation
    {0x1D173, 0x1D17A},  // musical beams
    {0xE0000, 0xE0FFF},  // tags, more variation selectors
}};

/// Characters that are not seen, change what is seen around them, or mean something else to
/// everybody: names with them are traps. Also what Unicode has not assigned yet, as far as this
/// utf8proc knows: the normal form of a name must never change.
bool misleads(utf8proc_int32_t point) {
  switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_CC:  // control
    case UTF8PROC_CATEGORY_CF:  // format
    case UTF8PROC_CATEGORY_CN:  // unassigned
    case UTF8PROC_CATEGORY_CO:  // private use
    case UTF8PROC_CATEGORY_CS:  // surrogate
    case UTF8PROC_CATEGORY_ZL:  // line separator
    case UTF8PROC_CATEGORY_ZP:  // paragraph separator
      return true;
    default:
      return std::any_of(kInvisible.begin(), kInvisible.end(), [&](const Range& range) {
        return point >= range.first && point <= range.last;
      });
  }
}

bool is_blank(utf8proc_int32_t point) { return utf8proc_category(point) == UTF8PROC_CATEGORY_ZS; }

/// True if no character is refused and neither end is a blank. `text` is valid UTF-8, not empty.
bool is_acceptable(std::string_view text) {
  bool at_start = true;
  bool last_is_blank = false;
  for (std::size_t at = 0; at < text.size();) {
    utf8proc_int32_t point = 0;
    at += static_cast<std::size_t>(
        utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at),
                         static_cast<utf8proc_ssize_t>(text.size() - at), &point));
    if (point == '@' || misleads(point)) return false;
    last_is_blank = is_blank(point);
    if (at_start && last_is_blank) return false;
    at_start = false;
  }
  return !last_is_blank;
}

}  // namespace

Result<UserName> parse_user_name(std::string_view typed) {
  if (typed.empty() || typed.size() > kMaxUserNameBytes) {
    return fail(ErrorCode::kBadUserName, "empty or longer than 255 bytes");
  }
  std::optional<std::string> text = base::to_nfc(typed);
  if (!text) return fail(ErrorCode::kBadUserName, "not UTF-8");
  if (!is_acceptable(*text)) return fail(ErrorCode::kBadUserName, "a character is refused");
  std::optional<std::string> key = base::fold_compatible_key(*text);
  if (!key) return fail(ErrorCode::kBadUserName, "not UTF-8");
  if (key->find('@') != std::string::npos) {
    return fail(ErrorCode::kBadUserName, "it looks like an address");
  }
  // The ticket library has the last word: a person whose name it refuses could never get a ticket.
  const Result<void> identity =
      validate_identity({IdentityType::kUsername, *text}, UserNameRule::kUtf8);
  if (!identity) return fail(ErrorCode::kBadUserName, identity.error().detail);
  return UserName{*std::move(text), *std::move(key)};
}

}  // namespace countersign::accounts

#include "accounts/user_name.h"

#include <optional>

#include <utf8proc.h>

#include "countersign/identity.h"

#include "base/unicode.h"

namespace countersign::accounts {
namespace {

/// Characters that are invisible and change what is seen around them: names with them are traps.
bool misleads(utf8proc_int32_t point) {
  return (point >= 0x200E && point <= 0x200F) ||  // direction marks
         (point >= 0x2028 && point <= 0x202E) ||  // line and paragraph ends, embeddings, overrides
         (point >= 0x2066 && point <= 0x2069) ||  // isolates
         point == 0x061C || point == 0xFEFF;      // Arabic letter mark, byte order mark
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
    if (point == '@' || misleads(point) || utf8proc_category(point) == UTF8PROC_CATEGORY_CC) {
      return false;
    }
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
  std::optional<std::string> key = base::fold_key(*text);
  if (!key) return fail(ErrorCode::kBadUserName, "not UTF-8");
  // The ticket library has the last word: a person whose name it refuses could never get a ticket.
  const Result<void> identity =
      validate_identity({IdentityType::kUsername, *text}, UserNameRule::kUtf8);
  if (!identity) return fail(ErrorCode::kBadUserName, identity.error().detail);
  return UserName{*std::move(text), *std::move(key)};
}

}  // namespace countersign::accounts

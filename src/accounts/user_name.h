// User names: what may be one, and when two are the same.
//
// A name is kept as typed, in normal form C; tickets carry that spelling. It is unique by its
// folded key, so "Zoë" typed on two keyboards, "ZOË" and the full-width "Ｚoë" are one name. It
// holds no `@`, so that the sign-in field can take a name or an address without ever meaning both,
// and nothing that is not seen. Letters of two scripts that look alike stay two names.
// Thread-safety: pure functions. Source: docs/reference/ticket-format.md, "Identities" (bytes);
// UAX #15 (NFC, NFKC); UAX #44 (Default_Ignorable_Code_Point).
#ifndef COUNTERSIGN_ACCOUNTS_USER_NAME_H_
#define COUNTERSIGN_ACCOUNTS_USER_NAME_H_

#include <string>
#include <string_view>

#include "countersign/result.h"

namespace countersign::accounts {

struct UserName {
  std::string text;  ///< NFC, as typed otherwise
  std::string key;   ///< folded, compatibility forms too; unique among accounts
};

/// Reads a user name: 1-255 bytes of UTF-8 (before and after NFC) without `@` in any width, without
/// control characters, line separators, characters that are not seen or turn the direction of text,
/// and code points that mean nothing or are private, and without a blank at an end.
/// @return kBadUserName.
Result<UserName> parse_user_name(std::string_view typed);

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_USER_NAME_H_

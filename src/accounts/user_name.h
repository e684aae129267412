// User names: what may be one, and when two are the same.
//
// A name is kept as typed, in normal form C; tickets carry that spelling. It is unique by its
// folded key, so "Zoë" typed on two keyboards, and "ZOË", are one name. It holds no `@`, so that
// the sign-in field can take a name or an address without ever meaning both. Thread-safety: pure
// functions. Source: docs/reference/ticket-format.md, "Identities" (bytes); UAX #15 (NFC).
#ifndef COUNTERSIGN_ACCOUNTS_USER_NAME_H_
#define COUNTERSIGN_ACCOUNTS_USER_NAME_H_

#include <string>
#include <string_view>

#include "countersign/result.h"

namespace countersign::accounts {

struct UserName {
  std::string text;  ///< NFC, as typed otherwise
  std::string key;   ///< folded; unique among accounts
};

/// Reads a user name: 1-255 bytes of UTF-8 (before and after NFC) without `@`, control characters,
/// line separators and characters that turn the direction of text, and without a blank at an end.
/// @return kBadUserName.
Result<UserName> parse_user_name(std::string_view typed);

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_USER_NAME_H_

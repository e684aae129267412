// E-mail addresses: what may be one, and when two are the same.
//
// The domain becomes lower-case A-labels (`münchen.example` is `xn--mnchen-3ya.example`); the local
// part is kept as typed. Addresses are unique by their key, in which the local part is lower case.
// Whatever is accepted has exactly one `@` and no CR, LF, blank or angle bracket, and is a valid
// `email` identity of a ticket.
// Thread-safety: pure functions.
// Source: RFC 5321 section 4.5.3.1 (sizes), RFC 5322 section 3.2.3 (dot-atom), RFC 5891 (IDNA).
#ifndef COUNTERSIGN_ACCOUNTS_EMAIL_H_
#define COUNTERSIGN_ACCOUNTS_EMAIL_H_

#include <string>
#include <string_view>

#include "countersign/result.h"

namespace countersign::accounts {

struct EmailAddress {
  std::string text;  ///< local part as typed, domain as lower-case A-labels
  std::string key;   ///< lower case; unique among the accounts that own their address

  /// The part before the `@`.
  std::string_view local_part() const;
};

/// Reads an address. Blanks and tabs around it are dropped, nothing inside is repaired but for the
/// domain's mapping (UTS #46).
/// @return kBadEmail.
Result<EmailAddress> parse_email(std::string_view typed);

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_EMAIL_H_

// What minting and verifying registration tokens share: names, forms and the derived key.
// Thread-safety: pure functions.
// Source: docs/reference/ticket-format.md, "Registration tokens".
#ifndef COUNTERSIGN_TICKET_JWT_PARTS_H_
#define COUNTERSIGN_TICKET_JWT_PARTS_H_

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include "countersign/identity.h"

#include "ticket/mac_key.h"

namespace countersign::jwt {

inline constexpr std::string_view kIssuerPrefix = "//rtc.sinch.com/applications/";
inline constexpr std::string_view kUsersSegment = "/users/";
inline constexpr std::string_view kKidPrefix = "hkdfv1-";
inline constexpr std::string_view kRegistrationExpiryClaim = "sinch:rtc:instance:exp";

/// A date as `kid` and key derivation write it, `YYYYMMDD`.
struct DateText {
  std::array<char, 8> digits;
  std::string_view view() const noexcept { return {digits.data(), digits.size()}; }
};

/// Precondition: year 0 to 9999.
inline DateText date_text(std::chrono::year_month_day date) noexcept {
  DateText text;
  auto value = static_cast<unsigned>(static_cast<int>(date.year())) * 10000 +
               static_cast<unsigned>(date.month()) * 100 + static_cast<unsigned>(date.day());
  for (auto digit = text.digits.rbegin(); digit != text.digits.rend(); ++digit) {
    *digit = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  return text;
}

/// True for what fits one path segment of `sub`: 1-255 printable ASCII characters without `/`.
inline bool is_user_id(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kMaxUserNameBytes &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c < '\x7f' && c != '/'; });
}

/// The key of one date, made from the key of the secret.
inline MacKey signing_key(const MacKey& secret, DateText date) noexcept {
  const Mac derived = secret.sign(date.view());
  return MacKey(derived);
}

}  // namespace countersign::jwt

#endif  // COUNTERSIGN_TICKET_JWT_PARTS_H_

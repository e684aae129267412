#include "accounts/email.h"

#include <algorithm>
#include <memory>
#include <optional>

#include <idn2.h>

#include "countersign/identity.h"

namespace countersign::accounts {
namespace {

constexpr std::size_t kMaxTypedBytes = 1020;  // 255 characters of at most four bytes

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string to_lower_ascii(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

/// The domain as lower-case A-labels, or nothing.
std::optional<std::string> to_a_labels(std::string_view domain) {
  const std::string terminated(domain);
  char* raw = nullptr;
  // Not IDN2_USE_STD3_ASCII_RULES: libidn2 2.3 then drops blanks and brackets instead of refusing
  // them. Whatever is no letter, digit or hyphen is refused by the identity rule below.
  const int status =
      idn2_to_ascii_8z(terminated.c_str(), &raw, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const std::unique_ptr<char, decltype(&idn2_free)> owned(static_cast<char*>(raw), &idn2_free);
  if (status != IDN2_OK) return std::nullopt;
  return to_lower_ascii(owned.get());
}

}  // namespace

std::string_view EmailAddress::local_part() const {
  return std::string_view(text).substr(0, text.find('@'));
}

Result<EmailAddress> parse_email(std::string_view typed) {
  const std::string_view address = trim(typed);
  if (address.size() > kMaxTypedBytes) return fail(ErrorCode::kBadEmail, "too long");
  if (address.find('\0') != std::string_view::npos) return fail(ErrorCode::kBadEmail, "a NUL");
  const std::size_t at = address.find('@');
  if (at == std::string_view::npos || address.find('@', at + 1) != std::string_view::npos) {
    return fail(ErrorCode::kBadEmail, "not exactly one @");
  }
  const std::string_view local = address.substr(0, at);
  const std::optional<std::string> domain = to_a_labels(address.substr(at + 1));
  if (!domain) return fail(ErrorCode::kBadEmail, "the domain is not a host name");

  EmailAddress email;
  email.text = std::string(local) + '@' + *domain;
  // The ticket library has the rule (dot-atom, labels, sizes): whatever is accepted here can become
  // an identity, and nothing in it can break a mail header.
  const Result<void> identity =
      validate_identity({IdentityType::kEmail, email.text}, UserNameRule::kUtf8);
  if (!identity) return fail(ErrorCode::kBadEmail, identity.error().detail);
  email.key = to_lower_ascii(email.text);
  return email;
}

}  // namespace countersign::accounts

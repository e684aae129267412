#include "accounts/password_policy.h"

#include <optional>
#include <utility>

#include "accounts/common_passwords.h"
#include "base/unicode.h"

namespace countersign::accounts {
namespace {

/// Words from this length on may not occur in a password at all.
constexpr std::size_t kWordLength = 4;
/// What must remain of a password without the shorter words, so that "bobbobbobbobbob" is refused.
constexpr std::size_t kRemainder = 8;

std::string without(std::string_view text, std::string_view word) {
  std::string rest;
  while (!text.empty()) {
    const std::size_t found = text.find(word);
    rest.append(text.substr(0, found));
    if (found == std::string_view::npos) break;
    text.remove_prefix(found + word.size());
  }
  return rest;
}

/// `password` and `word` are folded.
bool leans_on(std::string_view password, std::string_view word) {
  if (word.empty() || password.find(word) == std::string_view::npos) return false;
  if (base::count_code_points(word).value_or(0) >= kWordLength) return true;
  std::string rest = without(password, word);
  const bool too_little = base::count_code_points(rest).value_or(0) < kRemainder;
  base::wipe(rest);
  return too_little;
}

}  // namespace

Result<base::SecretBytes> normalise_password(const base::SecretBytes& typed) {
  // NFC never makes text longer than three times its size, and three times a password that is far
  // too long need not be tried.
  if (typed.view().size() > 4 * kMaxPasswordBytes) return fail(ErrorCode::kPasswordTooLong);
  std::optional<std::string> text = base::to_nfc(typed.view());
  if (!text) return fail(ErrorCode::kBadPasswordText);
  base::SecretBytes normalised{std::string_view(*text)};
  base::wipe(*text);
  if (normalised.view().size() > kMaxPasswordBytes) return fail(ErrorCode::kPasswordTooLong);
  return normalised;
}

PasswordPolicy::PasswordPolicy(PasswordPolicyOptions options) : options_(std::move(options)) {
  for (std::string& word : options_.site_words) word = base::fold_key(word).value_or("");
  std::string_view list = common_passwords();
  while (!list.empty()) {
    const std::size_t end = std::min(list.find('\n'), list.size());
    if (const std::string_view line = list.substr(0, end); !line.empty()) common_.insert(line);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
}

Result<void> PasswordPolicy::check(const base::SecretBytes& normalised, std::string_view user_name,
                                   std::string_view email) const {
  const std::optional<std::size_t> length = base::count_code_points(normalised.view());
  if (!length) return fail(ErrorCode::kBadPasswordText);
  if (*length < options_.minimum_length) return fail(ErrorCode::kPasswordTooShort);

  std::optional<std::string> folded = base::fold_key(normalised.view());
  if (!folded) return fail(ErrorCode::kBadPasswordText);
  const bool common = common_.count(*folded) != 0;
  bool guessable = leans_on(*folded, base::fold_key(user_name).value_or("")) ||
                   leans_on(*folded, base::fold_key(email.substr(0, email.find('@'))).value_or(""));
  for (const std::string& word : options_.site_words) guessable |= leans_on(*folded, word);
  base::wipe(*folded);
  if (common) return fail(ErrorCode::kPasswordTooCommon);
  if (guessable) return fail(ErrorCode::kPasswordContainsName);
  return {};
}

}  // namespace countersign::accounts

#include "countersign/identity.h"

#include <array>

#include "ticket/base64.h"
#include "ticket/json_reader.h"

namespace countersign {
namespace {

constexpr std::size_t kMaxEmailBytes = 254;       // RFC 5321 section 4.5.3.1.3, less the brackets
constexpr std::size_t kMaxLocalPartBytes = 64;    // RFC 5321 section 4.5.3.1.1
constexpr std::size_t kMaxLabelBytes = 63;        // RFC 1035 section 2.3.4
constexpr std::size_t kMinNumberDigits = 7;       // the shortest international numbers
constexpr std::size_t kMaxNumberDigits = 15;      // E.164
constexpr std::size_t kMaxClassicNameBytes = 40;  // classic JavaScript SDK
// 191 bytes are 255 characters of unpadded base64url, the longest user name.
constexpr std::size_t kMaxEncodableNameBytes = 191;

// What a character is, as bits; one look-up a character decides all rules.
enum Class : unsigned char {
  kDigit = 1,
  kAlphanumeric = 2,
  kPrintable = 4,  // U+0021-U+007E
  kUrlSafe = 8,    // A-Z a-z 0-9 - _ =
  kAtomText = 16,  // RFC 5322 section 3.2.3
  kLabel = 32,     // letters, digits, hyphen
};

constexpr std::array<unsigned char, 256> kClasses = [] {
  std::array<unsigned char, 256> classes{};
  for (unsigned c = 0x21; c < 0x7F; ++c) {
    const bool digit = c >= '0' && c <= '9';
    const bool alphanumeric = digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const auto one_of = [&](std::string_view set) {
      return alphanumeric || set.find(static_cast<char>(c)) != std::string_view::npos;
    };
    unsigned bits = kPrintable;
    if (digit) bits |= kDigit;
    if (alphanumeric) bits |= kAlphanumeric;
    if (one_of("-_=")) bits |= kUrlSafe;
    if (one_of("!#$%&'*+-/=?^_`{|}~")) bits |= kAtomText;
    if (one_of("-")) bits |= kLabel;
    classes[c] = static_cast<unsigned char>(bits);
  }
  return classes;
}();

// The classes that all characters of the text belong to; every class for no text.
unsigned common_classes(std::string_view text) noexcept {
  unsigned bits = 0xFF;
  for (const char c : text) bits &= kClasses[static_cast<unsigned char>(c)];
  return bits;
}

bool all_are(std::string_view text, Class wanted) noexcept {
  return (common_classes(text) & wanted) != 0;
}

// Splits at every dot and checks each part, of which there is at least one.
template <class Predicate>
bool all_parts(std::string_view text, Predicate predicate) noexcept {
  for (;;) {
    const std::size_t dot = text.find('.');
    if (!predicate(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

// C0, DEL and C1 controls. Expects valid UTF-8, where U+0080-U+009F are C2 80 to C2 9F.
bool has_control(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7F) return true;
    if (c == 0xC2 && static_cast<unsigned char>(text[i + 1]) <= 0x9F) return true;
  }
  return false;
}

bool is_user_name(std::string_view name, UserNameRule rule, std::size_t max_bytes) noexcept {
  if (name.empty() || name.size() > max_bytes) return false;
  if (all_are(name, kPrintable)) return true;
  return rule == UserNameRule::kUtf8 && is_valid_utf8(name) && !has_control(name);
}

bool is_email(std::string_view email) noexcept {
  if (email.size() > kMaxEmailBytes) return false;
  const std::size_t at = email.find('@');
  if (at == std::string_view::npos || at > kMaxLocalPartBytes) return false;
  const bool local = all_parts(email.substr(0, at), [](std::string_view part) {
    return !part.empty() && all_are(part, kAtomText);
  });
  return local && all_parts(email.substr(at + 1), [](std::string_view label) {
           return !label.empty() && label.size() <= kMaxLabelBytes && label.front() != '-' &&
                  label.back() != '-' && all_are(label, kLabel);
         });
}

bool is_number(std::string_view number) noexcept {
  if (number.empty() || number.front() != '+') return false;
  number.remove_prefix(1);
  return number.size() >= kMinNumberDigits && number.size() <= kMaxNumberDigits &&
         number.front() != '0' && all_are(number, kDigit);
}

}  // namespace

std::string_view identity_type_name(IdentityType type) noexcept {
  switch (type) {
    case IdentityType::kUsername:
      return "username";
    case IdentityType::kEmail:
      return "email";
    case IdentityType::kNumber:
      return "number";
  }
  return "username";
}

std::optional<IdentityType> parse_identity_type(std::string_view name) noexcept {
  if (name == "username") return IdentityType::kUsername;
  if (name == "email") return IdentityType::kEmail;
  if (name == "number") return IdentityType::kNumber;
  return std::nullopt;
}

Result<Identity> parse_identity(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::optional<IdentityType> type = parse_identity_type(text.substr(0, colon));
  if (colon == std::string_view::npos || !type) {
    return fail(ErrorCode::kBadIdentityType,
                "an identity is written TYPE:ENDPOINT, TYPE being username, email or number");
  }
  return Identity{*type, std::string(text.substr(colon + 1))};
}

Result<void> validate_identity(const Identity& identity, UserNameRule rule,
                               std::size_t max_user_name_bytes) {
  const std::string_view endpoint = identity.endpoint;
  bool valid = false;
  switch (identity.type) {
    case IdentityType::kUsername:
      valid = is_user_name(endpoint, rule, max_user_name_bytes);
      break;
    case IdentityType::kEmail:
      valid = is_email(endpoint);
      break;
    case IdentityType::kNumber:
      valid = is_number(endpoint);
      break;
  }
  if (!valid) return fail(ErrorCode::kBadIdentity);
  return {};
}

NameNotes name_notes(const Identity& identity) noexcept {
  NameNotes notes;
  if (identity.type != IdentityType::kUsername) return notes;
  const std::string_view name = identity.endpoint;
  const unsigned classes = common_classes(name);
  notes.outside_classic_set =
      name.empty() || name.size() > kMaxClassicNameBytes || (classes & kPrintable) == 0;
  notes.outside_url_safe_set =
      name.empty() || name.size() > kMaxUserNameBytes || (classes & kUrlSafe) == 0;
  return notes;
}

Result<std::string> encode_user_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxEncodableNameBytes) {
    return fail(ErrorCode::kBadIdentity, "a name to encode has 1 to 191 bytes");
  }
  return base64::encode(base64::Variant::kUrlSafe, name);
}

Result<std::string> decode_user_name(std::string_view text) {
  if (!text.empty() && text.size() <= kMaxUserNameBytes) {
    if (std::optional<std::string> name = base64::decode(base64::Variant::kUrlSafe, text)) {
      return *std::move(name);
    }
  }
  return fail(ErrorCode::kBadIdentity, "not the canonical encoding of a name");
}

}  // namespace countersign

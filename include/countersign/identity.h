// Identities: who a ticket is for. A type and an endpoint, compared byte for byte; nothing is
// folded, trimmed or normalised, so "Ann Lee" and "AnnLee" are two people.
// Thread-safety: value types and pure functions.
// Source: docs/reference/ticket-format.md, "Identities"; RFC 5321 (sizes), RFC 1123 (labels),
// E.164.
#ifndef COUNTERSIGN_IDENTITY_H_
#define COUNTERSIGN_IDENTITY_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "countersign/result.h"

namespace countersign {

/// What kind of endpoint an identity has. The wire names are `username`, `email` and `number`.
enum class IdentityType { kUsername, kEmail, kNumber };

/// The wire name of a type.
std::string_view identity_type_name(IdentityType type) noexcept;
/// The type with this wire name, case-sensitive; nothing for any other text.
std::optional<IdentityType> parse_identity_type(std::string_view name) noexcept;

/// Who a ticket is for.
struct Identity {
  IdentityType type = IdentityType::kUsername;
  std::string endpoint;

  friend bool operator==(const Identity&, const Identity&) = default;
};

/// Reads `TYPE:ENDPOINT`, as the command line writes identities. The endpoint is everything after
/// the first colon and is not validated.
/// @return kBadIdentityType if there is no colon or the type is unknown.
Result<Identity> parse_identity(std::string_view text);

/// Which characters a user name may hold.
enum class UserNameRule {
  kUtf8,       ///< valid UTF-8 without U+0000-U+001F and U+007F-U+009F
  kPrintable,  ///< printable ASCII without the blank, U+0021-U+007E
};

/// The longest user name of both policies, in bytes.
inline constexpr std::size_t kMaxUserNameBytes = 255;

/// Checks the endpoint against the rules of its type.
/// @param rule  which characters a user name may hold; e-mail addresses and numbers have one rule.
/// @param max_user_name_bytes  the longest user name allowed, in bytes.
/// @return kBadIdentity if the endpoint does not follow the rules.
Result<void> validate_identity(const Identity& identity, UserNameRule rule,
                               std::size_t max_user_name_bytes = kMaxUserNameBytes);

/// Notes on a name that this library accepts and that some client SDK does not.
struct NameNotes {
  /// Not 1-40 printable ASCII characters without blank: refused by the classic JavaScript SDK.
  bool outside_classic_set = false;
  /// Not 1-255 bytes of `A-Z a-z 0-9 - _ =`: refused by current mobile SDKs.
  bool outside_url_safe_set = false;

  friend bool operator==(const NameNotes&, const NameNotes&) = default;
};

/// What to warn of when minting for this identity. Only user names have notes.
NameNotes name_notes(const Identity& identity) noexcept;

/// Encodes any name into the URL-safe set that every SDK takes: base64url without padding. Every
/// name is encoded, also one that would not need it, so that two names never meet in one text.
/// @return kBadIdentity if the name is empty or longer than 191 bytes (255 encoded).
Result<std::string> encode_user_name(std::string_view name);
/// The inverse of encode_user_name().
/// @return kBadIdentity if the text is not the canonical encoding of a name.
Result<std::string> decode_user_name(std::string_view text);

}  // namespace countersign

#endif  // COUNTERSIGN_IDENTITY_H_

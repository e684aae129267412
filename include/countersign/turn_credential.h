// TURN REST credentials: short-lived user names and passwords for a TURN server that shares a
// secret with us, as coturn's `use-auth-secret` takes them.
//
//     username = expiry ":" user        ; seconds since 1970 when it ends
//     password = base64(HMAC-SHA1(secret text, username))
//
// They travel in clear and cannot be revoked: mint one per call, for 600 s, with a random pseudonym
// as the user part.
// Thread-safety: value types and pure functions.
// Source: docs/reference/ticket-format.md, "TURN credentials"; draft-uberti-behave-turn-rest-00.
#ifndef COUNTERSIGN_TURN_CREDENTIAL_H_
#define COUNTERSIGN_TURN_CREDENTIAL_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/replay_cache.h"
#include "countersign/result.h"

namespace countersign {

inline constexpr std::chrono::seconds kDefaultTurnLifetime{600};
/// The longest user part, in bytes; a STUN USERNAME stays below 513.
inline constexpr std::size_t kMaxTurnUserBytes = 255;

/// The secret shared with the TURN server. It is used as text, also when it looks like base64.
/// Wiped; moves only.
class TurnSecret {
 public:
  /// @return kBadSecret if the text is empty.
  static Result<TurnSecret> from_text(std::string_view text);

  TurnSecret(TurnSecret&& other) noexcept;
  TurnSecret& operator=(TurnSecret&& other) noexcept;
  TurnSecret(const TurnSecret&) = delete;
  TurnSecret& operator=(const TurnSecret&) = delete;
  ~TurnSecret();

  /// The secret itself. One searchable word for every place that touches it.
  std::string_view reveal() const noexcept { return {text_.data(), text_.size()}; }

 private:
  explicit TurnSecret(std::string_view text);

  std::vector<char>
      text_;  // not a std::string, whose short texts leave copies where they are moved
};

/// What to hand to a client.
struct TurnCredential {
  std::string username;
  std::string password;
};

/// Mints a credential.
/// @param user        the user part; empty for expiry alone. No control characters, 255 bytes.
/// @param expires_at  when it ends, not before 1970.
/// @param separator   as configured at the TURN server.
/// @return kBadUsername for another user part or a separator that is empty or holds digits.
Result<TurnCredential> mint_turn_credential(const TurnSecret& secret, std::string_view user,
                                            std::chrono::sys_seconds expires_at,
                                            std::string_view separator = ":");

/// What a valid credential says.
struct VerifiedTurnUser {
  std::string user;
  std::chrono::sys_seconds expires_at;
};

/// Verifies a credential as a TURN server does. Valid while `expiry >= now`, whole seconds.
/// @param secrets  all active secrets.
/// @return kBadUsername if the name is not 1-18 digits, alone or before the first separator, or its
///         user part could not have been minted; kBadPassword; kExpired.
Result<VerifiedTurnUser> verify_turn_credential(std::span<const TurnSecret> secrets,
                                                const TurnCredential& credential, Instant now,
                                                std::string_view separator = ":");

/// STUN's long-term key, MD5(username ":" realm ":" password) (RFC 5389 section 15.4).
std::array<std::byte, 16> turn_long_term_key(const TurnCredential& credential,
                                             std::string_view realm);

}  // namespace countersign

#endif  // COUNTERSIGN_TURN_CREDENTIAL_H_

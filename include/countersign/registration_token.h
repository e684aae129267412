// JWT registration tokens: what current SDKs take instead of a user ticket. A compact JWS with
// HS256, signed by a key derived from the secret and a UTC date that stands in the header's `kid`.
// Again three types for three states: raw, compact, verified.
// Thread-safety: value types; mint and verify may run concurrently on a shared ring.
// Source: docs/reference/ticket-format.md, "Registration tokens"; RFC 7515 (JWS), RFC 7519 (JWT).
#ifndef COUNTERSIGN_REGISTRATION_TOKEN_H_
#define COUNTERSIGN_REGISTRATION_TOKEN_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "countersign/application_secret.h"
#include "countersign/identity.h"
#include "countersign/key_ring.h"
#include "countersign/policy.h"
#include "countersign/replay_cache.h"
#include "countersign/result.h"
#include "countersign/user_ticket.h"

namespace countersign {

inline constexpr std::chrono::seconds kDefaultTokenLifetime{600};
inline constexpr std::chrono::seconds kMinTokenLifetime{60};
/// The shortest limit of a registration on a device.
inline constexpr std::chrono::hours kMinRegistrationLifetime{48};
/// The longest nonce that is minted, in bytes.
inline constexpr std::size_t kMaxNonceBytes = 255;

/// What to mint. Nothing here is trusted or checked yet.
struct RawRegistrationToken {
  /// 1-255 printable ASCII characters without blank and `/`.
  std::string user_id;
  std::string application_key;
  /// When the token is made; its UTC date also selects the signing key.
  std::chrono::sys_seconds issued_at;
  /// 60 s to 604800 s.
  std::chrono::seconds expires_in{kDefaultTokenLifetime};
  /// Unique text of 1-255 bytes, for instance a UUID.
  std::string nonce;
  /// When the registration on the device ends; at least 48 h after issued_at. Absent: not limited.
  std::optional<std::chrono::sys_seconds> registration_expires_at = std::nullopt;
};

/// A minted token: the text to hand to the client.
class CompactRegistrationToken {
 public:
  const std::string& text() const noexcept { return text_; }

 private:
  friend Result<CompactRegistrationToken> mint_registration_token(const KeyRing&,
                                                                  const RawRegistrationToken&);
  explicit CompactRegistrationToken(std::string text) noexcept : text_(std::move(text)) {}

  std::string text_;
};

/// Mints a token with its claims in the documented order.
/// @return kUnknownKey; kBadIdentity for a user id that does not fit one path segment; kBadCreated
///         outside years 0000-9999; kBadLifetime, kLifetimeTooLong; kMissingClaim for an empty,
///         overlong or malformed nonce; kBadInstanceLifetime.
Result<CompactRegistrationToken> mint_registration_token(const KeyRing& ring,
                                                         const RawRegistrationToken& raw);

/// A token whose MAC held and that was valid at the instant it was verified.
class VerifiedRegistrationToken {
 public:
  /// Always of type username.
  const Identity& identity() const noexcept { return identity_; }
  const std::string& application_key() const noexcept { return application_key_; }
  std::chrono::sys_seconds issued_at() const noexcept { return issued_at_; }
  std::chrono::sys_seconds expires_at() const noexcept { return expires_at_; }
  const std::string& nonce() const noexcept { return nonce_; }
  std::optional<std::chrono::sys_seconds> registration_expires_at() const noexcept {
    return registration_expires_at_;
  }

 private:
  friend class RegistrationTokenVerifier;
  VerifiedRegistrationToken() = default;

  Identity identity_;
  std::string application_key_;
  std::chrono::sys_seconds issued_at_{};
  std::chrono::sys_seconds expires_at_{};
  std::string nonce_;
  std::optional<std::chrono::sys_seconds> registration_expires_at_;
};

class RegistrationTokenVerifier {
 public:
  /// With a replay cache of its own (BoundedReplayCache, default capacity), because a token is
  /// meant for one use.
  RegistrationTokenVerifier(std::shared_ptr<const KeyRing> ring, Policy policy);
  /// With this replay cache, which outlives the verifier; null turns the check off.
  RegistrationTokenVerifier(std::shared_ptr<const KeyRing> ring, Policy policy,
                            ReplayCache* replay) noexcept;

  /// Verifies a token and returns its content.
  /// @param compact  the token alone.
  /// @param now      current time, UTC. Valid while `iat - skew <= now < exp + skew`.
  /// @param options  as for user tickets; the replay check is by application and nonce.
  /// @return the token, or the first reason of: kTooLarge, kBadLayout, kBadBase64,
  ///         kBadSignatureLength, kBadJson, kTooDeep, kDuplicateMember, kNotAnObject, kBadAlg,
  ///         kUnsupportedHeader, kBadKid, kBadIssuer, kUnknownKey, kBadSignature, kBadSubject,
  ///         kMissingClaim, kBadInstanceLifetime, kKidDateMismatch, kBadLifetime,
  ///         kLifetimeTooLong, kNotYetValid, kExpired, kIdentityMismatch, kReplayed; kOverloaded if
  ///         the replay cache is full. Nothing in the token may be trusted on failure.
  /// Thread-safe. An unknown application costs as much as a wrong signature.
  Result<VerifiedRegistrationToken> verify(std::string_view compact, Instant now,
                                           const VerifyOptions& options = {}) const;

  const Policy& policy() const noexcept { return policy_; }

 private:
  std::shared_ptr<const KeyRing> ring_;
  Policy policy_;
  std::shared_ptr<ReplayCache> own_replay_;
  ReplayCache* replay_;
};

/// The key that signs tokens of one UTC date: HMAC-SHA256(secret, "YYYYMMDD"). The `kid` calls it
/// hkdf; it is one HMAC and not RFC 5869. For interoperability tests; mint and verify do this
/// themselves.
std::array<std::byte, 32> registration_signing_key(const ApplicationSecret& secret,
                                                   std::chrono::year_month_day date);

}  // namespace countersign

#endif  // COUNTERSIGN_REGISTRATION_TOKEN_H_

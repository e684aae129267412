// User tickets: `base64(payload) ":" base64(HMAC-SHA256(secret, payload))`, minted by an
// application server and presented to the platform. Three types for three states: RawUserTicket
// (what to mint), CompactUserTicket (minted), VerifiedUserTicket (only a verifier makes one). A
// function that needs a trusted ticket takes VerifiedUserTicket; the others do not compile.
// Thread-safety: value types; mint and verify may run concurrently on a shared ring.
// Source: docs/reference/ticket-format.md; RFC 2104 (HMAC), RFC 4648 section 4 (base64, strict).
#ifndef COUNTERSIGN_USER_TICKET_H_
#define COUNTERSIGN_USER_TICKET_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "countersign/identity.h"
#include "countersign/key_ring.h"
#include "countersign/policy.h"
#include "countersign/replay_cache.h"
#include "countersign/result.h"

namespace countersign {

/// The lifetime that producers write when nothing else is wanted.
inline constexpr std::chrono::seconds kDefaultTicketLifetime{3600};

/// What to mint. Nothing here is trusted or checked yet.
struct RawUserTicket {
  Identity identity;
  std::string application_key;
  /// When the ticket is made, years 0000 to 9999.
  std::chrono::sys_seconds created;
  /// 1 s to the policy's maximum (86400 s), counted from `created`.
  std::chrono::seconds expires_in{kDefaultTicketLifetime};
  /// The public handle of the sign-in session the ticket dies with, 1-64 of `A-Za-z0-9_-`.
  /// Tickets for other platforms leave it out.
  std::optional<std::string> session = std::nullopt;
};

/// A minted ticket: the text to hand to the client.
class CompactUserTicket {
 public:
  const std::string& text() const noexcept { return text_; }
  /// Which client SDKs would refuse the user name; for a warning to whoever chose it.
  const NameNotes& notes() const noexcept { return notes_; }

 private:
  friend Result<CompactUserTicket> mint_user_ticket(const KeyRing&, const RawUserTicket&,
                                                    const Policy&);
  CompactUserTicket(std::string text, NameNotes notes) noexcept
      : text_(std::move(text)), notes_(notes) {}

  std::string text_;
  NameNotes notes_;
};

/// Mints a ticket in the canonical form, with the ring's minting secret of the application.
/// @param policy  whose rules for identities and longest lifetime the ticket has to meet.
/// @return kUnknownKey; kBadIdentity; kBadLifetime below 1 s; kLifetimeTooLong above the policy's
///         maximum; kBadCreated outside years 0000-9999; kBadSession.
Result<CompactUserTicket> mint_user_ticket(const KeyRing& ring, const RawUserTicket& raw,
                                           const Policy& policy = Policy::default_policy());

/// A ticket whose MAC held and that was valid at the instant it was verified.
class VerifiedUserTicket {
 public:
  const Identity& identity() const noexcept { return identity_; }
  const std::string& application_key() const noexcept { return application_key_; }
  Instant created() const noexcept { return created_; }
  std::chrono::seconds expires_in() const noexcept { return expires_in_; }
  /// `created + expires_in`; the verifier's skew is not added.
  Instant expires_at() const noexcept { return expires_at_; }
  /// The sign-in session, if the ticket names one. Whether it is live is the caller's to look up.
  const std::optional<std::string>& session() const noexcept { return session_; }
  /// The MAC: the ticket's own name, for instance in a replay store.
  const std::array<std::byte, 32>& mac() const noexcept { return mac_; }

 private:
  friend class UserTicketVerifier;
  VerifiedUserTicket() = default;

  Identity identity_;
  std::string application_key_;
  Instant created_{};
  std::chrono::seconds expires_in_{};
  Instant expires_at_{};
  std::optional<std::string> session_;
  std::array<std::byte, 32> mac_{};
};

struct VerifyOptions {
  /// The identity the caller already knows the client by; another one is kIdentityMismatch.
  std::optional<Identity> expected_identity = std::nullopt;
  /// Names the device for the replay cache; empty when devices are not told apart.
  std::string_view presenter = {};
};

class UserTicketVerifier {
 public:
  /// @param ring    the applications to accept.
  /// @param policy  see policy.h.
  /// @param replay  off when null, which is the default for tickets; otherwise outlives this.
  UserTicketVerifier(std::shared_ptr<const KeyRing> ring, Policy policy,
                     ReplayCache* replay = nullptr) noexcept;

  /// Verifies a ticket and returns its content.
  ///
  /// The MAC covers the received bytes; no value of the payload but the application key is used
  /// before it holds. An unknown application costs as much as a wrong signature.
  /// @param compact  the ticket alone: no scheme, no white space around it.
  /// @param now      current time, UTC. Expired when `now >= created + life + skew`.
  /// @return the ticket, or the first reason in the order of the format reference: kTooLarge,
  ///         kBadLayout, kBadBase64, kBadSignatureLength, kBadJson, kTooDeep, kDuplicateMember,
  ///         kNotAnObject, kBadMemberName, kUnknownMember, kMissingMember, kUnknownKey,
  ///         kBadSignature, kBadIdentityType, kBadIdentity, kBadSession, kBadCreated, kBadLifetime,
  ///         kLifetimeTooLong, kNotYetValid, kExpired, kIdentityMismatch, kReplayed; kOverloaded if
  ///         the replay cache is full. Nothing in the ticket may be trusted on failure.
  Result<VerifiedUserTicket> verify(std::string_view compact, Instant now,
                                    const VerifyOptions& options = {}) const;

  const Policy& policy() const noexcept { return policy_; }

 private:
  std::optional<ErrorCode> check(std::string_view compact, Instant now,
                                 const VerifyOptions& options, VerifiedUserTicket& ticket) const;

  std::shared_ptr<const KeyRing> ring_;
  Policy policy_;
  ReplayCache* replay_;
};

/// What a ticket claims. Nobody has checked the signature: for display only.
struct UnverifiedUserTicket {
  std::string payload;  ///< the payload bytes, which are valid JSON
  std::optional<std::string> identity_type;
  std::optional<std::string> endpoint;
  std::optional<std::string> application_key;
  std::optional<std::string> created;
  std::optional<std::string> expires_in;  ///< as written, number or text
  std::optional<std::string> session;
};

/// Reads the claims of a ticket without any key.
/// @return kTooLarge, kBadLayout, kBadBase64, kBadSignatureLength, kBadJson, kTooDeep,
///         kDuplicateMember or kNotAnObject. Members that are missing or of another type are
///         absent.
Result<UnverifiedUserTicket> inspect_user_ticket(std::string_view compact);

}  // namespace countersign

#endif  // COUNTERSIGN_USER_TICKET_H_

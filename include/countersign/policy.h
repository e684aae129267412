// Policies: the numbers and switches a verifier follows. `default` takes what all known producers
// write; `strict` takes only what leaves nothing to interpretation.
// Thread-safety: value types.
// Source: docs/reference/ticket-format.md, "Policies".
#ifndef COUNTERSIGN_POLICY_H_
#define COUNTERSIGN_POLICY_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

#include "countersign/identity.h"

namespace countersign {

enum class PolicyName { kDefault, kStrict };

/// The name as settings and commands write it: `default` or `strict`.
std::string_view policy_name(PolicyName name) noexcept;
std::optional<PolicyName> parse_policy_name(std::string_view text) noexcept;

/// The largest ticket or token that both policies look at, in bytes.
inline constexpr std::size_t kMaxTicketBytes = 8192;
/// No policy can raise that limit beyond this.
inline constexpr std::size_t kMaxTicketBytesOfAnyPolicy = std::size_t{1} << 20;

struct Policy {
  /// Longer input is refused before anything is scanned. Tickets above kMaxTicketBytes cost an
  /// allocation each; at most kMaxTicketBytesOfAnyPolicy takes effect.
  std::size_t max_ticket_bytes = kMaxTicketBytes;
  /// How far the producer's clock may be off, either way.
  std::chrono::seconds clock_skew{60};
  /// The lifetime of a ticket without `expiresIn`; nothing means such a ticket is refused.
  std::optional<std::chrono::seconds> default_lifetime{std::chrono::seconds{3600}};
  std::chrono::seconds max_ticket_lifetime{86400};
  /// `applicationkey`, as C# producers write it, counts as `applicationKey`.
  bool accept_lower_case_key_member = true;
  /// `expiresIn` may be a string of 1-18 digits, as PHP producers write it.
  bool accept_string_lifetime = true;
  /// `created` without a zone, as Python producers write it, is read as UTC.
  bool accept_missing_zone = true;
  /// Members the format does not know are ignored; otherwise they are refused.
  bool ignore_unknown_members = true;
  UserNameRule user_name_rule = UserNameRule::kUtf8;
  std::size_t max_user_name_bytes = kMaxUserNameBytes;
  std::chrono::seconds max_jwt_lifetime{604800};
  /// How many days the date in a token's `kid` may differ from the UTC date of `iat`.
  std::chrono::days max_kid_distance{1};
  /// How far the timestamp of a signed request may be from now, either way.
  std::chrono::seconds request_tolerance{300};

  static Policy default_policy() noexcept;
  static Policy strict() noexcept;
  static Policy named(PolicyName name) noexcept;
};

}  // namespace countersign

#endif  // COUNTERSIGN_POLICY_H_

#include <array>
#include <charconv>
#include <cstring>
#include <limits>

#include "countersign/user_ticket.h"

#include "ticket/base64.h"
#include "ticket/json_reader.h"
#include "ticket/key_ring_access.h"
#include "ticket/session_handle.h"
#include "ticket/timestamp.h"

namespace countersign {
namespace {

constexpr auto kBase64 = base64::Variant::kStandard;

// The decoded halves of a ticket, in memory of its own unless a policy allows uncommonly large
// ones.
struct Envelope {
  std::array<char, base64::max_decoded_size(kMaxTicketBytes)> buffer;
  std::unique_ptr<char[]> large_buffer;
  std::string_view payload;
  std::string_view signature;
};

// Steps 1 to 4 of the checklist: size, layout, base64, length of the signature.
std::optional<ErrorCode> open_envelope(std::string_view compact, std::size_t max_bytes,
                                       Envelope& envelope) {
  if (compact.size() > std::min(max_bytes, kMaxTicketBytesOfAnyPolicy)) return ErrorCode::kTooLarge;
  const std::size_t colon = compact.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == compact.size() ||
      compact.find(':', colon + 1) != std::string_view::npos) {
    return ErrorCode::kBadLayout;
  }
  char* out = envelope.buffer.data();
  if (compact.size() > kMaxTicketBytes) {
    envelope.large_buffer = std::make_unique<char[]>(base64::max_decoded_size(compact.size()));
    out = envelope.large_buffer.get();
  }
  // Both halves fit into one buffer: together they are shorter than the ticket's own bound.
  const std::optional<std::size_t> payload_size =
      base64::decode(kBase64, compact.substr(0, colon), out);
  if (!payload_size) return ErrorCode::kBadBase64;
  const std::optional<std::size_t> signature_size =
      base64::decode(kBase64, compact.substr(colon + 1), out + *payload_size);
  if (!signature_size) return ErrorCode::kBadBase64;
  if (*signature_size != sizeof(Mac)) return ErrorCode::kBadSignatureLength;
  envelope.payload = {out, *payload_size};
  envelope.signature = {out + *payload_size, *signature_size};
  return std::nullopt;
}

// The members the format knows; null where absent.
struct Members {
  const JsonNode* identity = nullptr;
  const JsonNode* type = nullptr;
  const JsonNode* endpoint = nullptr;
  const JsonNode* application_key = nullptr;
  const JsonNode* created = nullptr;
  const JsonNode* expires_in = nullptr;
  const JsonNode* session = nullptr;
};

constexpr std::string_view kLowerCaseKeyMember = "applicationkey";

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [&](char x, char y) { return lower(x) == lower(y); });
}

struct KnownMember {
  std::string_view name;
  const JsonNode* Members::*slot;
};

constexpr std::array kTopLevelMembers = {
    KnownMember{"identity", &Members::identity},
    KnownMember{"expiresIn", &Members::expires_in},
    KnownMember{"applicationKey", &Members::application_key},
    KnownMember{"created", &Members::created},
    KnownMember{"session", &Members::session},
};
constexpr std::array kIdentityMembers = {
    KnownMember{"type", &Members::type},
    KnownMember{"endpoint", &Members::endpoint},
};

// What the member names of a ticket say against it. All are looked at before one is reported, so
// that the reason does not depend on the order of the members.
struct NameFaults {
  bool duplicate = false;
  bool bad_name = false;
  bool unknown = false;
};

template <class Known>
void sort_members(const JsonDocument& json, const JsonNode& object, const Known& known,
                  bool lower_case_key, Members& members, NameFaults& faults) noexcept {
  const auto index = static_cast<std::size_t>(&object - json.begin());
  for (std::size_t i = index + 1; i < object.end; i = json[i].end) {
    const std::string_view name = json[i].name;
    const JsonNode* Members::*slot = nullptr;
    for (const KnownMember& member : known) {
      if (member.name == name) slot = member.slot;
    }
    if (slot == nullptr && lower_case_key && name == kLowerCaseKeyMember) {
      slot = &Members::application_key;
    }
    if (slot != nullptr) {
      // Exact duplicates are found before; here it is the key member in both spellings.
      faults.duplicate |= members.*slot != nullptr;
      members.*slot = &json[i];
      continue;
    }
    bool similar = false;
    for (const KnownMember& member : known) similar |= equal_ignoring_case(member.name, name);
    faults.bad_name |= similar;
    faults.unknown |= !similar;
  }
}

bool is_string(const JsonNode* node) noexcept {
  return node != nullptr && node->type == JsonType::kString;
}

// Step 8: names, presence and types of the members.
std::optional<ErrorCode> find_members(const JsonDocument& json, const Policy& policy,
                                      Members& members) noexcept {
  NameFaults faults;
  sort_members(json, json.root(), kTopLevelMembers, policy.accept_lower_case_key_member, members,
               faults);
  if (members.identity != nullptr && members.identity->type == JsonType::kObject) {
    sort_members(json, *members.identity, kIdentityMembers, false, members, faults);
  }
  if (faults.duplicate) return ErrorCode::kDuplicateMember;
  if (faults.bad_name) return ErrorCode::kBadMemberName;
  if (faults.unknown && !policy.ignore_unknown_members) return ErrorCode::kUnknownMember;
  const bool complete = members.identity != nullptr && is_string(members.type) &&
                        is_string(members.endpoint) && is_string(members.application_key) &&
                        is_string(members.created) &&
                        (members.expires_in != nullptr || policy.default_lifetime.has_value());
  if (!complete) return ErrorCode::kMissingMember;
  return std::nullopt;
}

constexpr std::int64_t kNotAnInteger = std::numeric_limits<std::int64_t>::min();

// Reads an integer in decimal digits. Values too long for 64 bits count as the largest, which is
// over every maximum.
std::int64_t parse_integer(std::string_view text) noexcept {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const std::from_chars_result read = std::from_chars(text.data(), end, value);
  if (read.ptr != end) return kNotAnInteger;
  if (read.ec == std::errc::result_out_of_range && text.front() != '-') {
    return std::numeric_limits<std::int64_t>::max();
  }
  return read.ec == std::errc{} ? value : kNotAnInteger;
}

// 1-18 digits, as a value from a web form is written by PHP: no sign, no blank.
bool is_digit_string(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 18 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Step 12, the lifetime.
Result<std::chrono::seconds> read_lifetime(const JsonNode* member, const Policy& policy) {
  std::int64_t lifetime = kNotAnInteger;
  if (member == nullptr) {
    // find_members() has refused the ticket if the policy has no default.
    lifetime = policy.default_lifetime.value_or(std::chrono::seconds{0}).count();
  } else if (member->type == JsonType::kNumber ||
             (member->type == JsonType::kString && policy.accept_string_lifetime &&
              is_digit_string(member->text))) {
    lifetime = parse_integer(member->text);
  }
  if (lifetime < 1) return fail(ErrorCode::kBadLifetime);
  if (lifetime > policy.max_ticket_lifetime.count()) return fail(ErrorCode::kLifetimeTooLong);
  return std::chrono::seconds{lifetime};
}

std::optional<std::string> optional_text(const JsonNode* node) {
  if (node == nullptr || (node->type != JsonType::kString && node->type != JsonType::kNumber)) {
    return std::nullopt;
  }
  return std::string(node->text);
}

}  // namespace

UserTicketVerifier::UserTicketVerifier(std::shared_ptr<const KeyRing> ring, Policy policy,
                                       ReplayCache* replay) noexcept
    : ring_(std::move(ring)), policy_(policy), replay_(replay) {}

Result<VerifiedUserTicket> UserTicketVerifier::verify(std::string_view compact, Instant now,
                                                      const VerifyOptions& options) const {
  Envelope envelope;
  if (const auto fault = open_envelope(compact, policy_.max_ticket_bytes, envelope)) {
    return fail(*fault);
  }

  // Unauthenticated input up to the MAC: bounded by its size, and used to choose the key only.
  JsonDocument json;
  if (const auto fault = json.parse(envelope.payload)) return fail(*fault);
  if (json.root().type != JsonType::kObject) return fail(ErrorCode::kNotAnObject);
  Members members;
  if (const auto fault = find_members(json, policy_, members)) return fail(*fault);
  const KeyRingAccess::Entry* const application =
      KeyRingAccess::find(*ring_, members.application_key->text);
  const bool authentic =
      KeyRingAccess::verify(*ring_, application, as_bytes_of(envelope.signature),
                            [&](const MacKey& key) { return key.sign(envelope.payload); });
  if (application == nullptr) return fail(ErrorCode::kUnknownKey);
  if (!authentic) return fail(ErrorCode::kBadSignature);

  const std::optional<IdentityType> type = parse_identity_type(members.type->text);
  if (!type) return fail(ErrorCode::kBadIdentityType);
  Result<VerifiedUserTicket> result{VerifiedUserTicket{}};
  VerifiedUserTicket& ticket = *result;
  ticket.identity_.type = *type;
  ticket.identity_.endpoint = members.endpoint->text;
  if (Result<void> valid =
          validate_identity(ticket.identity_, policy_.user_name_rule, policy_.max_user_name_bytes);
      !valid) {
    return valid.failure();
  }
  if (members.session != nullptr) {
    if (!is_string(members.session) || !is_session_handle(members.session->text)) {
      return fail(ErrorCode::kBadSession);
    }
    ticket.session_.emplace(members.session->text);
  }

  const std::optional<Timestamp> created =
      parse_timestamp(members.created->text,
                      policy_.accept_missing_zone ? ZoneRule::kMissingIsUtc : ZoneRule::kRequired);
  if (!created) return fail(ErrorCode::kBadCreated);
  const Result<std::chrono::seconds> lifetime = read_lifetime(members.expires_in, policy_);
  if (!lifetime) return lifetime.failure();
  const Timestamp current = Timestamp::from(now);
  if (current.plus(policy_.clock_skew) < *created) return fail(ErrorCode::kNotYetValid);
  const Timestamp expires = created->plus(*lifetime);
  if (current >= expires.plus(policy_.clock_skew)) return fail(ErrorCode::kExpired);

  if (options.expected_identity && *options.expected_identity != ticket.identity_) {
    return fail(ErrorCode::kIdentityMismatch);
  }
  ticket.application_key_ = application->application_key;
  ticket.created_ = created->to_instant();
  ticket.expires_in_ = *lifetime;
  ticket.expires_at_ = expires.to_instant();
  std::memcpy(ticket.mac_.data(), envelope.signature.data(), ticket.mac_.size());
  if (replay_ != nullptr) {
    switch (replay_->note(ticket.mac_, options.presenter, now,
                          expires.plus(policy_.clock_skew).to_instant())) {
      case ReplayVerdict::kFirst:
      case ReplayVerdict::kRepeat:
        break;
      case ReplayVerdict::kReplayed:
        return fail(ErrorCode::kReplayed);
      case ReplayVerdict::kFull:
        return fail(ErrorCode::kOverloaded, "the replay cache is full");
    }
  }
  return result;
}

Result<UnverifiedUserTicket> inspect_user_ticket(std::string_view compact) {
  Envelope envelope;
  if (const auto fault = open_envelope(compact, kMaxTicketBytes, envelope)) return fail(*fault);
  JsonDocument json;
  if (const auto fault = json.parse(envelope.payload)) return fail(*fault);
  if (json.root().type != JsonType::kObject) return fail(ErrorCode::kNotAnObject);
  Members members;
  NameFaults ignored;
  sort_members(json, json.root(), kTopLevelMembers, true, members, ignored);
  if (members.identity != nullptr && members.identity->type == JsonType::kObject) {
    sort_members(json, *members.identity, kIdentityMembers, false, members, ignored);
  }
  UnverifiedUserTicket ticket;
  ticket.payload = envelope.payload;
  ticket.identity_type = optional_text(members.type);
  ticket.endpoint = optional_text(members.endpoint);
  ticket.application_key = optional_text(members.application_key);
  ticket.created = optional_text(members.created);
  ticket.expires_in = optional_text(members.expires_in);
  ticket.session = optional_text(members.session);
  return ticket;
}

}  // namespace countersign

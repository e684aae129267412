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
#include "ticket/word_scan.h"

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
  // Both halves fit into one buffer: together they are shorter than the ticket.
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

// The canonical form, which this library, the Ruby, the PHP and the Java producers write, has one
// order and no blanks: it is read without the JSON reader, which takes about as long as the MAC.
// A payload that differs in anything, be it an escape, is left to the JSON reader; what is taken
// here is what the JSON reader would have found.
class CanonicalPayload {
 public:
  // True if the payload has the canonical form; `members` then points into this object.
  bool read(std::string_view payload, Members& members) noexcept {
    at_ = payload.data();
    end_ = at_ + payload.size();
    const bool common = takes(R"({"identity":{"type":")") && takes_text(type_) &&
                        takes(R"(,"endpoint":")") && takes_text(endpoint_) &&
                        takes(R"(},"expiresIn":)") && takes_digits(expires_in_) &&
                        takes(R"(,"applicationKey":")") && takes_text(application_key_) &&
                        takes(R"(,"created":")") && takes_text(created_);
    if (!common) return false;
    const bool with_session = takes(R"(,"session":")");
    if (with_session && !takes_text(session_)) return false;
    if (end_ - at_ != 1 || *at_ != '}') return false;
    members.type = &type_;
    members.endpoint = &endpoint_;
    members.expires_in = &expires_in_;
    members.application_key = &application_key_;
    members.created = &created_;
    if (with_session) members.session = &session_;
    return true;
  }

 private:
  bool takes(std::string_view literal) noexcept {
    if (static_cast<std::size_t>(end_ - at_) < literal.size() ||
        std::memcmp(at_, literal.data(), literal.size()) != 0) {
      return false;
    }
    at_ += literal.size();
    return true;
  }

  // Takes printable ASCII up to and with the closing quote.
  bool takes_text(JsonNode& node) noexcept {
    const char* const begin = at_;
    unsigned plain = 8;
    while (plain == 8 && end_ - at_ >= 8) at_ += plain = plain_characters(at_);
    while (at_ != end_ && *at_ >= ' ' && *at_ != '"' && *at_ != '\\') ++at_;
    if (at_ == end_ || *at_ != '"') return false;
    node.type = JsonType::kString;
    node.text = {begin, static_cast<std::size_t>(at_ - begin)};
    ++at_;
    return true;
  }

  bool takes_digits(JsonNode& node) noexcept {
    const char* const begin = at_;
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    node.type = JsonType::kNumber;
    node.text = {begin, static_cast<std::size_t>(at_ - begin)};
    return at_ != begin && (*begin != '0' || node.text.size() == 1);
  }

  const char* at_ = nullptr;
  const char* end_ = nullptr;
  JsonNode type_;
  JsonNode endpoint_;
  JsonNode expires_in_;
  JsonNode application_key_;
  JsonNode created_;
  JsonNode session_;
};

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
std::optional<ErrorCode> read_lifetime(const JsonNode* member, const Policy& policy,
                                       std::chrono::seconds& result) noexcept {
  std::int64_t lifetime = kNotAnInteger;
  if (member == nullptr) {
    // find_members() has refused the ticket if the policy has no default.
    lifetime = policy.default_lifetime.value_or(std::chrono::seconds{0}).count();
  } else if (member->type == JsonType::kNumber ||
             (member->type == JsonType::kString && policy.accept_string_lifetime &&
              is_digit_string(member->text))) {
    lifetime = parse_integer(member->text);
  }
  if (lifetime < 1) return ErrorCode::kBadLifetime;
  if (lifetime > policy.max_ticket_lifetime.count()) return ErrorCode::kLifetimeTooLong;
  result = std::chrono::seconds{lifetime};
  return std::nullopt;
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
  Result<VerifiedUserTicket> result{VerifiedUserTicket{}};
  if (const auto fault = check(compact, now, options, *result)) result = fail(*fault);
  return result;
}

std::optional<ErrorCode> UserTicketVerifier::check(std::string_view compact, Instant now,
                                                   const VerifyOptions& options,
                                                   VerifiedUserTicket& ticket) const {
  Envelope envelope;
  if (const auto fault = open_envelope(compact, policy_.max_ticket_bytes, envelope)) return fault;

  // Unauthenticated input up to the MAC: bounded by its size, and used to choose the key only.
  Members members;
  CanonicalPayload canonical;
  JsonDocument json;
  if (!canonical.read(envelope.payload, members)) {
    if (const auto fault = json.parse(envelope.payload)) return fault;
    if (json.root().type != JsonType::kObject) return ErrorCode::kNotAnObject;
    if (const auto fault = find_members(json, policy_, members)) return fault;
  }
  const KeyRingAccess::Entry* const application =
      KeyRingAccess::find(*ring_, members.application_key->text);
  const bool authentic =
      KeyRingAccess::verify(*ring_, application, as_bytes_of(envelope.signature),
                            [&](const MacKey& key) { return key.sign(envelope.payload); });
  if (application == nullptr) return ErrorCode::kUnknownKey;
  if (!authentic) return ErrorCode::kBadSignature;

  const std::optional<IdentityType> type = parse_identity_type(members.type->text);
  if (!type) return ErrorCode::kBadIdentityType;
  ticket.identity_.type = *type;
  ticket.identity_.endpoint = members.endpoint->text;
  const Result<void> valid =
      validate_identity(ticket.identity_, policy_.user_name_rule, policy_.max_user_name_bytes);
  if (!valid) return valid.code();
  if (members.session != nullptr) {
    if (!is_string(members.session) || !is_session_handle(members.session->text)) {
      return ErrorCode::kBadSession;
    }
    ticket.session_.emplace(members.session->text);
  }

  const ZoneRule zone = policy_.accept_missing_zone ? ZoneRule::kMissingIsUtc : ZoneRule::kRequired;
  const std::optional<Timestamp> created = parse_timestamp(members.created->text, zone);
  if (!created) return ErrorCode::kBadCreated;
  if (const auto fault = read_lifetime(members.expires_in, policy_, ticket.expires_in_)) {
    return fault;
  }
  const Timestamp current = Timestamp::from(now);
  if (current.plus(policy_.clock_skew) < *created) return ErrorCode::kNotYetValid;
  const Timestamp expires = created->plus(ticket.expires_in_);
  if (current >= expires.plus(policy_.clock_skew)) return ErrorCode::kExpired;

  if (options.expected_identity && *options.expected_identity != ticket.identity_) {
    return ErrorCode::kIdentityMismatch;
  }
  ticket.application_key_ = application->application_key;
  ticket.created_ = created->to_instant();
  ticket.expires_at_ = expires.to_instant();
  std::memcpy(ticket.mac_.data(), envelope.signature.data(), ticket.mac_.size());
  if (replay_ == nullptr) return std::nullopt;
  switch (replay_->note(ticket.mac_, options.presenter, now,
                        expires.plus(policy_.clock_skew).to_instant())) {
    case ReplayVerdict::kFirst:
    case ReplayVerdict::kRepeat:
      return std::nullopt;
    case ReplayVerdict::kReplayed:
      return ErrorCode::kReplayed;
    case ReplayVerdict::kFull:
      break;
  }
  return ErrorCode::kOverloaded;
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

#include <charconv>
#include <cstdlib>
#include <limits>

#include "countersign/registration_token.h"

#include "ticket/base64.h"
#include "ticket/digest.h"
#include "ticket/json_reader.h"
#include "ticket/jwt_parts.h"
#include "ticket/key_ring_access.h"
#include "ticket/timestamp.h"

namespace countersign {
namespace {

constexpr auto kBase64Url = base64::Variant::kUrlSafe;

struct Parts {
  std::string_view signed_text;  // header "." claims, as received: what the MAC covers
  std::string header;
  std::string claims;
  std::string signature;
};

std::optional<ErrorCode> split(std::string_view compact, Parts& parts) {
  const std::size_t first = compact.find('.');
  if (first == std::string_view::npos) return ErrorCode::kBadLayout;
  const std::size_t second = compact.find('.', first + 1);
  if (second == std::string_view::npos || compact.find('.', second + 1) != std::string_view::npos ||
      first == 0 || second == first + 1 || second + 1 == compact.size()) {
    return ErrorCode::kBadLayout;
  }
  std::optional<std::string> header = base64::decode(kBase64Url, compact.substr(0, first));
  std::optional<std::string> claims =
      base64::decode(kBase64Url, compact.substr(first + 1, second - first - 1));
  std::optional<std::string> signature = base64::decode(kBase64Url, compact.substr(second + 1));
  if (!header || !claims || !signature) return ErrorCode::kBadBase64;
  if (signature->size() != sizeof(Mac)) return ErrorCode::kBadSignatureLength;
  parts.signed_text = compact.substr(0, second);
  parts.header = *std::move(header);
  parts.claims = *std::move(claims);
  parts.signature = *std::move(signature);
  return std::nullopt;
}

const JsonNode* find_member(const JsonDocument& json, std::string_view name) noexcept {
  for (std::size_t i = 1; i < json.root().end; i = json[i].end) {
    if (json[i].name == name) return &json[i];
  }
  return nullptr;
}

std::optional<std::string_view> find_string(const JsonDocument& json,
                                            std::string_view name) noexcept {
  const JsonNode* const member = find_member(json, name);
  if (member == nullptr || member->type != JsonType::kString) return std::nullopt;
  return member->text;
}

// An instant in seconds since 1970. Numbers too long for 64 bits count as the farthest instant;
// fractions and exponents are not integers.
std::optional<std::int64_t> integer_of(const JsonNode* member) noexcept {
  if (member == nullptr || member->type != JsonType::kNumber) return std::nullopt;
  // Half the range, so that no difference of two claims overflows.
  constexpr std::int64_t kFarthest = std::numeric_limits<std::int64_t>::max() / 4;
  std::int64_t value = 0;
  const std::string_view text = member->text;
  const std::from_chars_result read =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ptr != text.data() + text.size()) return std::nullopt;
  if (read.ec == std::errc::result_out_of_range)
    return text.front() == '-' ? -kFarthest : kFarthest;
  return std::clamp(value, -kFarthest, kFarthest);
}

std::optional<ErrorCode> parse_object(JsonDocument& json, std::string_view text) {
  if (const auto fault = json.parse(text)) return fault;
  if (json.root().type != JsonType::kObject) return ErrorCode::kNotAnObject;
  return std::nullopt;
}

// The date of `hkdfv1-YYYYMMDD`.
std::optional<std::chrono::year_month_day> parse_kid(std::string_view kid) noexcept {
  if (kid.size() != jwt::kKidPrefix.size() + 8 || !kid.starts_with(jwt::kKidPrefix)) {
    return std::nullopt;
  }
  kid.remove_prefix(jwt::kKidPrefix.size());
  if (kid.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  unsigned number = 0;
  std::from_chars(kid.data(), kid.data() + kid.size(), number);
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(number / 10000)},
                                         std::chrono::month{number / 100 % 100},
                                         std::chrono::day{number % 100}};
  if (!date.ok()) return std::nullopt;
  return date;
}

// Names one token for the replay cache. The separators keep (application, nonce) unambiguous: no
// application key holds a line feed.
ReplayId replay_id(std::string_view application_key, std::string_view nonce) {
  std::string text = "registration-token/1\n";
  text += application_key;
  text += '\n';
  text += nonce;
  return digest<32>("SHA256", text);
}

}  // namespace

RegistrationTokenVerifier::RegistrationTokenVerifier(std::shared_ptr<const KeyRing> ring,
                                                     Policy policy)
    : ring_(std::move(ring)),
      policy_(policy),
      own_replay_(std::make_shared<BoundedReplayCache>()),
      replay_(own_replay_.get()) {}

RegistrationTokenVerifier::RegistrationTokenVerifier(std::shared_ptr<const KeyRing> ring,
                                                     Policy policy, ReplayCache* replay) noexcept
    : ring_(std::move(ring)), policy_(policy), replay_(replay) {}

Result<VerifiedRegistrationToken> RegistrationTokenVerifier::verify(
    std::string_view compact, Instant now, const VerifyOptions& options) const {
  if (compact.size() > std::min(policy_.max_ticket_bytes, kMaxTicketBytesOfAnyPolicy)) {
    return fail(ErrorCode::kTooLarge);
  }
  Parts parts;
  if (const auto fault = split(compact, parts)) return fail(*fault);

  // The header is checked before any key is touched: nothing in it can choose the algorithm.
  JsonDocument header;
  if (const auto fault = parse_object(header, parts.header)) return fail(*fault);
  if (find_string(header, "alg") != "HS256") return fail(ErrorCode::kBadAlg);
  if (find_member(header, "crit") != nullptr) return fail(ErrorCode::kUnsupportedHeader);
  const auto kid_date = parse_kid(find_string(header, "kid").value_or(std::string_view{}));
  if (!kid_date) return fail(ErrorCode::kBadKid);

  JsonDocument claims;
  if (const auto fault = parse_object(claims, parts.claims)) return fail(*fault);
  const std::string_view issuer = find_string(claims, "iss").value_or(std::string_view{});
  if (!issuer.starts_with(jwt::kIssuerPrefix)) return fail(ErrorCode::kBadIssuer);
  const std::string_view application_key = issuer.substr(jwt::kIssuerPrefix.size());
  if (application_key.empty() || application_key.find('/') != std::string_view::npos) {
    return fail(ErrorCode::kBadIssuer);
  }
  const KeyRingAccess::Entry* const application = KeyRingAccess::find(*ring_, application_key);
  const jwt::DateText date = jwt::date_text(*kid_date);
  const bool authentic = KeyRingAccess::verify(
      *ring_, application, as_bytes_of(parts.signature),
      [&](const MacKey& key) { return jwt::signing_key(key, date).sign(parts.signed_text); });
  if (application == nullptr) return fail(ErrorCode::kUnknownKey);
  if (!authentic) return fail(ErrorCode::kBadSignature);

  std::string_view subject = find_string(claims, "sub").value_or(std::string_view{});
  if (!subject.starts_with(issuer)) return fail(ErrorCode::kBadSubject);
  subject.remove_prefix(issuer.size());
  if (!subject.starts_with(jwt::kUsersSegment)) return fail(ErrorCode::kBadSubject);
  const std::string_view user_id = subject.substr(jwt::kUsersSegment.size());
  if (!jwt::is_user_id(user_id)) return fail(ErrorCode::kBadSubject);

  const std::optional<std::int64_t> issued_at = integer_of(find_member(claims, "iat"));
  const std::optional<std::int64_t> expires_at = integer_of(find_member(claims, "exp"));
  const std::string_view nonce = find_string(claims, "nonce").value_or(std::string_view{});
  if (!issued_at || !expires_at || nonce.empty()) return fail(ErrorCode::kMissingClaim);
  const JsonNode* const limit = find_member(claims, jwt::kRegistrationExpiryClaim);
  const std::optional<std::int64_t> registration_end = integer_of(limit);
  if (limit != nullptr && !registration_end) return fail(ErrorCode::kBadInstanceLifetime);

  constexpr std::int64_t kSecondsPerDay = 86400;
  const std::int64_t issue_day =
      *issued_at / kSecondsPerDay - (*issued_at % kSecondsPerDay < 0 ? 1 : 0);
  const std::int64_t kid_day = std::chrono::sys_days{*kid_date}.time_since_epoch().count();
  if (std::abs(issue_day - kid_day) > policy_.max_kid_distance.count()) {
    return fail(ErrorCode::kKidDateMismatch);
  }
  const std::int64_t lifetime = *expires_at - *issued_at;
  if (lifetime < kMinTokenLifetime.count()) return fail(ErrorCode::kBadLifetime);
  if (lifetime > policy_.max_jwt_lifetime.count()) return fail(ErrorCode::kLifetimeTooLong);
  if (limit != nullptr &&
      *registration_end - *issued_at < std::chrono::seconds{kMinRegistrationLifetime}.count()) {
    return fail(ErrorCode::kBadInstanceLifetime);
  }
  const Timestamp current = Timestamp::from(now);
  const Timestamp issued{*issued_at, 0};
  const Timestamp end = Timestamp{*expires_at, 0}.plus(policy_.clock_skew);
  if (current.plus(policy_.clock_skew) < issued) return fail(ErrorCode::kNotYetValid);
  if (current >= end) return fail(ErrorCode::kExpired);

  Result<VerifiedRegistrationToken> result{VerifiedRegistrationToken{}};
  VerifiedRegistrationToken& token = *result;
  token.identity_ = Identity{IdentityType::kUsername, std::string(user_id)};
  if (options.expected_identity && *options.expected_identity != token.identity_) {
    return fail(ErrorCode::kIdentityMismatch);
  }
  const auto seconds = [](std::int64_t at) {
    return std::chrono::sys_seconds{std::chrono::seconds{at}};
  };
  token.application_key_ = application->application_key;
  token.issued_at_ = seconds(*issued_at);
  token.expires_at_ = seconds(*expires_at);
  token.nonce_ = nonce;
  if (registration_end) token.registration_expires_at_ = seconds(*registration_end);
  if (replay_ != nullptr) {
    switch (replay_->note(replay_id(token.application_key_, token.nonce_), options.presenter, now,
                          end.to_instant())) {
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

}  // namespace countersign

#include "countersign/signed_request.h"

#include <algorithm>
#include <utility>

#include "ticket/base64.h"
#include "ticket/digest.h"
#include "ticket/key_ring_access.h"
#include "ticket/timestamp.h"

namespace countersign {
namespace {

constexpr auto kBase64 = base64::Variant::kStandard;

bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// RFC 9110 section 5.6.2. A method that is a token cannot begin like a ticket's payload, so that no
// MAC of a ticket is the MAC of a request.
bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

// A line feed inside a field could move text from one line of the string-to-sign to the next.
bool has_control(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '\x7f'; });
}

std::optional<RequestScheme> parse_scheme(std::string_view name) noexcept {
  for (const RequestScheme scheme :
       {RequestScheme::kApplication, RequestScheme::kInstance, RequestScheme::kService}) {
    if (equal_ignoring_case(name, request_scheme_name(scheme))) return scheme;
  }
  return std::nullopt;
}

struct Found {
  std::optional<std::string_view> value;
  bool twice = false;
};

Found find_header(std::span<const RequestHeader> headers, std::string_view name) noexcept {
  Found found;
  for (const RequestHeader& header : headers) {
    if (!equal_ignoring_case(header.name, name)) continue;
    found.twice |= found.value.has_value();
    found.value = header.value;
  }
  return found;
}

struct Authorization {
  RequestScheme scheme;
  std::string_view id;
  std::string_view signature;  // base64 text
};

// `scheme 1*SP id ":" signature`
std::optional<Authorization> parse_authorization(std::string_view value) noexcept {
  const std::size_t blank = value.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const std::optional<RequestScheme> scheme = parse_scheme(value.substr(0, blank));
  const std::size_t start = value.find_first_not_of(' ', blank);
  if (!scheme || start == std::string_view::npos) return std::nullopt;
  const std::string_view credentials = value.substr(start);
  const std::size_t colon = credentials.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == credentials.size()) {
    return std::nullopt;
  }
  return Authorization{*scheme, credentials.substr(0, colon), credentials.substr(colon + 1)};
}

Result<Authorization> read_authorization(std::span<const RequestHeader> headers) {
  const Found header = find_header(headers, "authorization");
  if (header.twice) return fail(ErrorCode::kDuplicateHeader, "authorization");
  if (!header.value) return fail(ErrorCode::kBadAuthorization, "no Authorization header");
  const std::optional<Authorization> parsed = parse_authorization(*header.value);
  if (!parsed) {
    return fail(ErrorCode::kBadAuthorization, "not a signature of a scheme that signs requests");
  }
  return *parsed;
}

const KeyRing* ring_of(const RequestRings& rings, RequestScheme scheme) noexcept {
  switch (scheme) {
    case RequestScheme::kApplication:
      return rings.application.get();
    case RequestScheme::kInstance:
      return rings.instance.get();
    case RequestScheme::kService:
      return rings.service.get();
  }
  return nullptr;
}

}  // namespace

std::string_view request_scheme_name(RequestScheme scheme) noexcept {
  switch (scheme) {
    case RequestScheme::kApplication:
      return "application";
    case RequestScheme::kInstance:
      return "instance";
    case RequestScheme::kService:
      return "service";
  }
  return "application";
}

std::string content_md5(std::string_view body) {
  if (body.empty()) return {};
  const auto md5 = digest<16>("MD5", body);
  return base64::encode(kBase64, {reinterpret_cast<const char*>(md5.data()), md5.size()});
}

std::string string_to_sign(std::string_view method, std::string_view content_md5,
                           std::string_view content_type, std::string_view timestamp,
                           std::string_view resource) {
  std::string text;
  text.reserve(method.size() + content_md5.size() + content_type.size() + timestamp.size() +
               resource.size() + 16);
  text.append(method).append("\n");
  text.append(content_md5).append("\n");
  text.append(content_type).append("\n");
  text.append("x-timestamp:").append(timestamp).append("\n");
  text.append(resource);
  return text;
}

Result<RequestSignature> sign_request(const KeyRing& ring, RequestScheme scheme,
                                      std::string_view id, const RequestToSign& request) {
  const KeyRingAccess::Entry* const signer = KeyRingAccess::find(ring, id);
  if (signer == nullptr) return fail(ErrorCode::kUnknownKey);
  if (!is_token(request.method) || has_control(request.resource) ||
      has_control(request.content_type)) {
    return fail(ErrorCode::kBadRequest, "a request line or header cannot hold this text");
  }
  if (!is_writable(request.timestamp)) return fail(ErrorCode::kBadTimestamp);
  RequestSignature signature;
  signature.x_timestamp.resize(kTimestampLength);
  write_timestamp(request.timestamp, signature.x_timestamp.data());
  const Mac mac = signer->secrets.front().key.sign(
      string_to_sign(request.method, content_md5(request.body), request.content_type,
                     signature.x_timestamp, request.resource));
  signature.authorization = request_scheme_name(scheme);
  signature.authorization.append(" ").append(id).append(":");
  signature.authorization +=
      base64::encode(kBase64, {reinterpret_cast<const char*>(mac.data()), mac.size()});
  return signature;
}

Result<RequestCredential> request_credential(std::span<const RequestHeader> headers) {
  const Result<Authorization> authorization = read_authorization(headers);
  if (!authorization) return authorization.failure();
  return RequestCredential{authorization->scheme, authorization->id};
}

RequestVerifier::RequestVerifier(RequestRings rings, Policy policy, ReplayCache* replay) noexcept
    : rings_(std::move(rings)), policy_(policy), replay_(replay) {}

Result<VerifiedRequest> RequestVerifier::verify(const ReceivedRequest& request, Instant now) const {
  const Found timestamp_header = find_header(request.headers, "x-timestamp");
  const Found content_type = find_header(request.headers, "content-type");
  if (timestamp_header.twice) return fail(ErrorCode::kDuplicateHeader, "x-timestamp");
  if (content_type.twice) return fail(ErrorCode::kDuplicateHeader, "content-type");
  const Result<Authorization> authorization = read_authorization(request.headers);
  if (!authorization) return authorization.failure();
  const KeyRing* const ring = ring_of(rings_, authorization->scheme);
  if (ring == nullptr) {
    return fail(ErrorCode::kBadAuthorization, "this scheme is not accepted here");
  }
  const std::optional<std::string> signature = base64::decode(kBase64, authorization->signature);
  if (!signature) return fail(ErrorCode::kBadAuthorization, "the signature is not base64");

  const KeyRingAccess::Entry* const signer = KeyRingAccess::find(*ring, authorization->id);
  const std::string_view timestamp_text = timestamp_header.value.value_or(std::string_view{});
  const std::string_view type_text = content_type.value.value_or(std::string_view{});
  const std::string to_sign = string_to_sign(request.method, content_md5(request.body), type_text,
                                             timestamp_text, request.resource);
  const bool authentic = KeyRingAccess::verify(
      *ring, signer, as_bytes_of(*signature), [&](const MacKey& key) { return key.sign(to_sign); });
  if (signer == nullptr) return fail(ErrorCode::kBadAuthorization, "the id is not known");

  const std::optional<Timestamp> timestamp = parse_timestamp(timestamp_text, ZoneRule::kRequired);
  if (!timestamp) return fail(ErrorCode::kBadTimestamp, "missing or malformed");
  const Timestamp current = Timestamp::from(now);
  if (timestamp->plus(policy_.request_tolerance) < current ||
      current.plus(policy_.request_tolerance) < *timestamp) {
    return fail(ErrorCode::kBadTimestamp, "outside the tolerance");
  }
  const bool well_formed =
      is_token(request.method) && !has_control(request.resource) && !has_control(type_text);
  if (!authentic || !well_formed) return fail(ErrorCode::kBadRequestSignature);

  Result<VerifiedRequest> result{VerifiedRequest{}};
  result->scheme_ = authorization->scheme;
  result->id_ = authorization->id;
  result->timestamp_ = timestamp->to_instant();
  if (replay_ != nullptr) {
    ReplayId id;
    std::copy_n(as_bytes_of(*signature).begin(), id.size(), id.begin());
    // Nobody in particular presents a request, so that every repeat is refused. An entry may go
    // when the timestamp alone refuses the request: one instant after the tolerance has passed.
    const Instant until =
        timestamp->plus(policy_.request_tolerance + std::chrono::seconds{1}).to_instant();
    switch (replay_->note(id, {}, now, until)) {
      case ReplayVerdict::kFirst:
        break;
      case ReplayVerdict::kRepeat:
      case ReplayVerdict::kReplayed:
        return fail(ErrorCode::kReplayed);
      case ReplayVerdict::kFull:
        return fail(ErrorCode::kOverloaded, "the replay cache is full");
    }
  }
  return result;
}

int documented_error_code(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kBadAuthorization:
    case ErrorCode::kDuplicateHeader:
      return 40100;
    case ErrorCode::kBadTimestamp:
      return 40101;
    case ErrorCode::kBadRequestSignature:
    case ErrorCode::kReplayed:
      return 40102;
    case ErrorCode::kOverloaded:
      return 50300;
    default:
      return 40108;
  }
}

}  // namespace countersign

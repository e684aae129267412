#include "countersign/registration_token.h"

#include "ticket/base64.h"
#include "ticket/json_reader.h"
#include "ticket/json_writer.h"
#include "ticket/jwt_parts.h"
#include "ticket/key_ring_access.h"
#include "ticket/timestamp.h"

namespace countersign {
namespace {

constexpr std::chrono::seconds kMaxMintedLifetime{604800};
constexpr auto kBase64Url = base64::Variant::kUrlSafe;

void append_json_text(std::string& out, std::string_view text) {
  const std::size_t before = out.size();
  out.resize(before + text.size() * kMaxEscapedPerByte);
  out.resize(static_cast<std::size_t>(write_json_text(text, out.data() + before) - out.data()));
}

std::string claims_of(const RawRegistrationToken& raw, std::string_view application_key_json) {
  const auto seconds = [](std::chrono::sys_seconds at) {
    return std::to_string(at.time_since_epoch().count());
  };
  std::string issuer(jwt::kIssuerPrefix);
  issuer += application_key_json;
  std::string claims = R"({"iss":")" + issuer + R"(","sub":")" + issuer;
  claims += jwt::kUsersSegment;
  append_json_text(claims, raw.user_id);
  claims += R"(","iat":)" + seconds(raw.issued_at);
  claims += R"(,"exp":)" + seconds(raw.issued_at + raw.expires_in);
  claims += R"(,"nonce":")";
  append_json_text(claims, raw.nonce);
  claims += '"';
  if (raw.registration_expires_at) {
    claims += ",\"";
    claims += jwt::kRegistrationExpiryClaim;
    claims += "\":" + seconds(*raw.registration_expires_at);
  }
  return claims + '}';
}

}  // namespace

Result<CompactRegistrationToken> mint_registration_token(const KeyRing& ring,
                                                         const RawRegistrationToken& raw) {
  const KeyRingAccess::Entry* const application = KeyRingAccess::find(ring, raw.application_key);
  if (application == nullptr) return fail(ErrorCode::kUnknownKey);
  if (!jwt::is_user_id(raw.user_id)) return fail(ErrorCode::kBadIdentity);
  if (!is_writable(raw.issued_at)) return fail(ErrorCode::kBadCreated);
  if (raw.expires_in < kMinTokenLifetime) return fail(ErrorCode::kBadLifetime);
  if (raw.expires_in > kMaxMintedLifetime) return fail(ErrorCode::kLifetimeTooLong);
  if (raw.nonce.empty() || raw.nonce.size() > kMaxNonceBytes || !is_valid_utf8(raw.nonce)) {
    return fail(ErrorCode::kMissingClaim, "a nonce has 1 to 255 bytes of UTF-8");
  }
  if (raw.registration_expires_at &&
      *raw.registration_expires_at < raw.issued_at + kMinRegistrationLifetime) {
    return fail(ErrorCode::kBadInstanceLifetime);
  }

  const jwt::DateText date = jwt::date_text(std::chrono::floor<std::chrono::days>(raw.issued_at));
  std::string header = R"({"alg":"HS256","kid":")";
  header += jwt::kKidPrefix;
  header += date.view();
  header += R"("})";
  std::string token = base64::encode(kBase64Url, header);
  token += '.';
  token += base64::encode(kBase64Url, claims_of(raw, application->application_key_json));
  const Mac mac = jwt::signing_key(application->secrets.front().key, date).sign(token);
  token += '.';
  token += base64::encode(kBase64Url, {reinterpret_cast<const char*>(mac.data()), mac.size()});
  return CompactRegistrationToken{std::move(token)};
}

std::array<std::byte, 32> registration_signing_key(const ApplicationSecret& secret,
                                                   std::chrono::year_month_day date) {
  return MacKey(secret.reveal()).sign(jwt::date_text(date).view());
}

}  // namespace countersign

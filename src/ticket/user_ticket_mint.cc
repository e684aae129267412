#include <algorithm>
#include <array>

#include "countersign/user_ticket.h"

#include "ticket/base64.h"
#include "ticket/json_writer.h"
#include "ticket/key_ring_access.h"
#include "ticket/session_handle.h"
#include "ticket/timestamp.h"

namespace countersign {
namespace {

constexpr auto kBase64 = base64::Variant::kStandard;

// The parts of the payload between the values.
constexpr std::string_view kIdentityType = R"({"identity":{"type":")";
constexpr std::string_view kEndpoint = R"(","endpoint":")";
constexpr std::string_view kExpiresIn = R"("},"expiresIn":)";
constexpr std::string_view kApplicationKey = R"(,"applicationKey":")";
constexpr std::string_view kCreated = R"(","created":")";
constexpr std::string_view kSession = R"(","session":")";
constexpr std::string_view kEnd = R"("})";

// No payload is longer: the longest name with every byte escaped, and application key and session
// at their limits.
constexpr std::size_t kMaxPayloadBytes =
    (kMaxUserNameBytes + 255) * kMaxEscapedPerByte + kMaxSessionHandleBytes + 256;
constexpr std::size_t kSignatureLength = base64::encoded_size(kBase64, sizeof(Mac));
static_assert(base64::encoded_size(kBase64, kMaxPayloadBytes) + 1 + kSignatureLength <
              kMaxTicketBytes);

}  // namespace

Result<CompactUserTicket> mint_user_ticket(const KeyRing& ring, const RawUserTicket& raw,
                                           const Policy& policy) {
  const KeyRingAccess::Entry* const application = KeyRingAccess::find(ring, raw.application_key);
  if (application == nullptr) return fail(ErrorCode::kUnknownKey);
  if (Result<void> valid =
          validate_identity(raw.identity, policy.user_name_rule,
                            std::min(policy.max_user_name_bytes, kMaxUserNameBytes));
      !valid) {
    return valid.failure();
  }
  if (raw.expires_in < std::chrono::seconds{1}) return fail(ErrorCode::kBadLifetime);
  if (raw.expires_in > policy.max_ticket_lifetime) return fail(ErrorCode::kLifetimeTooLong);
  if (!is_writable(raw.created)) return fail(ErrorCode::kBadCreated);
  if (raw.session && !is_session_handle(*raw.session)) return fail(ErrorCode::kBadSession);

  std::array<char, kMaxPayloadBytes> payload;
  char* end = write_plain(kIdentityType, payload.data());
  end = write_plain(identity_type_name(raw.identity.type), end);
  end = write_plain(kEndpoint, end);
  end = write_json_text(raw.identity.endpoint, end);
  end = write_plain(kExpiresIn, end);
  end = write_number(static_cast<unsigned long long>(raw.expires_in.count()), end);
  end = write_plain(kApplicationKey, end);
  end = write_plain(application->application_key_json, end);
  end = write_plain(kCreated, end);
  end = write_timestamp(raw.created, end);
  if (raw.session) {
    end = write_plain(kSession, end);
    end = write_plain(*raw.session, end);
  }
  end = write_plain(kEnd, end);

  const auto size = static_cast<std::size_t>(end - payload.data());
  const Mac mac = application->secrets.front().key.sign({payload.data(), size});
  std::string text(base64::encoded_size(kBase64, size) + 1 + kSignatureLength, ':');
  char* const signature = base64::encode(kBase64, payload.data(), size, text.data()) + 1;
  base64::encode(kBase64, mac.data(), mac.size(), signature);
  return CompactUserTicket{std::move(text), name_notes(raw.identity)};
}

}  // namespace countersign

// What tests of the ticket library share: one application, one instant, and tickets made of any
// payload, also of payloads that no producer should write.
#ifndef COUNTERSIGN_TICKET_TICKET_FIXTURE_H_
#define COUNTERSIGN_TICKET_TICKET_FIXTURE_H_

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "countersign/key_ring.h"
#include "countersign/user_ticket.h"

#include "ticket/base64.h"
#include "ticket/mac_key.h"

namespace countersign::testing {

inline constexpr std::string_view kKey = "1a006c4a-8d2e-4caf-85e0-c64de1435b8f";
inline constexpr std::string_view kSecret = "0Qnbtiw9atgEH4JGGiBnXg==";
inline constexpr std::string_view kOtherSecret = "C+6/TwXprvjnSYo4uOwqTQ==";
/// 2026-01-01T02:00:00Z
inline constexpr std::chrono::sys_seconds kNowSeconds{std::chrono::seconds{1767232800}};
inline constexpr Instant kNow{kNowSeconds};

inline ApplicationSecret secret(std::string_view text = kSecret) {
  return *ApplicationSecret::from_base64(text);
}

inline KeyRing ring_of(std::string_view key = kKey, std::string_view text = kSecret) {
  KeyRing ring;
  if (!ring.add(std::string(key), secret(text))) std::abort();
  return ring;
}

inline std::shared_ptr<const KeyRing> shared_ring() {
  static const auto ring = std::make_shared<const KeyRing>(ring_of());
  return ring;
}

inline RawUserTicket raw_ticket(std::string endpoint = "alice") {
  return RawUserTicket{
      {IdentityType::kUsername, std::move(endpoint)}, std::string(kKey), kNowSeconds};
}

inline std::string text_of(const Mac& mac) {
  return {reinterpret_cast<const char*>(mac.data()), mac.size()};
}

/// The ticket of a payload, signed by `kSecret` whatever the payload is.
inline std::string sign(std::string_view payload) {
  const Mac mac = reference_hmac(secret().reveal(), as_bytes_of(payload));
  return base64::encode(base64::Variant::kStandard, payload) + ":" +
         base64::encode(base64::Variant::kStandard, text_of(mac));
}

/// A payload with these members after identity and application key.
inline std::string payload_with(std::string_view rest) {
  return R"({"identity":{"type":"username","endpoint":"alice"},"applicationKey":")" +
         std::string(kKey) + "\"," + std::string(rest) + "}";
}

/// The code of a verification: nothing when the ticket is good.
inline std::optional<ErrorCode> refusal(std::string_view ticket, Instant now = kNow,
                                        Policy policy = Policy::default_policy(),
                                        const VerifyOptions& options = {}) {
  const auto result = UserTicketVerifier(shared_ring(), policy).verify(ticket, now, options);
  return result ? std::nullopt : std::optional{result.code()};
}

inline constexpr std::optional<ErrorCode> kAccepted{};

}  // namespace countersign::testing

#endif  // COUNTERSIGN_TICKET_TICKET_FIXTURE_H_

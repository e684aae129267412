// Property: no input crashes the verifier; what is accepted under `strict` is accepted under
// `default` with the same content, was signed by us, and is the canonical base64 of what was read;
// inspecting never disagrees with verifying.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "countersign/user_ticket.h"

#include "ticket/base64.h"
#include "ticket/mac_key.h"

namespace {

using namespace countersign;

constexpr std::string_view kKey = "1a006c4a-8d2e-4caf-85e0-c64de1435b8f";
constexpr Instant kNow{std::chrono::seconds{1767232800}};
constexpr auto kBase64 = base64::Variant::kStandard;

void require(bool condition) {
  if (!condition) std::abort();
}

const ApplicationSecret& secret() {
  static const ApplicationSecret value =
      *ApplicationSecret::from_base64("0Qnbtiw9atgEH4JGGiBnXg==");
  return value;
}

std::shared_ptr<const KeyRing> ring() {
  static const auto value = [] {
    KeyRing made;
    require(made.add(std::string(kKey), secret().clone()).ok());
    return std::make_shared<const KeyRing>(std::move(made));
  }();
  return value;
}

// The payload with our signature: without it, no fuzzer would ever get past the MAC.
std::string sign(std::string_view payload) {
  const Mac mac = reference_hmac(secret().reveal(), as_bytes_of(payload));
  return base64::encode(kBase64, payload) + ":" +
         base64::encode(kBase64, {reinterpret_cast<const char*>(mac.data()), mac.size()});
}

void check(std::string_view ticket) {
  const UserTicketVerifier lenient(ring(), Policy::default_policy());
  const UserTicketVerifier strict(ring(), Policy::strict());
  const Result<VerifiedUserTicket> by_default = lenient.verify(ticket, kNow);
  const Result<VerifiedUserTicket> by_strict = strict.verify(ticket, kNow);
  const Result<UnverifiedUserTicket> inspected = inspect_user_ticket(ticket);
  if (by_strict) {
    require(by_default.ok());
    require(by_strict->identity() == by_default->identity());
    require(by_strict->created() == by_default->created());
    require(by_strict->expires_at() == by_default->expires_at());
    require(by_strict->session() == by_default->session());
  }
  if (!by_default) return;
  require(inspected.ok());
  require(inspected->endpoint == by_default->identity().endpoint);
  require(inspected->identity_type == identity_type_name(by_default->identity().type));
  require(sign(inspected->payload) == ticket);
  require(validate_identity(by_default->identity(), UserNameRule::kUtf8).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check(input);
  check(sign(input));
  return 0;
}

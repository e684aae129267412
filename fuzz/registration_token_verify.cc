// Property: no input crashes the verifier; what is accepted under `strict` is accepted under
// `default` with the same content, lives no longer than the policy allows, and fits one identity.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "countersign/registration_token.h"

#include "ticket/base64.h"
#include "ticket/mac_key.h"

namespace {

using namespace countersign;

constexpr std::string_view kKey = "1a006c4a-8d2e-4caf-85e0-c64de1435b8f";
constexpr Instant kNow{std::chrono::seconds{1767232800}};
constexpr auto kBase64Url = base64::Variant::kUrlSafe;

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

// A token signed by us for 2026-01-01: without it, no fuzzer would ever get past the MAC.
std::string sign(std::string_view header, std::string_view claims) {
  const Mac key = reference_hmac(secret().reveal(), as_bytes_of("20260101"));
  const std::string text =
      base64::encode(kBase64Url, header) + "." + base64::encode(kBase64Url, claims);
  const Mac mac = reference_hmac(key, as_bytes_of(text));
  return text + "." +
         base64::encode(kBase64Url, {reinterpret_cast<const char*>(mac.data()), mac.size()});
}

void check(std::string_view token) {
  const RegistrationTokenVerifier lenient(ring(), Policy::default_policy(), nullptr);
  const RegistrationTokenVerifier strict(ring(), Policy::strict(), nullptr);
  const Result<VerifiedRegistrationToken> by_default = lenient.verify(token, kNow);
  const Result<VerifiedRegistrationToken> by_strict = strict.verify(token, kNow);
  if (by_strict) {
    require(by_default.ok());
    require(by_strict->identity() == by_default->identity());
    require(by_strict->nonce() == by_default->nonce());
    require(by_strict->expires_at() - by_strict->issued_at() <= strict.policy().max_jwt_lifetime);
  }
  if (!by_default) return;
  require(by_default->application_key() == kKey);
  require(!by_default->nonce().empty());
  require(validate_identity(by_default->identity(), UserNameRule::kPrintable).ok());
  const auto lifetime = by_default->expires_at() - by_default->issued_at();
  require(lifetime >= kMinTokenLifetime && lifetime <= lenient.policy().max_jwt_lifetime);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check(input);
  check(sign(R"({"alg":"HS256","kid":"hkdfv1-20260101"})", input));
  const std::size_t line = input.find('\n');
  if (line != std::string_view::npos) check(sign(input.substr(0, line), input.substr(line + 1)));
  return 0;
}

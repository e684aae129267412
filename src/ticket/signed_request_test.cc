#include "countersign/signed_request.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "countersign/registration_signature.h"

#include "ticket/ticket_fixture.h"

namespace countersign {
namespace {

using namespace countersign::testing;
using std::chrono::seconds;

// A signed request as it arrives; tests change it and verify.
struct Wire {
  std::string method = "POST";
  std::string resource = "/hooks/voice?x=1";
  std::string body = R"({"event":"ace"})";
  std::vector<std::pair<std::string, std::string>> headers;

  explicit Wire(RequestScheme scheme = RequestScheme::kApplication) {
    const auto signature = sign_request(*shared_ring(), scheme, kKey,
                                        {method, resource, "application/json", body, kNowSeconds});
    headers = {{"Content-Type", "application/json"},
               {"X-Timestamp", signature->x_timestamp},
               {"Authorization", signature->authorization}};
  }

  std::string& authorization() { return headers[2].second; }

  std::optional<ErrorCode> refused(Instant now = kNow, ReplayCache* replay = nullptr) const {
    return refused_by({shared_ring(), shared_ring(), shared_ring()}, now, replay);
  }

  std::optional<ErrorCode> refused_by(RequestRings rings, Instant now = kNow,
                                      ReplayCache* replay = nullptr) const {
    std::vector<RequestHeader> views;
    for (const auto& [name, value] : headers) views.push_back({name, value});
    const auto result = RequestVerifier(std::move(rings), Policy::default_policy(), replay)
                            .verify({method, resource, views, body}, now);
    return result ? std::nullopt : std::optional{result.code()};
  }
};

TEST(SignedRequest, SignsWhatItVerifiesUnderEveryScheme) {
  for (const RequestScheme scheme :
       {RequestScheme::kApplication, RequestScheme::kInstance, RequestScheme::kService}) {
    EXPECT_EQ(Wire(scheme).refused(), kAccepted) << request_scheme_name(scheme);
  }
}

TEST(SignedRequest, AcceptsASchemeOnlyWithItsRing) {
  EXPECT_EQ(Wire(RequestScheme::kInstance).refused_by({shared_ring(), nullptr, nullptr}),
            ErrorCode::kBadAuthorization);
  EXPECT_EQ(Wire(RequestScheme::kInstance).refused_by({nullptr, shared_ring(), nullptr}),
            kAccepted);
}

TEST(SignedRequest, CoversMethodResourceTypeBodyAndTimestamp) {
  Wire wire;
  wire.method = "PUT";
  EXPECT_EQ(wire.refused(), ErrorCode::kBadRequestSignature);
  wire = Wire();
  wire.resource = "/hooks/voice?x=2";
  EXPECT_EQ(wire.refused(), ErrorCode::kBadRequestSignature);
  wire = Wire();
  wire.body += "\r\n";
  EXPECT_EQ(wire.refused(), ErrorCode::kBadRequestSignature);
  wire = Wire();
  wire.headers[0].second = "text/plain";
  EXPECT_EQ(wire.refused(), ErrorCode::kBadRequestSignature);
  wire = Wire();
  wire.headers[1].second = "2026-01-01T02:00:01Z";
  EXPECT_EQ(wire.refused(), ErrorCode::kBadRequestSignature);
}

TEST(SignedRequest, ToleratesThreeHundredSecondsEitherWay) {
  const Wire wire;
  EXPECT_EQ(wire.refused(kNow + seconds{300}), kAccepted);
  EXPECT_EQ(wire.refused(kNow - seconds{300}), kAccepted);
  EXPECT_EQ(wire.refused(kNow + seconds{300} + std::chrono::nanoseconds{1}),
            ErrorCode::kBadTimestamp);
  EXPECT_EQ(wire.refused(kNow - seconds{300} - std::chrono::nanoseconds{1}),
            ErrorCode::kBadTimestamp);
}

TEST(SignedRequest, RefusesHeadersThatOccurTwice) {
  for (const char* name : {"authorization", "X-TIMESTAMP", "content-type"}) {
    Wire wire;
    wire.headers.emplace_back(name, "x");
    EXPECT_EQ(wire.refused(), ErrorCode::kDuplicateHeader) << name;
  }
}

TEST(SignedRequest, RefusesMalformedAuthorization) {
  for (const char* value : {"", "application", "application ", "application key",
                            "application :sig", "application key:", "basic a2V5OnNlY3JldA==",
                            "user a:b", "application key:!!!!", "application\tkey:AAAA"}) {
    Wire wire;
    wire.authorization() = value;
    EXPECT_EQ(wire.refused(), ErrorCode::kBadAuthorization) << value;
  }
  Wire wire;
  wire.headers.pop_back();
  EXPECT_EQ(wire.refused(), ErrorCode::kBadAuthorization);
}

TEST(SignedRequest, ReadsTheSchemeInAnyCase) {
  Wire wire;
  wire.authorization().replace(0, 11, "APPLICATION");
  EXPECT_EQ(wire.refused(), kAccepted);
}

// Lines of the string-to-sign must not be movable from one field to the next.
TEST(SignedRequest, RefusesLineFeedsInsideFields) {
  const std::string timestamp = "2026-01-01T02:00:00Z";
  const std::string to_sign = string_to_sign("GET", "", "a", timestamp, "/x");
  const Mac mac = reference_hmac(secret().reveal(), as_bytes_of(to_sign));
  const std::string authorization = "application " + std::string(kKey) + ":" +
                                    base64::encode(base64::Variant::kStandard, text_of(mac));
  Wire wire;
  wire.body.clear();
  wire.method = "GET\n";
  wire.resource = "/x";
  wire.headers = {
      {"x-timestamp", timestamp}, {"authorization", authorization}, {"content-type", "a"}};
  EXPECT_EQ(wire.refused(), ErrorCode::kBadRequestSignature);
  wire.method = "GET";
  EXPECT_EQ(wire.refused(), kAccepted);
  EXPECT_EQ(sign_request(*shared_ring(), RequestScheme::kApplication, kKey,
                         {"GET", "/x\n/y", "", "", kNowSeconds})
                .code(),
            ErrorCode::kBadRequest);
}

TEST(SignedRequest, ATicketsMacNeverSignsARequest) {
  const std::string ticket = mint_user_ticket(*shared_ring(), raw_ticket())->text();
  Wire wire;
  wire.method = *base64::decode(base64::Variant::kStandard,
                                std::string_view(ticket).substr(0, ticket.find(':')));
  wire.authorization() =
      "application " + std::string(kKey) + ":" + ticket.substr(ticket.find(':') + 1);
  EXPECT_EQ(wire.refused(), ErrorCode::kBadRequestSignature);
}

TEST(SignedRequest, ReplayCacheRefusesEveryRepeat) {
  BoundedReplayCache cache;
  const Wire wire;
  EXPECT_EQ(wire.refused(kNow, &cache), kAccepted);
  EXPECT_EQ(wire.refused(kNow + seconds{300}, &cache), ErrorCode::kReplayed);
}

TEST(SignedRequest, NamesTheCredentialBeforeVerifying) {
  const std::vector<RequestHeader> headers = {{"AUTHORIZATION", "Instance abc:AAAA"}};
  const auto credential = request_credential(headers);
  ASSERT_TRUE(credential);
  EXPECT_EQ(credential->scheme, RequestScheme::kInstance);
  EXPECT_EQ(credential->id, "abc");
}

TEST(SignedRequest, AnswersWithTheDocumentedCodes) {
  EXPECT_EQ(documented_error_code(ErrorCode::kBadAuthorization), 40100);
  EXPECT_EQ(documented_error_code(ErrorCode::kBadTimestamp), 40101);
  EXPECT_EQ(documented_error_code(ErrorCode::kBadRequestSignature), 40102);
  EXPECT_EQ(documented_error_code(ErrorCode::kExpired), 40108);
}

TEST(RegistrationSignature, IsRecognisedButProvesNothing) {
  constexpr std::string_view kSignature = "jup9PY1HY9a+NZ6968jVEnbF9/0=";
  EXPECT_TRUE(recognise_registration_signature("ren\xC3\xA9", kKey, 42, kSecret, kSignature));
  // Nothing separates the fields: other values give the same signature.
  EXPECT_TRUE(
      recognise_registration_signature("ren\xC3\xA9"
                                       "1",
                                       kKey.substr(1), 42, kSecret, kSignature));
  EXPECT_FALSE(recognise_registration_signature("ren\xC3\xA9", kKey, 43, kSecret, kSignature));
}

}  // namespace
}  // namespace countersign

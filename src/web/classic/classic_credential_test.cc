// The signed requests of the classic SDK, with vectors that its own signer produced.
#include "web/classic/classic_credential.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "countersign/signed_request.h"

#include "web/testing/request_builder.h"

namespace countersign::web::classic {
namespace {

using std::chrono::seconds;

constexpr std::string_view kInstance = "00a3ffb1-0808-4dd4-9c7d-e4383d82e445";
const std::vector<std::string> kSecrets = {"bRo76GRddEyetgJDTgkLHA=="};
constexpr std::string_view kTimestamp = "2015-06-20T11:43:10.944Z";
constexpr std::string_view kType = "application/json; charset=UTF-8";
constexpr std::string_view kGetSignature = "u8+M4CCa5iMxNfz+/RgB5EreiWKtgjshc8EowfGjues=";
constexpr std::string_view kPostSignature = "sHfybgn6T1hD/bckCGrtZdeHLY1AP0C/pDCRw2yFqP8=";
const base::SystemTime kNow{seconds{1434800590}};

RequestBuilder signed_get(std::string_view target = "/v1/configuration/user",
                          std::string_view signature = kGetSignature) {
  RequestBuilder builder("GET", target);
  builder.header("content-type", kType)
      .header("x-timestamp", kTimestamp)
      .header("authorization", "instance " + std::string(kInstance) + ":" + std::string(signature));
  return builder;
}

Result<void> check(RequestBuilder builder, base::SystemTime now = kNow,
                   const std::vector<std::string>& secrets = kSecrets,
                   std::string_view prefix = {}) {
  const auto credential = read_credential(builder.request());
  if (!credential) return credential.failure();
  return verify_instance(builder.request(), credential->value, secrets, prefix,
                         Policy::default_policy(), now);
}

ErrorCode code_of(const Result<void>& result) {
  return result ? ErrorCode::kInternal : result.code();
}

TEST(ClassicCredential, TakesWhatTheSdkSigned) {
  EXPECT_TRUE(check(signed_get()).ok());
  RequestBuilder post("POST", "/v1/transport");
  post.body(kType, R"([{"identity":"bob"},{"identity":"zoë"}])")
      .header("x-timestamp", kTimestamp)
      .header("authorization",
              "Instance " + std::string(kInstance) + ":" + std::string(kPostSignature));
  EXPECT_TRUE(check(std::move(post)).ok()) << "the scheme's name may have any case";
}

TEST(ClassicCredential, CoversThePathAndNotTheQuery) {
  EXPECT_TRUE(check(signed_get("/v1/configuration/user?transportId=T&")).ok());
  EXPECT_EQ(code_of(check(signed_get("/v1/configuration/users"))), ErrorCode::kBadRequestSignature);
  EXPECT_EQ(code_of(check(signed_get("/v1/configuration%2Fuser"))),
            ErrorCode::kBadRequestSignature);
}

TEST(ClassicCredential, CoversMethodBodyAndType) {
  RequestBuilder put("PUT", "/v1/configuration/user");
  put.header("content-type", kType)
      .header("x-timestamp", kTimestamp)
      .header("authorization",
              "instance " + std::string(kInstance) + ":" + std::string(kGetSignature));
  EXPECT_EQ(code_of(check(std::move(put))), ErrorCode::kBadRequestSignature);
  RequestBuilder body = signed_get();
  body.request().body = "{}";
  EXPECT_EQ(code_of(check(std::move(body))), ErrorCode::kBadRequestSignature);
  RequestBuilder other("GET", "/v1/configuration/user");
  other.header("content-type", "application/json")
      .header("x-timestamp", kTimestamp)
      .header("authorization",
              "instance " + std::string(kInstance) + ":" + std::string(kGetSignature));
  EXPECT_EQ(code_of(check(std::move(other))), ErrorCode::kBadRequestSignature);
}

TEST(ClassicCredential, PutsBackWhatAProxyTookAway) {
  RequestBuilder behind = signed_get("/configuration/user");
  EXPECT_EQ(code_of(check(signed_get("/configuration/user"))), ErrorCode::kBadRequestSignature);
  EXPECT_TRUE(check(std::move(behind), kNow, kSecrets, "/v1").ok());
  EXPECT_TRUE(check(signed_get(), kNow, kSecrets, "/v1").ok()) << "not everybody comes through it";
}

TEST(ClassicCredential, TakesAnyOfSeveralSecretsAndNoOther) {
  const std::string other = "AAAAAAAAAAAAAAAAAAAAAA==";
  EXPECT_TRUE(check(signed_get(), kNow, {other, kSecrets.front()}).ok());
  EXPECT_EQ(code_of(check(signed_get(), kNow, {other})), ErrorCode::kBadRequestSignature);
  EXPECT_EQ(code_of(check(signed_get(), kNow, {})), ErrorCode::kBadAuthorization);
}

TEST(ClassicCredential, KeepsToTheWindow) {
  for (const int off : {-299, 0, 299}) {
    EXPECT_TRUE(check(signed_get(), kNow + seconds(off)).ok()) << off;
  }
  for (const int off : {-302, 302, 86400}) {
    EXPECT_EQ(code_of(check(signed_get(), kNow + seconds(off))), ErrorCode::kBadTimestamp) << off;
  }
  RequestBuilder without("GET", "/v1/configuration/user");
  without.header("authorization",
                 "instance " + std::string(kInstance) + ":" + std::string(kGetSignature));
  EXPECT_EQ(code_of(check(std::move(without))), ErrorCode::kBadTimestamp);
}

TEST(ClassicCredential, ReadsTheThreeSchemesAndNothingElse) {
  using Scheme = Credential::Scheme;
  const auto read = [](std::string_view header) {
    RequestBuilder builder("GET", "/");
    builder.header("authorization", header);
    const auto credential = read_credential(builder.request());
    return credential ? std::to_string(static_cast<int>(credential->scheme)) + " " +
                            std::string(credential->value)
                      : std::string(error_name(credential.code()));
  };
  const auto of = [](Scheme scheme, std::string_view value) {
    return std::to_string(static_cast<int>(scheme)) + " " + std::string(value);
  };
  EXPECT_EQ(read("application KEY"), of(Scheme::kApplication, "KEY"));
  EXPECT_EQ(read("Application KEY"), of(Scheme::kApplication, "KEY"));
  EXPECT_EQ(read("user e30=:AAAA"), of(Scheme::kUser, "e30=:AAAA"));
  EXPECT_EQ(read("instance id:sig"), of(Scheme::kInstance, "id"));
  for (const std::string_view header :
       {"", "application", "application ", "application a b", "application KEY:sig", "instance id",
        "instance :sig", "instance id:", "basic YTpi", "bearer x", "user"}) {
    EXPECT_EQ(read(header), "bad_authorization") << header;
  }
  RequestBuilder twice("GET", "/");
  twice.header("authorization", "application A").header("authorization", "application B");
  EXPECT_EQ(read_credential(twice.request()).code(), ErrorCode::kDuplicateHeader);
}

RC_GTEST_PROP(ClassicCredential, TakesExactlyWhatWasSigned,
              (std::string path, std::string body, std::string query)) {
  for (char& c : path) c = static_cast<char>('a' + (static_cast<unsigned char>(c) % 26));
  KeyRing ring;
  RC_ASSERT(ring.add("i1", *ApplicationSecret::from_base64(kSecrets.front())).ok());
  RequestToSign wanted;
  wanted.method = "POST";
  const std::string resource = "/" + path;
  wanted.resource = resource;
  wanted.content_type = kType;
  wanted.body = body;
  wanted.timestamp = std::chrono::floor<seconds>(kNow);
  const auto signature = sign_request(ring, RequestScheme::kInstance, "i1", wanted);
  RC_ASSERT(signature.ok());
  RequestBuilder builder("POST", resource);
  builder.body(kType, body)
      .header("x-timestamp", signature->x_timestamp)
      .header("authorization", signature->authorization);
  builder.request().query = query;
  RC_ASSERT(
      verify_instance(builder.request(), "i1", kSecrets, {}, Policy::default_policy(), kNow).ok());
  const std::string changed = body + "x";
  builder.request().body = changed;
  RC_ASSERT(
      !verify_instance(builder.request(), "i1", kSecrets, {}, Policy::default_policy(), kNow).ok());
}

}  // namespace
}  // namespace countersign::web::classic

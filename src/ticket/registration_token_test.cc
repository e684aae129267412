#include "countersign/registration_token.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "ticket/ticket_fixture.h"

namespace countersign {
namespace {

using namespace countersign::testing;
using std::chrono::seconds;
using std::chrono::sys_seconds;

constexpr auto kUrlSafe = base64::Variant::kUrlSafe;

RawRegistrationToken raw_token() {
  return RawRegistrationToken{"alice", std::string(kKey), kNowSeconds, kDefaultTokenLifetime,
                              "d84e921d-82ba-4bbc-8149-96de6e852c7f"};
}

std::string mint(const RawRegistrationToken& raw) {
  return mint_registration_token(*shared_ring(), raw)->text();
}

std::optional<ErrorCode> refused(std::string_view token, Instant now = kNow,
                                 Policy policy = Policy::default_policy()) {
  const auto result = RegistrationTokenVerifier(shared_ring(), policy, nullptr).verify(token, now);
  return result ? std::nullopt : std::optional{result.code()};
}

// A token of any header and claims, signed with the key of 2026-01-01.
std::string sign_token(std::string_view header, std::string_view claims) {
  const Mac key = reference_hmac(secret().reveal(), as_bytes_of("20260101"));
  const std::string text =
      base64::encode(kUrlSafe, header) + "." + base64::encode(kUrlSafe, claims);
  return text + "." + base64::encode(kUrlSafe, text_of(reference_hmac(key, as_bytes_of(text))));
}

constexpr std::string_view kHeader = R"({"alg":"HS256","kid":"hkdfv1-20260101"})";

std::string claims_with(std::string_view rest) {
  const std::string issuer = "//rtc.sinch.com/applications/" + std::string(kKey);
  return R"({"iss":")" + issuer + R"(","sub":")" + issuer + R"(/users/alice",)" +
         std::string(rest) + "}";
}

TEST(RegistrationTokenMint, GivesTheDocumentedExample) {
  KeyRing ring = ring_of("a32e5a8d-f7d8-411c-9645-9038e8dd051d", "ax8hTTQJF0OPXL32r1LHMA==");
  const RawRegistrationToken raw{"foo", "a32e5a8d-f7d8-411c-9645-9038e8dd051d",
                                 sys_seconds{seconds{1514862245}}, seconds{600},
                                 "6b438bda-2d5c-4e8c-92b0-39f20a94b34e"};
  const std::string token = mint_registration_token(ring, raw)->text();
  EXPECT_TRUE(token.ends_with(".EUltTTD4fxhkwCgLgj6qSQXKawpwQ952Ywm3OwQSARo")) << token;
  const auto key = registration_signing_key(secret("ax8hTTQJF0OPXL32r1LHMA=="),
                                            std::chrono::year{2018} / std::chrono::January / 2);
  EXPECT_EQ(base64::encode(base64::Variant::kStandard, text_of(key)),
            "AZj5EsS8S7wb06xr5jERqPHsraQt3w/+Ih5EfrhisBQ=");
}

TEST(RegistrationTokenMint, RefusesWhatNoVerifierAccepts) {
  const auto code = [](auto change) {
    RawRegistrationToken raw = raw_token();
    change(raw);
    return mint_registration_token(*shared_ring(), raw).code();
  };
  EXPECT_EQ(code([](auto& raw) { raw.user_id = "a/b"; }), ErrorCode::kBadIdentity);
  EXPECT_EQ(code([](auto& raw) { raw.user_id = ""; }), ErrorCode::kBadIdentity);
  EXPECT_EQ(code([](auto& raw) { raw.user_id = "ann lee"; }), ErrorCode::kBadIdentity);
  EXPECT_EQ(code([](auto& raw) { raw.application_key = "x"; }), ErrorCode::kUnknownKey);
  EXPECT_EQ(code([](auto& raw) { raw.expires_in = seconds{59}; }), ErrorCode::kBadLifetime);
  EXPECT_EQ(code([](auto& raw) { raw.expires_in = seconds{604801}; }), ErrorCode::kLifetimeTooLong);
  EXPECT_EQ(code([](auto& raw) { raw.nonce = ""; }), ErrorCode::kMissingClaim);
  EXPECT_EQ(code([](auto& raw) { raw.nonce = "\xFF"; }), ErrorCode::kMissingClaim);
  EXPECT_EQ(code([](auto& raw) {
              raw.registration_expires_at = raw.issued_at + std::chrono::hours{48} - seconds{1};
            }),
            ErrorCode::kBadInstanceLifetime);
}

TEST(RegistrationTokenVerifier, ReportsWhatTheTokenSays) {
  RawRegistrationToken raw = raw_token();
  raw.registration_expires_at = raw.issued_at + std::chrono::hours{48};
  const auto token =
      RegistrationTokenVerifier(shared_ring(), Policy::strict()).verify(mint(raw), kNow);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->identity(), (Identity{IdentityType::kUsername, "alice"}));
  EXPECT_EQ(token->application_key(), kKey);
  EXPECT_EQ(token->issued_at(), raw.issued_at);
  EXPECT_EQ(token->expires_at(), raw.issued_at + seconds{600});
  EXPECT_EQ(token->nonce(), raw.nonce);
  EXPECT_EQ(token->registration_expires_at(), raw.registration_expires_at);
}

TEST(RegistrationTokenVerifier, RejectsTokenExpiringExactlyNow) {
  const std::string token = mint(raw_token());
  const Instant end = kNow + seconds{660};
  EXPECT_EQ(refused(token, end - std::chrono::nanoseconds{1}), kAccepted);
  EXPECT_EQ(refused(token, end), ErrorCode::kExpired);
  EXPECT_EQ(refused(token, kNow - seconds{60}), kAccepted);
  EXPECT_EQ(refused(token, kNow - seconds{61}), ErrorCode::kNotYetValid);
}

TEST(RegistrationTokenVerifier, RefusesEveryOtherAlgorithmBeforeTouchingAKey) {
  for (const char* algorithm : {"none", "hs256", "HS512", "RS256", "HS256 ", ""}) {
    const std::string header =
        R"({"alg":")" + std::string(algorithm) + R"(","kid":"hkdfv1-20260101"})";
    EXPECT_EQ(refused(sign_token(header, "not even JSON")), ErrorCode::kBadAlg) << algorithm;
  }
}

TEST(RegistrationTokenVerifier, TreatsNumbersAsTheTableSays) {
  const auto with = [](std::string_view issued, std::string_view expires) {
    return refused(sign_token(kHeader, claims_with(R"("nonce":"n","iat":)" + std::string(issued) +
                                                   R"(,"exp":)" + std::string(expires))));
  };
  EXPECT_EQ(with("1767232800", "1767232860"), kAccepted);
  EXPECT_EQ(with("1767232800", "1767232859"), ErrorCode::kBadLifetime);
  EXPECT_EQ(with("1767232800", "99999999999999999999999"), ErrorCode::kLifetimeTooLong);
  EXPECT_EQ(with("-99999999999999999999999", "99999999999999999999999"),
            ErrorCode::kKidDateMismatch);
  EXPECT_EQ(with("1767232800.0", "1767233400"), ErrorCode::kMissingClaim);
  EXPECT_EQ(with("1767232800", "17672334e2"), ErrorCode::kMissingClaim);
  EXPECT_EQ(with("true", "1767233400"), ErrorCode::kMissingClaim);
}

TEST(RegistrationTokenVerifier, HasAReplayCacheUnlessToldOtherwise) {
  const std::string token = mint(raw_token());
  const RegistrationTokenVerifier own(shared_ring(), Policy::strict());
  EXPECT_TRUE(own.verify(token, kNow));
  EXPECT_EQ(own.verify(token, kNow).code(), ErrorCode::kReplayed);
  const RegistrationTokenVerifier without(shared_ring(), Policy::strict(), nullptr);
  EXPECT_TRUE(without.verify(token, kNow));
  EXPECT_TRUE(without.verify(token, kNow));
}

TEST(RegistrationTokenVerifier, KnowsATokenByItsNonceAndNotByItsText) {
  const RegistrationTokenVerifier own(shared_ring(), Policy::strict());
  const std::string rest = R"("iat":1767232800,"exp":1767233400,"nonce":"n")";
  EXPECT_TRUE(own.verify(sign_token(kHeader, claims_with(rest)), kNow));
  EXPECT_EQ(own.verify(sign_token(kHeader, claims_with(" " + rest)), kNow).code(),
            ErrorCode::kReplayed);
}

TEST(RegistrationToken, MintThenVerifyIsIdentity) {
  EXPECT_TRUE(rc::check([] {
    RawRegistrationToken raw = raw_token();
    raw.user_id = *rc::gen::nonEmpty(rc::gen::container<std::string>(
        rc::gen::suchThat(rc::gen::inRange<char>(0x21, 0x7F), [](char c) { return c != '/'; })));
    raw.issued_at = sys_seconds{seconds{*rc::gen::inRange<std::int64_t>(0, 4102444800)}};
    raw.expires_in = seconds{*rc::gen::inRange(60, 604801)};
    raw.nonce = std::to_string(*rc::gen::arbitrary<std::uint64_t>()) + "\"\\\n";
    const auto token = RegistrationTokenVerifier(shared_ring(), Policy::default_policy(), nullptr)
                           .verify(mint(raw), Instant{raw.issued_at});
    RC_ASSERT(token.ok());
    RC_ASSERT(token->identity().endpoint == raw.user_id);
    RC_ASSERT(token->nonce() == raw.nonce);
    RC_ASSERT(token->expires_at() == raw.issued_at + raw.expires_in);
  }));
}

TEST(RegistrationToken, EverySingleBitChangeFails) {
  const std::string token = mint(raw_token());
  for (std::size_t bit = 0; bit < token.size() * 8; ++bit) {
    std::string changed = token;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    ASSERT_TRUE(refused(changed).has_value()) << "bit " << bit;
  }
}

}  // namespace
}  // namespace countersign

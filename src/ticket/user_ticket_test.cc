#include "countersign/user_ticket.h"

#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "ticket/ticket_fixture.h"

namespace countersign {
namespace {

using namespace countersign::testing;
using std::chrono::nanoseconds;
using std::chrono::seconds;

std::string mint(const RawUserTicket& raw) { return mint_user_ticket(*shared_ring(), raw)->text(); }

ErrorCode mint_refusal(const RawUserTicket& raw) {
  return mint_user_ticket(*shared_ring(), raw).code();
}

std::string payload_of(const std::string& ticket) {
  return *base64::decode(base64::Variant::kStandard,
                         std::string_view(ticket).substr(0, ticket.find(':')));
}

TEST(UserTicketMint, WritesTheCanonicalForm) {
  EXPECT_EQ(payload_of(mint(raw_ticket("al\"ice\\ \xC3\xA9\xF0\x9F\x98\x80/"))),
            R"({"identity":{"type":"username","endpoint":"al\"ice\\ \u00e9\ud83d\ude00/"},)"
            R"("expiresIn":3600,"applicationKey":"1a006c4a-8d2e-4caf-85e0-c64de1435b8f",)"
            R"("created":"2026-01-01T02:00:00Z"})");
}

TEST(UserTicketMint, PutsTheSessionLast) {
  RawUserTicket raw = raw_ticket();
  raw.session = "S_1-x";
  EXPECT_TRUE(
      payload_of(mint(raw)).ends_with(R"("created":"2026-01-01T02:00:00Z","session":"S_1-x"})"));
}

TEST(UserTicketMint, SignsThePayloadBytesAsTheyAre) {
  const std::string ticket = mint(raw_ticket());
  EXPECT_EQ(ticket, sign(payload_of(ticket)));
}

TEST(UserTicketMint, RefusesWhatTheDefaultPolicyWouldRefuse) {
  RawUserTicket raw = raw_ticket("a\nb");
  EXPECT_EQ(mint_refusal(raw), ErrorCode::kBadIdentity);
  raw = raw_ticket();
  raw.identity.type = IdentityType::kEmail;
  EXPECT_EQ(mint_refusal(raw), ErrorCode::kBadIdentity);
  raw = raw_ticket();
  raw.expires_in = seconds{0};
  EXPECT_EQ(mint_refusal(raw), ErrorCode::kBadLifetime);
  raw.expires_in = seconds{86401};
  EXPECT_EQ(mint_refusal(raw), ErrorCode::kLifetimeTooLong);
  raw = raw_ticket();
  raw.application_key = "unknown";
  EXPECT_EQ(mint_refusal(raw), ErrorCode::kUnknownKey);
  raw = raw_ticket();
  raw.created = std::chrono::sys_seconds{seconds{253402300800}};  // 10000-01-01
  EXPECT_EQ(mint_refusal(raw), ErrorCode::kBadCreated);
  for (const std::string& session : {std::string(), std::string("a b"), std::string(65, 's')}) {
    raw = raw_ticket();
    raw.session = session;
    EXPECT_EQ(mint_refusal(raw), ErrorCode::kBadSession);
  }
}

TEST(UserTicketMint, TheLongestNameFitsTheSizeLimit) {
  std::string name;
  for (int i = 0; i < 127; ++i) name += "\xC2\xA0";
  EXPECT_EQ(refusal(mint(raw_ticket(name))), kAccepted);
}

TEST(UserTicketMint, NotesNamesThatSomeSdkRefuses) {
  EXPECT_EQ(mint_user_ticket(*shared_ring(), raw_ticket("alice"))->notes(), NameNotes{});
  EXPECT_TRUE(mint_user_ticket(*shared_ring(), raw_ticket("ann lee"))->notes().outside_classic_set);
}

TEST(UserTicketVerifier, ReportsWhatTheTicketSays) {
  RawUserTicket raw = raw_ticket();
  raw.session = "abc";
  const std::string text = mint(raw);
  const auto ticket = UserTicketVerifier(shared_ring(), Policy::strict()).verify(text, kNow);
  ASSERT_TRUE(ticket);
  EXPECT_EQ(ticket->identity(), raw.identity);
  EXPECT_EQ(ticket->application_key(), kKey);
  EXPECT_EQ(ticket->created(), kNow);
  EXPECT_EQ(ticket->expires_in(), seconds{3600});
  EXPECT_EQ(ticket->expires_at(), kNow + seconds{3600});
  EXPECT_EQ(ticket->session(), "abc");
  EXPECT_EQ(text_of(ticket->mac()),
            *base64::decode(base64::Variant::kStandard,
                            std::string_view(text).substr(text.find(':') + 1)));
}

TEST(UserTicketVerifier, RejectsTicketExpiringExactlyNow) {
  const std::string ticket = mint(raw_ticket());
  const Instant end = kNow + seconds{3600 + 60};
  EXPECT_EQ(refusal(ticket, end - nanoseconds{1}), kAccepted);
  EXPECT_EQ(refusal(ticket, end), ErrorCode::kExpired);
}

TEST(UserTicketVerifier, AcceptsTicketFromTheFutureUpToTheSkew) {
  const std::string ticket = mint(raw_ticket());
  EXPECT_EQ(refusal(ticket, kNow - seconds{60}), kAccepted);
  EXPECT_EQ(refusal(ticket, kNow - seconds{60} - nanoseconds{1}), ErrorCode::kNotYetValid);
}

TEST(UserTicketVerifier, JudgesTicketsOfAllYearsWithoutOverflow) {
  for (const auto& [created, reason] :
       {std::pair{"0000-01-01T00:00:00Z", ErrorCode::kExpired},
        std::pair{"1600-01-01T00:00:00Z", ErrorCode::kExpired},
        std::pair{"2300-01-01T00:00:00Z", ErrorCode::kNotYetValid},
        std::pair{"9999-12-31T23:59:59.999999999-23:59", ErrorCode::kNotYetValid}}) {
    const std::string ticket =
        sign(payload_with(R"("expiresIn":86400,"created":")" + std::string(created) + '"'));
    EXPECT_EQ(refusal(ticket), reason) << created;
  }
}

TEST(UserTicketVerifier, TellsTrimmedDigestsFromForgeries) {
  const std::string ticket = mint(raw_ticket());
  const std::string data = ticket.substr(0, ticket.find(':') + 1);
  const std::string mac(32, 'm');
  const auto with = [&](std::size_t size) {
    return data + base64::encode(base64::Variant::kStandard, std::string_view(mac).substr(0, size));
  };
  EXPECT_EQ(refusal(with(31)), ErrorCode::kBadSignatureLength);
  EXPECT_EQ(refusal(with(1)), ErrorCode::kBadSignatureLength);
  EXPECT_EQ(refusal(with(32)), ErrorCode::kBadSignature);
}

TEST(UserTicketVerifier, LooksAtTheSizeBeforeAnythingElse) {
  EXPECT_EQ(refusal(std::string(8193, ':')), ErrorCode::kTooLarge);
  EXPECT_EQ(refusal(std::string(8192, ':')), ErrorCode::kBadLayout);
}

TEST(UserTicketVerifier, RejectsAnythingAroundATicket) {
  const std::string ticket = mint(raw_ticket());
  for (const std::string& text :
       {" " + ticket, ticket + "\n", "User " + ticket, ticket + "," + ticket, ticket + ":",
        ":" + ticket, std::string(":"), std::string()}) {
    const auto reason = refusal(text);
    EXPECT_TRUE(reason == ErrorCode::kBadLayout || reason == ErrorCode::kBadBase64) << text;
  }
}

TEST(UserTicketVerifier, ChecksSyntaxBeforeTheKeyAndValuesAfterTheMac) {
  const std::string unknown_key =
      R"({"identity":{"type":"x","endpoint":""},"applicationKey":"nobody",)"
      R"("created":"never","expiresIn":-1})";
  EXPECT_EQ(refusal(sign(unknown_key)), ErrorCode::kUnknownKey);
  std::string forged = sign(payload_with(R"("created":"never","expiresIn":-1)"));
  forged.replace(forged.size() - 3, 1, forged[forged.size() - 3] == 'A' ? "B" : "A");
  EXPECT_EQ(refusal(forged), ErrorCode::kBadSignature);
  EXPECT_EQ(refusal(sign("[]")), ErrorCode::kNotAnObject);
  EXPECT_EQ(refusal(sign("{}")), ErrorCode::kMissingMember);
}

TEST(UserTicketVerifier, ReportsOneReasonWhateverTheOrderOfMembers) {
  const std::string created = R"("created":"2026-01-01T02:00:00Z")";
  for (const std::string& rest :
       {created + R"(,"x":1,"ExpiresIn":5)", R"("ExpiresIn":5,"x":1,)" + created}) {
    EXPECT_EQ(refusal(sign(payload_with(rest)), kNow, Policy::strict()), ErrorCode::kBadMemberName);
  }
  EXPECT_EQ(refusal(sign(payload_with(created + R"(,"applicationkey":"x")"))),
            ErrorCode::kDuplicateMember);
}

TEST(UserTicketVerifier, ReadsLifetimesAsTheTableSays) {
  const auto with = [](std::string_view lifetime, Policy policy = Policy::default_policy()) {
    return refusal(sign(payload_with(R"("created":"2026-01-01T02:00:00Z","expiresIn":)" +
                                     std::string(lifetime))),
                   kNow, policy);
  };
  for (const char* good : {"1", "86400", "\"1\"", "\"000000000000003600\""}) {
    EXPECT_EQ(with(good), kAccepted) << good;
  }
  for (const char* bad :
       {"0", "-0", "-1", "36e2", "3600.0", "true", "null", "[]", "{}", "\"\"", "\" 1\"", "\"+1\"",
        "\"-1\"", "\"0\"", "\"0000000000000000001\"", "-99999999999999999999"}) {
    EXPECT_EQ(with(bad), ErrorCode::kBadLifetime) << bad;
  }
  for (const char* longer :
       {"86401", "9223372036854775807", "99999999999999999999", "\"999999999999999999\""}) {
    EXPECT_EQ(with(longer), ErrorCode::kLifetimeTooLong) << longer;
  }
  EXPECT_EQ(with("\"3600\"", Policy::strict()), ErrorCode::kBadLifetime);
}

TEST(UserTicketVerifier, AbsentLifetimeIsAnHourOrRefused) {
  const std::string ticket = sign(payload_with(R"("created":"2026-01-01T02:00:00Z")"));
  EXPECT_EQ(refusal(ticket, kNow + seconds{3659}), kAccepted);
  EXPECT_EQ(refusal(ticket, kNow + seconds{3660}), ErrorCode::kExpired);
  EXPECT_EQ(refusal(ticket, kNow, Policy::strict()), ErrorCode::kMissingMember);
}

TEST(UserTicketVerifier, RefusesMalformedSessionsUnderBothPolicies) {
  for (const char* session : {"\"\"", "\"a b\"", "1", "null", "{}", "\"\\u00e9\""}) {
    const std::string ticket = sign(payload_with(
        R"("expiresIn":60,"created":"2026-01-01T02:00:00Z","session":)" + std::string(session)));
    EXPECT_EQ(refusal(ticket), ErrorCode::kBadSession) << session;
    EXPECT_EQ(refusal(ticket, kNow, Policy::strict()), ErrorCode::kBadSession) << session;
  }
  const std::string upper =
      sign(payload_with(R"("expiresIn":60,"created":"2026-01-01T02:00:00Z","Session":"a")"));
  EXPECT_EQ(refusal(upper), ErrorCode::kBadMemberName) << "a session must not get lost";
}

TEST(UserTicketVerifier, BindsToAnExpectedIdentity) {
  const std::string ticket = mint(raw_ticket());
  const auto expecting = [&](IdentityType type, std::string endpoint) {
    VerifyOptions options;
    options.expected_identity = Identity{type, std::move(endpoint)};
    return refusal(ticket, kNow, Policy::default_policy(), options);
  };
  EXPECT_EQ(expecting(IdentityType::kUsername, "alice"), kAccepted);
  EXPECT_EQ(expecting(IdentityType::kUsername, "Alice"), ErrorCode::kIdentityMismatch);
  EXPECT_EQ(expecting(IdentityType::kEmail, "alice"), ErrorCode::kIdentityMismatch);
}

TEST(UserTicketVerifier, AcceptsEveryActiveSecretAndNoRetiredOne) {
  KeyRing ring = ring_of(kKey, kOtherSecret);
  ASSERT_TRUE(ring.add(std::string(kKey), secret()));
  const std::string by_new = mint_user_ticket(ring, raw_ticket())->text();
  const std::string by_old = mint(raw_ticket());
  ASSERT_NE(by_new, by_old);
  const auto both = std::make_shared<const KeyRing>(ring.clone());
  EXPECT_TRUE(UserTicketVerifier(both, Policy::strict()).verify(by_new, kNow));
  EXPECT_TRUE(UserTicketVerifier(both, Policy::strict()).verify(by_old, kNow));
  ASSERT_TRUE(ring.retire(kKey, secret().fingerprint()));
  const auto rest = std::make_shared<const KeyRing>(ring.clone());
  EXPECT_TRUE(UserTicketVerifier(rest, Policy::strict()).verify(by_new, kNow));
  EXPECT_EQ(UserTicketVerifier(rest, Policy::strict()).verify(by_old, kNow).code(),
            ErrorCode::kBadSignature);
}

TEST(UserTicketVerifier, AsksTheReplayCacheLastAndByPresenter) {
  BoundedReplayCache cache(1);
  const UserTicketVerifier verifier(shared_ring(), Policy::strict(), &cache);
  const std::string ticket = mint(raw_ticket());
  EXPECT_EQ(verifier.verify(ticket, kNow + seconds{90000}).code(), ErrorCode::kExpired);
  EXPECT_EQ(cache.size(), 0U) << "a refused ticket leaves no trace";
  VerifyOptions phone;
  phone.presenter = "phone";
  EXPECT_TRUE(verifier.verify(ticket, kNow, phone));
  EXPECT_TRUE(verifier.verify(ticket, kNow, phone));
  EXPECT_EQ(verifier.verify(ticket, kNow).code(), ErrorCode::kReplayed);
  EXPECT_EQ(verifier.verify(mint(raw_ticket("bob")), kNow, phone).code(), ErrorCode::kOverloaded);
}

TEST(UserTicketVerifier, TheSamePayloadSpelledOtherwiseGivesTheSameTicket) {
  // The canonical form is read by a short cut; a blank or another order is not.
  const std::string canonical = payload_of(mint(raw_ticket()));
  std::string spaced = canonical;
  spaced.insert(1, " ");
  for (const std::string& payload : {canonical, spaced}) {
    const auto ticket =
        UserTicketVerifier(shared_ring(), Policy::strict()).verify(sign(payload), kNow);
    ASSERT_TRUE(ticket) << payload;
    EXPECT_EQ(ticket->identity().endpoint, "alice");
    EXPECT_EQ(ticket->expires_in(), seconds{3600});
  }
}

TEST(InspectUserTicket, ShowsClaimsWithoutAnyKey) {
  std::string ticket = mint(raw_ticket());
  ticket[ticket.size() - 10] = ticket[ticket.size() - 10] == 'A' ? 'B' : 'A';
  const auto claims = inspect_user_ticket(ticket);
  ASSERT_TRUE(claims);
  EXPECT_EQ(claims->endpoint, "alice");
  EXPECT_EQ(claims->expires_in, "3600");
  EXPECT_EQ(claims->session, std::nullopt);
  EXPECT_EQ(inspect_user_ticket("nonsense").code(), ErrorCode::kBadLayout);
  EXPECT_EQ(inspect_user_ticket(sign("[1]")).code(), ErrorCode::kNotAnObject);
  EXPECT_EQ(inspect_user_ticket(sign("{\"identity\":7}"))->endpoint, std::nullopt);
}

rc::Gen<RawUserTicket> any_raw_ticket() {
  return rc::gen::exec([] {
    RawUserTicket raw = raw_ticket();
    raw.identity.endpoint = *rc::gen::suchThat(
        rc::gen::container<std::string>(rc::gen::weightedOneOf<char>(
            {{5, rc::gen::inRange<char>(0x20, 0x7F)}, {1, rc::gen::arbitrary<char>()}})),
        [](const std::string& name) {
          return validate_identity({IdentityType::kUsername, name}, UserNameRule::kUtf8).ok();
        });
    raw.created = std::chrono::sys_seconds{seconds{*rc::gen::inRange<std::int64_t>(0, 4102444800)}};
    raw.expires_in = seconds{*rc::gen::inRange(1, 86401)};
    if (*rc::gen::arbitrary<bool>()) {
      raw.session = *rc::gen::nonEmpty(
          rc::gen::container<std::string>(rc::gen::elementOf(std::string("azAZ09_-"))));
      raw.session->resize(std::min<std::size_t>(raw.session->size(), 64));
    }
    return raw;
  });
}

TEST(UserTicket, MintThenVerifyIsIdentity) {
  EXPECT_TRUE(rc::check([] {
    const RawUserTicket raw = *any_raw_ticket();
    const auto ticket = UserTicketVerifier(shared_ring(), Policy::default_policy())
                            .verify(mint(raw), Instant{raw.created});
    RC_ASSERT(ticket.ok());
    RC_ASSERT(ticket->identity() == raw.identity);
    RC_ASSERT(ticket->application_key() == raw.application_key);
    RC_ASSERT(ticket->created() == Instant{raw.created});
    RC_ASSERT(ticket->expires_in() == raw.expires_in);
    RC_ASSERT(ticket->session() == raw.session);
  }));
}

TEST(UserTicket, EverySingleBitChangeFails) {
  const std::string ticket = mint(raw_ticket());
  const UserTicketVerifier verifier(shared_ring(), Policy::default_policy());
  for (std::size_t bit = 0; bit < ticket.size() * 8; ++bit) {
    std::string changed = ticket;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    ASSERT_FALSE(verifier.verify(changed, kNow)) << "bit " << bit;
  }
}

TEST(UserTicket, AnySingleBitChangeOfAnyTicketFails) {
  EXPECT_TRUE(rc::check([] {
    const RawUserTicket raw = *any_raw_ticket();
    std::string ticket = mint(raw);
    const auto bit = *rc::gen::inRange<std::size_t>(0, ticket.size() * 8);
    ticket[bit / 8] = static_cast<char>(ticket[bit / 8] ^ (1 << bit % 8));
    RC_ASSERT(refusal(ticket, Instant{raw.created}).has_value());
  }));
}

}  // namespace
}  // namespace countersign

#include "issuing/issuer.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "countersign/application_secret.h"
#include "countersign/user_ticket.h"

#include "accounts/testing/account_world.h"
#include "issuing/testing/hooked_store.h"
#include "sessions/session_service.h"

namespace countersign::issuing {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kApplication = "5F1C0FEE-3000-4ED2-AAAA-0123456789AB";
constexpr std::string_view kSecret = "c2VjcmV0LW9mLXRoZS10ZXN0cw==";

std::shared_ptr<const KeyRing> make_ring() {
  auto ring = std::make_shared<KeyRing>();
  EXPECT_TRUE(ring->add(std::string(kApplication), *ApplicationSecret::from_base64(kSecret)).ok());
  return ring;
}

class IssuerTest : public accounts::AccountWorld {
 protected:
  Issuer issuer_with(IssuerOptions options) {
    options.application_key = std::string(kApplication);
    return Issuer(ring, hooked, sessions, clock, metrics, std::move(options));
  }
  static IssuerOptions with_mode(IdentityMode mode) {
    IssuerOptions options;
    options.identity = mode;
    return options;
  }
  storage::SessionView begin() {
    return *sessions.create(ann, {"192.0.2.7/32", "Firefox", "password"})->view;
  }
  Result<VerifiedUserTicket> verify(const IssuedTicket& ticket) {
    return UserTicketVerifier(ring, Policy::strict())
        .verify(ticket.text, Instant(clock.now().time_since_epoch()));
  }

  /// Another process signs Ann out: nothing in this one hears of it.
  void sign_out_elsewhere() {
    const std::vector<std::string> apps{std::string(kApplication)};
    EXPECT_TRUE(directory.sign_out("ann", apps).ok());
  }
  base::SystemTime watermark() {
    return *store->revocations().watermark(kApplication, {IdentityType::kUsername, "Ann"});
  }

  std::shared_ptr<const KeyRing> ring = make_ring();
  HookedStore hooked{*store};
  storage::Account ann = add("Ann", "Ann@example.org");
  sessions::SessionService sessions{hooked, clock, random, metrics, {}};
};

TEST_F(IssuerTest, MintsATicketThatVerifiesAndNamesTheSession) {
  Issuer issuer = issuer_with({});
  const auto session = begin();
  const auto ticket = issuer.issue(session, "request");
  ASSERT_TRUE(ticket.ok());
  const auto verified = verify(*ticket);
  ASSERT_TRUE(verified.ok()) << verified.error().detail;
  EXPECT_EQ(verified->identity(), (Identity{IdentityType::kUsername, "Ann"}));
  EXPECT_EQ(verified->application_key(), kApplication);
  EXPECT_EQ(verified->expires_in(), 3600s);
  EXPECT_EQ(verified->session(), session.session.handle.text());
  EXPECT_EQ(ticket->identity, verified->identity());
  EXPECT_EQ(ticket->expires_at.time_since_epoch(), verified->expires_at().time_since_epoch());
}

TEST_F(IssuerTest, CarriesTheIdentityOfTheMode) {
  const auto session = begin();
  auto email = issuer_with(with_mode(IdentityMode::kEmail)).issue(session, "");
  EXPECT_EQ(email->identity, (Identity{IdentityType::kEmail, "Ann@example.org"}));
  EXPECT_TRUE(verify(*email).ok());
  auto as_name = issuer_with(with_mode(IdentityMode::kEmailAsUsername)).issue(session, "");
  EXPECT_EQ(as_name->identity, (Identity{IdentityType::kUsername, "Ann@example.org"}));
  EXPECT_TRUE(verify(*as_name).ok());
}

TEST_F(IssuerTest, AnAddressThatIsOnlyClaimedIsNoIdentity) {
  auto session = begin();
  session.account.email_key.reset();
  for (const IdentityMode mode : {IdentityMode::kEmail, IdentityMode::kEmailAsUsername}) {
    EXPECT_EQ(issuer_with(with_mode(mode)).issue(session, "").code(), ErrorCode::kEmailRequired);
  }
  session.account.email.reset();
  EXPECT_EQ(issuer_with(with_mode(IdentityMode::kEmail)).issue(session, "").code(),
            ErrorCode::kEmailRequired);
  EXPECT_TRUE(issuer_with({}).issue(session, "").ok());
}

TEST_F(IssuerTest, TicketsOfAFreshSessionAreStampedAfterTheWatermarkBeforeIt) {
  clock.advance(300ms);
  const std::vector<std::string> apps{std::string(kApplication)};
  ASSERT_TRUE(directory.sign_out("ann", apps).ok());
  ann = *directory.get("ann");
  clock.advance(1ms);
  Issuer issuer = issuer_with({});
  const auto ticket = issuer.issue(begin(), "");
  const auto verified = verify(*ticket);
  ASSERT_TRUE(verified.ok());
  const auto watermark = *store->revocations().watermark(apps[0], verified->identity());
  EXPECT_GT(verified->created().time_since_epoch(), watermark.time_since_epoch());
}

TEST_F(IssuerTest, LaterTicketsAreStampedNow) {
  Issuer issuer = issuer_with({});
  const auto session = begin();
  clock.advance(90s + 700ms);
  const auto verified = verify(*issuer.issue(session, ""));
  EXPECT_EQ(verified->created(),
            Instant(std::chrono::floor<std::chrono::seconds>(clock.now()).time_since_epoch()));
}

TEST_F(IssuerTest, WithoutTheSessionMemberTheWatermarkDecides) {
  IssuerOptions options;
  options.session_member = false;
  Issuer issuer = issuer_with(options);
  EXPECT_TRUE(issuer.needs_store());
  EXPECT_FALSE(issuer_with({}).needs_store());

  const auto session = begin();
  clock.advance(300ms);
  const Identity identity{IdentityType::kUsername, "Ann"};
  const auto before = verify(*issuer.issue(session, ""));
  EXPECT_FALSE(before->session().has_value());
  EXPECT_LT(before->created().time_since_epoch(), clock.now().time_since_epoch())
      << "no watermark: stamped with the second that has begun";

  storage::Revocation revocation;
  revocation.scope = storage::RevocationScope::kIdentity;
  revocation.application_key = std::string(kApplication);
  revocation.identity = identity;
  revocation.reason = "operator";
  revocation.time = clock.now();
  ASSERT_TRUE(store->revocations().add(std::span(&revocation, 1)).ok());
  clock.advance(1ms);
  const auto after = verify(*issuer.issue(session, ""));
  ASSERT_TRUE(after.ok());
  EXPECT_GT(after->created().time_since_epoch(), revocation.time.time_since_epoch());
}

TEST_F(IssuerTest, WithoutTheSessionMemberAnEndedSessionMintsNothing) {
  IssuerOptions options;
  options.session_member = false;
  Issuer issuer = issuer_with(options);
  const auto signed_out = begin();
  sign_out_elsewhere();
  clock.advance(900ms);  // the stamp would lie after the watermark
  EXPECT_EQ(issuer.issue(signed_out, "").code(), ErrorCode::kNotSignedIn);

  ann = *directory.get("ann");
  const auto disabled = begin();
  const std::vector<std::string> apps{std::string(kApplication)};
  ASSERT_TRUE(directory.set_disabled("ann", true, apps).ok());
  clock.advance(900ms);
  EXPECT_EQ(issuer.issue(disabled, "").code(), ErrorCode::kNotSignedIn);
}

TEST_F(IssuerTest, WithoutTheSessionMemberASignOutWhileMintingWins) {
  IssuerOptions options;
  options.session_member = false;
  Issuer issuer = issuer_with(options);
  const auto out_a_moment_later = [this] {
    clock.advance(1200ms);
    sign_out_elsewhere();
    clock.advance(1200ms);
  };
  hooked.after_watermark = out_a_moment_later;
  EXPECT_EQ(issuer.issue(begin(), "").code(), ErrorCode::kNotSignedIn);

  ann = *directory.get("ann");
  const auto session = begin();
  hooked.after_find_by_handle = out_a_moment_later;
  const auto ticket = issuer.issue(session, "");
  ASSERT_TRUE(ticket.ok());
  EXPECT_LE(verify(*ticket)->created().time_since_epoch(), watermark().time_since_epoch());
}

TEST_F(IssuerTest, WithoutTheSessionMemberASecondSignOutInTheSameSecondRecallsWhatCameBetween) {
  IssuerOptions options;
  options.session_member = false;
  Issuer issuer = issuer_with(options);
  sign_out_elsewhere();
  ann = *directory.get("ann");
  clock.advance(100ms);
  const auto between = issuer.issue(begin(), "");
  ASSERT_TRUE(between.ok());
  EXPECT_GT(verify(*between)->created().time_since_epoch(), watermark().time_since_epoch());
  clock.advance(100ms);
  sign_out_elsewhere();
  EXPECT_LE(verify(*between)->created().time_since_epoch(), watermark().time_since_epoch());
}

TEST_F(IssuerTest, ATicketNeverOutlivesItsSession) {
  Issuer issuer = issuer_with({});
  const auto session = begin();
  clock.advance(11h + 30min);
  const auto ticket = issuer.issue(session, "");
  ASSERT_TRUE(ticket.ok());
  EXPECT_EQ(ticket->expires_at, session.session.created + 12h);
  clock.advance(30min - 1s);
  EXPECT_EQ(verify(*issuer.issue(session, ""))->expires_in(), 1s);
  clock.advance(1s);
  EXPECT_EQ(issuer.issue(session, "").code(), ErrorCode::kNotSignedIn);
}

TEST_F(IssuerTest, TakesTheLifetimeFromItsOptions) {
  IssuerOptions options;
  options.lifetime = 600s;
  EXPECT_EQ(verify(*issuer_with(options).issue(begin(), ""))->expires_in(), 600s);
}

TEST_F(IssuerTest, CountsWhatItIssuesAndRefuses) {
  Issuer issuer = issuer_with({});
  ASSERT_TRUE(issuer.issue(begin(), "").ok());
  issuer.set_ring(std::make_shared<KeyRing>());
  EXPECT_EQ(issuer.issue(begin(), "").code(), ErrorCode::kUnknownKey);
  const std::string page = metrics.expose();
  EXPECT_NE(page.find("countersign_tickets_total{result=\"issued\"} 1"), std::string::npos);
  EXPECT_NE(page.find("countersign_tickets_total{result=\"refused\"} 1"), std::string::npos);
}

TEST(IdentityMode, IsNamedAsInTheSettings) {
  EXPECT_EQ(parse_identity_mode("username"), IdentityMode::kUsername);
  EXPECT_EQ(parse_identity_mode("email"), IdentityMode::kEmail);
  EXPECT_EQ(parse_identity_mode("email_as_username"), IdentityMode::kEmailAsUsername);
  EXPECT_EQ(parse_identity_mode("Email"), std::nullopt);
  EXPECT_FALSE(email_is_identity(IdentityMode::kUsername));
  EXPECT_TRUE(email_is_identity(IdentityMode::kEmail));
  EXPECT_TRUE(email_is_identity(IdentityMode::kEmailAsUsername));
}

}  // namespace
}  // namespace countersign::issuing

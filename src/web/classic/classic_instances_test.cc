// Classic instances over a real store: made, renewed, refused, replaced, ended.
#include "web/classic/classic_instances.h"

#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "countersign/key_ring.h"
#include "countersign/user_ticket.h"

#include "base/fake_clock.h"
#include "base/log.h"
#include "gateway/classic/classic_gateway.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::web::classic {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kApplication = "test-application";

class ClassicInstancesTest : public testing::Test {
 protected:
  ClassicInstancesTest() {
    base::set_log_level(base::LogLevel::kError);
    store_ = std::move(*storage::open_sqlite_store(directory_.options()));
    auto ring = std::make_shared<KeyRing>();
    EXPECT_TRUE(
        ring->add(kApplication, *ApplicationSecret::from_base64("AAAAAAAAAAAAAAAAAAAAAA==")));
    ring_ = std::move(ring);
    options_.desk.max_instances_per_user = 3;
    build();
  }
  ~ClassicInstancesTest() override { base::set_log_level(base::LogLevel::kInfo); }

  void build() {
    instances_ = std::make_unique<ClassicInstances>(
        options_, [this] { return ring_; }, Policy::default_policy(),
        gateway::InstanceKeys("key", base::as_bytes("0123456789abcdef0123456789abcdef")), *store_,
        clock_, random_);
  }
  std::string ticket(std::string user = "ann", std::optional<std::string> session = {}) {
    RawUserTicket raw;
    raw.identity = {IdentityType::kUsername, std::move(user)};
    raw.application_key = kApplication;
    raw.created = std::chrono::floor<seconds>(clock_.now());
    raw.expires_in = seconds(600);
    raw.session = std::move(session);
    return mint_user_ticket(*ring_, raw).value().text();
  }

  storage::TestDirectory directory_;
  base::FakeClock clock_;
  base::SeededRandom random_{1};
  std::unique_ptr<storage::Store> store_;
  std::shared_ptr<const KeyRing> ring_;
  ClassicInstanceOptions options_;
  std::unique_ptr<ClassicInstances> instances_;
};

TEST_F(ClassicInstancesTest, AreMadeFromATicketAndOutliveIt) {
  const auto given = instances_->create(ticket());
  ASSERT_TRUE(given.ok());
  EXPECT_EQ(given->instance.identity.endpoint, "ann");
  EXPECT_EQ(given->instance.device, gateway::classic::classic_device(given->instance.id));
  EXPECT_EQ(given->instance.expires, clock_.now() + hours(24));
  EXPECT_EQ(given->secret.size(), 44U);
  EXPECT_EQ(instances_->secrets(given->instance), std::vector<std::string>{given->secret});
  EXPECT_TRUE(store_->instances().find_instance(given->instance.id).value().has_value());
}

TEST_F(ClassicInstancesTest, TwoStartsAreTwoInstances) {
  const std::string same = ticket();
  const auto first = instances_->create(same);
  const auto second = instances_->create(same);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(first->instance.id, second->instance.id);
  EXPECT_NE(first->secret, second->secret);
}

TEST_F(ClassicInstancesTest, AreRenewedWithTheSecretTheyHad) {
  const auto given = instances_->create(ticket());
  ASSERT_TRUE(given.ok());
  clock_.advance(hours(5));
  const auto renewed = instances_->renew(given->instance.id.text(), ticket());
  ASSERT_TRUE(renewed.ok());
  EXPECT_EQ(renewed->instance.id, given->instance.id);
  EXPECT_EQ(renewed->secret, given->secret) << "the other tab goes on";
  EXPECT_EQ(renewed->instance.expires, clock_.now() + hours(24));
  EXPECT_EQ(store_->instances().find_instance(given->instance.id).value()->expires,
            renewed->instance.expires);
}

TEST_F(ClassicInstancesTest, OfOthersAndOfNobodyAreNotFound) {
  const auto given = instances_->create(ticket());
  ASSERT_TRUE(given.ok());
  EXPECT_EQ(instances_->renew(given->instance.id.text(), ticket("bob")).code(),
            ErrorCode::kNotFound);
  for (const std::string_view id : {"", "x", "undefined", "../../..", "'; drop table"}) {
    EXPECT_EQ(instances_->renew(id, ticket()).code(), ErrorCode::kNotFound) << id;
  }
  // A native instance is none of this door's.
  storage::Instance native = given->instance;
  native.id = base::InstanceId("AAAAAAAAAAAAAAAAAAAAAA");
  native.device = "phone";
  ASSERT_TRUE(store_->instances().create_instance(native, 10).ok());
  EXPECT_EQ(instances_->renew(native.id.text(), ticket()).code(), ErrorCode::kNotFound);
}

TEST_F(ClassicInstancesTest, BadTicketsAreRefusedBeforeAnythingIsLookedUp) {
  std::string forged = ticket();
  forged[forged.size() - 5] = forged[forged.size() - 5] == 'A' ? 'B' : 'A';
  EXPECT_EQ(instances_->create(forged).code(), ErrorCode::kBadSignature);
  EXPECT_EQ(instances_->renew("x", forged).code(), ErrorCode::kBadSignature);
  const std::string stale = ticket();
  clock_.advance(minutes(10));
  EXPECT_EQ(instances_->create(stale).code(), ErrorCode::kExpired) << "no skew at the end";
  EXPECT_FALSE(instances_->create("undefined").ok());
  EXPECT_FALSE(instances_->create("").ok());
}

TEST_F(ClassicInstancesTest, ATicketOfADeadSessionIsRevoked) {
  EXPECT_EQ(instances_->create(ticket("ann", "no-such-session")).code(), ErrorCode::kRevoked);
}

TEST_F(ClassicInstancesTest, TheOldestMakesRoomAndIsRevokedEverywhere) {
  const auto oldest = instances_->create(ticket());
  clock_.advance(seconds(1));
  const auto kept = instances_->create(ticket());
  clock_.advance(seconds(1));
  ASSERT_TRUE(instances_->create(ticket()).ok());
  clock_.advance(seconds(1));
  const std::int64_t before = store_->revocations().head().value();
  ASSERT_TRUE(instances_->create(ticket()).ok());
  EXPECT_FALSE(store_->instances().find_instance(oldest->instance.id).value().has_value());
  EXPECT_TRUE(store_->instances().find_instance(kept->instance.id).value().has_value());
  const auto rows = store_->revocations().poll(before, 10).value();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows.front().instance, oldest->instance.id);
}

TEST_F(ClassicInstancesTest, AreMadeWithinTheBudgetOfTheirUser) {
  options_.openings = {1, 5};
  build();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(instances_->create(ticket()));
  EXPECT_EQ(instances_->create(ticket()).code(), ErrorCode::kTooManyRequests);
  EXPECT_TRUE(instances_->create(ticket("bob")));
  clock_.advance(seconds(1));
  EXPECT_TRUE(instances_->create(ticket()));
}

TEST_F(ClassicInstancesTest, NativeInstancesNeverMakeRoom) {
  for (int i = 0; i < 3; ++i) {
    storage::Instance native;
    native.id = base::InstanceId("native-" + std::to_string(i));
    native.application_key = kApplication;
    native.identity = {IdentityType::kUsername, "ann"};
    native.device = "phone-" + std::to_string(i);
    native.key_id = "key";
    native.ticket_created = clock_.now();
    native.created = clock_.now();
    native.expires = clock_.now() + hours(1);
    ASSERT_TRUE(store_->instances().create_instance(native, 10).ok());
  }
  EXPECT_EQ(instances_->create(ticket()).code(), ErrorCode::kLimitExceeded);
}

TEST_F(ClassicInstancesTest, WhereTicketsAreForOneDeviceTheSameInstanceMayShowItsOwnAgain) {
  options_.replay = {100, 10};
  build();
  const std::string one = ticket();
  const auto given = instances_->create(one);
  ASSERT_TRUE(given.ok());
  EXPECT_TRUE(instances_->renew(given->instance.id.text(), one).ok());
  EXPECT_EQ(instances_->create(one).code(), ErrorCode::kReplayed);
}

}  // namespace
}  // namespace countersign::web::classic

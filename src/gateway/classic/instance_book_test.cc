// What the instance book remembers, and what it must not.
#include "gateway/classic/instance_book.h"

#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "base/fake_clock.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::gateway::classic {
namespace {

using std::chrono::hours;

class InstanceBookTest : public testing::Test {
 protected:
  InstanceBookTest()
      : store_(std::move(*storage::open_sqlite_store(directory_.options()))),
        desk_(store_->sessions(), store_->instances(), store_->revocations(), {}),
        book_({}, desk_, clock_) {}

  storage::Instance make(const std::string& id) {
    storage::Instance instance;
    instance.id = base::InstanceId(id);
    instance.application_key = "application";
    instance.identity = {IdentityType::kUsername, "ann"};
    instance.device = "device-" + id;
    instance.key_id = "key";
    instance.ticket_created = instance.created = clock_.now();
    instance.expires = clock_.now() + hours(1);
    EXPECT_TRUE(desk_.create(instance, std::nullopt, clock_.now()));
    return instance;
  }

  storage::TestDirectory directory_;
  base::FakeClock clock_;
  std::unique_ptr<storage::Store> store_;
  InstanceDesk desk_;
  InstanceBook book_;
};

TEST_F(InstanceBookTest, RemembersWhoIsLiveAndWhoHasExpired) {
  const storage::Instance ann = make("ann");
  EXPECT_FALSE(*book_.peek(ann.id));
  EXPECT_TRUE(book_.find(ann.id));
  EXPECT_TRUE(*book_.peek(ann.id));
  clock_.advance(hours(2));
  EXPECT_EQ(book_.find(ann.id).code(), ErrorCode::kInstanceExpired);
  EXPECT_EQ(book_.peek(ann.id).code(), ErrorCode::kInstanceExpired);
}

TEST_F(InstanceBookTest, IsNotFilledByStrangersWithIdsOfNobody) {
  const storage::Instance ann = make("ann");
  EXPECT_TRUE(book_.find(ann.id));
  for (int i = 0; i < 1'000; ++i) {
    const base::InstanceId id(std::to_string(i) + std::string(7'000, 'x'));
    EXPECT_EQ(book_.find(id).code(), ErrorCode::kAbsent);
  }
  EXPECT_EQ(book_.size(), 1U);
  EXPECT_TRUE(*book_.peek(ann.id));
}

}  // namespace
}  // namespace countersign::gateway::classic

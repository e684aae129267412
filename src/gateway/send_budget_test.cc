#include "gateway/send_budget.h"

#include <string>

#include <gtest/gtest.h>

namespace countersign::gateway {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

class SendBudgetTest : public testing::Test {
 protected:
  bool take(const std::string& user, double cost = 1) {
    return !budget_.take(user, cost, now_).has_value();
  }

  SendBudget budget_{{2, 10, 16 * 4}};
  base::SteadyTime now_{hours(1)};
};

TEST_F(SendBudgetTest, AllowsABurstAndThenTheRate) {
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(take("ann")) << i;
  EXPECT_FALSE(take("ann"));
  now_ += milliseconds(500);
  EXPECT_TRUE(take("ann"));
  EXPECT_FALSE(take("ann"));
}

TEST_F(SendBudgetTest, SaysHowLongToWait) {
  for (int i = 0; i < 10; ++i) take("ann");
  const auto wait = budget_.take("ann", 1, now_);
  ASSERT_TRUE(wait.has_value());
  now_ += *wait;
  EXPECT_TRUE(take("ann"));
}

TEST_F(SendBudgetTest, KeepsUsersApart) {
  for (int i = 0; i < 10; ++i) take("ann");
  EXPECT_FALSE(take("ann"));
  EXPECT_TRUE(take("bob"));
}

TEST_F(SendBudgetTest, CountsEveryRecipient) {
  EXPECT_TRUE(take("ann", 10));
  EXPECT_FALSE(take("ann"));
}

TEST_F(SendBudgetTest, LetsWhatTurnsOutToCostMoreBePaidOffInTime) {
  EXPECT_TRUE(take("ann"));
  budget_.charge("ann", 1'000, now_);
  now_ += seconds(5);
  EXPECT_FALSE(take("ann"));
  now_ += seconds(1);
  EXPECT_TRUE(take("ann")) << "a debt is bounded";
}

TEST_F(SendBudgetTest, LetsNewcomersSendHoweverManyThereAre) {
  for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(take("user " + std::to_string(i)));
}

TEST_F(SendBudgetTest, RemembersWhoSendsMostWhenThereIsNoRoomForAll) {
  EXPECT_TRUE(take("flooder", 10));
  for (int i = 0; i < 1'000; ++i) {
    take("user " + std::to_string(i));
    EXPECT_FALSE(take("flooder"));
  }
  EXPECT_LE(budget_.users(), 16U * 4);
}

}  // namespace
}  // namespace countersign::gateway

// What the gateway remembers, for how long, and what it removes: tickets that were shown, and
// instances.
#include <functional>
#include <future>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/gateway_fixture.h"

namespace countersign::gateway {
namespace {

TEST_F(GatewayTest, TellsRepeatedTicketsApartByDeviceWhereThatIsSwitchedOn) {
  restart(100);
  const std::string once = ticket();
  const std::string first = connect(open(), once, "tab-1");
  channels_.back()->lose();
  const std::string again = connect(open(), once, "tab-1");
  EXPECT_TRUE(accepted(again));
  EXPECT_EQ(text_in(again, "instance"), text_in(first, "instance"));
  EXPECT_EQ(error_in(connect(open(), once, "tab-2")), 101);
  EXPECT_EQ(channels_.back()->close_code, CloseCode::kBadInstance);
}

TEST_F(GatewayTest, RemembersWhoShowedATicketAcrossARestart) {
  restart(100);
  const std::string once = ticket();
  const std::string first = connect(open(), once, "tab-1");
  restart(100);
  EXPECT_EQ(error_in(connect(open(), once, "tab-2")), 101);
  const std::string again = connect(open(), once, "tab-1");
  EXPECT_EQ(text_in(again, "secret"), text_in(first, "secret"));
  EXPECT_EQ(command(*channels_.back(), 2, protocol::Terminate{}),
            protocol::encode_terminate_reply(2));
  restart(100);
  EXPECT_EQ(error_in(connect(open(), once, "tab-2")), 101);
  EXPECT_TRUE(accepted(connect(open(), once, "tab-1")));
}

TEST_F(GatewayTest, RefusesEveryRepeatOfWhoNamesNoDevice) {
  restart(100);
  const std::string once = ticket();
  const std::string first = connect(open(), once, "");
  EXPECT_TRUE(accepted(first));
  EXPECT_EQ(error_in(connect(open(), once, "")), 101);
  // The name that was made up is one that only this client was told.
  EXPECT_TRUE(accepted(connect(open(), once, text_in(first, "device"))));
}

TEST_F(GatewayTest, UsesUpTheTicketOfARefreshToo) {
  restart(100);
  const std::string one = ticket("session-1", seconds(3));
  const std::string two = ticket("session-1", seconds(2));
  FakeChannel& first = open(0);
  FakeChannel& second = open(1);
  ASSERT_TRUE(accepted(connect(first, one, "tab-1")));
  ASSERT_TRUE(accepted(connect(second, two, "tab-2")));
  EXPECT_EQ(error_in(command(first, 2, protocol::Refresh{two})), 101);
  EXPECT_TRUE(first.is_open());

  const std::string three = ticket("session-1", seconds(1));
  EXPECT_EQ(error_in(command(first, 3, protocol::Refresh{three})), 0);
  EXPECT_EQ(error_in(command(first, 4, protocol::Refresh{three})), 0);
  EXPECT_EQ(error_in(connect(open(), three, "tab-3")), 101);
}

TEST_F(GatewayTest, RefusesTicketsThatItHasNoRoomToRememberUntilOthersHaveExpired) {
  restart(2);
  EXPECT_TRUE(accepted(connect(open(), ticket("session-1", seconds(2)), "tab-1")));
  EXPECT_TRUE(accepted(connect(open(), ticket("session-1", seconds(1)), "tab-2")));
  EXPECT_EQ(error_in(connect(open(), ticket("", seconds(0)), "tab-3")), 113);
  EXPECT_EQ(channels_.back()->close_code, CloseCode::kServerError);
  pass(hours(2));
  gateway_->housekeep();
  work();
  EXPECT_TRUE(accepted(connect(open(), ticket(""), "tab-3")));
}

TEST_F(GatewayTest, LetsNoUserTakeAllTheRoomForRememberedTickets) {
  restart(100, 1);
  EXPECT_TRUE(accepted(connect(open(), ticket("session-1", seconds(2)), "tab-1")));
  EXPECT_EQ(error_in(connect(open(), ticket("session-1", seconds(1)), "tab-2")), 106);
  EXPECT_EQ(channels_.back()->close_code, CloseCode::kConnectionLimit);
  EXPECT_TRUE(accepted(connect(open(), ticket("", seconds(0), nullptr, "bob"), "tab-3")));
}

TEST_F(GatewayTest, RemovesAllThatHasExpiredInOneRun) {
  const auto write_expired = [this](int from, int to) {
    storage::Instance instance;
    instance.application_key = kApplication;
    instance.key_id = "key";
    instance.ticket_created = instance.created = instance.expires = clock_.now();
    for (int i = from; i < to; ++i) {
      instance.id = base::InstanceId("instance-" + std::to_string(i));
      instance.identity = {IdentityType::kUsername, "user-" + std::to_string(i)};
      EXPECT_TRUE(store_->instances().create_instance(instance, 1));
    }
  };
  std::vector<std::future<void>> written;  // at once, so that they share commits
  for (int i = 0; i < 1'200; i += 75) {
    written.push_back(std::async(std::launch::async, write_expired, i, i + 75));
  }
  written.clear();
  pass(hours(1));
  gateway_->housekeep();
  work();
  EXPECT_EQ(store_->instances().remove_expired(clock_.now(), 2'000).value(), 0U);
}

TEST_F(GatewayTest, RemovesNothingAfterTheClockJumpedUntilTheNewTimeHasKeptPaceForAnHour) {
  const std::string reply = connect(open(), ticket());
  const base::InstanceId id(text_in(reply, "instance"));
  const auto kept_by = [&] {
    gateway_->housekeep();
    work();
    return store_->instances().find_instance(id).value().has_value();
  };
  clock_.jump(hours(24));
  EXPECT_TRUE(kept_by());
  for (int i = 0; i < 5; ++i) {
    pass(minutes(10));
    EXPECT_TRUE(kept_by()) << i;
  }
  pass(minutes(10));
  EXPECT_FALSE(kept_by());
}

TEST_F(GatewayTest, RemovesByTheMachinesClockSoThatAJumpThatWasTakenBackCostsNothing) {
  const std::string reply = connect(open(), ticket());
  const base::InstanceId id(text_in(reply, "instance"));
  const auto kept_for = [&](minutes time) {
    pass(time);
    gateway_->housekeep();
    work();
    return store_->instances().find_instance(id).value().has_value();
  };
  clock_.jump(hours(24));
  EXPECT_TRUE(kept_for(minutes(3)));
  clock_.jump(-hours(24));
  EXPECT_TRUE(kept_for(minutes(60)));
  EXPECT_EQ(wall_.now(), clock_.now() + hours(24));
  EXPECT_FALSE(kept_for(minutes(10)));
}

}  // namespace
}  // namespace countersign::gateway

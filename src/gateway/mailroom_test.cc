// Who hears what of the bus, and when the store is asked instead.
#include "gateway/mailroom.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/fake_channel.h"
#include "gateway/model_bus.h"
#include "gateway/model_message_store.h"

namespace countersign::gateway {
namespace {

using simulation::ModelBus;
using simulation::ModelMessageStore;
using simulation::NodeBus;
using simulation::NodeMessageStore;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

class Listener final : public MailroomMember {
 public:
  void on_user_event(const protocol::UserEvent&) override { ++events; }
  void on_news() override { ++news; }
  void on_top(std::int64_t top) override { tops.push_back(top); }
  std::int64_t pushed() const override { return 0; }

  int events = 0;
  int news = 0;
  std::vector<std::int64_t> tops;
};

storage::UserKey key(const std::string& name) { return {"app", {IdentityType::kUsername, name}}; }

class MailroomTest : public testing::Test {
 protected:
  ~MailroomTest() override {
    mailroom_.leave(ann_);
    mailroom_.leave(bob_);
  }
  void publish(const storage::UserKey& subject, const std::string& payload) {
    (void)bus_.publish(user_subject(subject.application, subject.identity), payload);
    while (model_bus_.on_the_way() > 0) model_bus_.deliver(0, false);
    shard_.run();
  }
  static std::string receipt_for(const storage::UserKey& user) {
    return protocol::encode_user_event(
        {user.application, user.identity,
         protocol::LooseEvent{protocol::LooseEvent::Kind::kReceipt, "k", "{}"}});
  }
  void sweep(milliseconds after) {
    now_ += after;
    mailroom_.sweep(now_);
    while (tasks_.size() > 0 || !shard_.idle()) {
      tasks_.run_all();
      shard_.run();
    }
  }

  base::Metrics metrics_;
  MailroomMetrics counters_{metrics_};
  ModelBus model_bus_;
  NodeBus bus_{model_bus_, 0};
  ModelMessageStore messages_;
  NodeMessageStore store_{messages_, 0};
  FakeTasks tasks_;
  FakeShard shard_;
  Mailroom mailroom_{{}, bus_, store_, tasks_, counters_};
  base::SteadyTime now_{hours(1)};
  Listener ann_, bob_;
};

TEST_F(MailroomTest, HandsAUsersEventsToTheUsersConnections) {
  mailroom_.join(ann_, key("ann"), shard_);
  mailroom_.join(bob_, key("bob"), shard_);
  publish(key("ann"), receipt_for(key("ann")));
  EXPECT_EQ(ann_.events, 1);
  EXPECT_EQ(bob_.events, 0);
}

TEST_F(MailroomTest, NeverShowsAnEventThatNamesSomebodyElse) {
  mailroom_.join(ann_, key("ann"), shard_);
  publish(key("ann"), receipt_for(key("bob")));
  publish(key("ann"), receipt_for({"another app", key("ann").identity}));
  EXPECT_EQ(ann_.events + ann_.news, 0);
}

TEST_F(MailroomTest, TakesWhatItCannotReadAsASignThatSomethingHappened) {
  mailroom_.join(ann_, key("ann"), shard_);
  publish(key("ann"), "from the future");
  EXPECT_EQ(ann_.news, 1);
}

TEST_F(MailroomTest, ForgetsWhoHasLeft) {
  mailroom_.join(ann_, key("ann"), shard_);
  mailroom_.leave(ann_);
  publish(key("ann"), receipt_for(key("ann")));
  EXPECT_EQ(ann_.events, 0);
  EXPECT_EQ(mailroom_.users(), 0U);
}

TEST_F(MailroomTest, LetsNoNameReachASubject) {
  const std::vector<std::string> names = {">", "*", "a.b", "", "ANN", std::string("\0", 1)};
  for (const std::string& name : names) {
    const std::string subject = user_subject("app", {IdentityType::kUsername, name});
    EXPECT_TRUE(bus::is_subject(subject)) << subject;
    EXPECT_EQ(subject.size(), 2U + 52U);
  }
}

TEST_F(MailroomTest, AsksForEverybodysTopOnceInAPeriod) {
  mailroom_.join(ann_, key("ann"), shard_);
  mailroom_.join(bob_, key("bob"), shard_);
  for (int i = 0; i < 80; ++i) sweep(milliseconds(500));
  EXPECT_NEAR(static_cast<double>(ann_.tops.size()), 2, 1);
  EXPECT_NEAR(static_cast<double>(bob_.tops.size()), 2, 1);
}

TEST_F(MailroomTest, AsksForEverybodyAtOnceAfterAGap) {
  mailroom_.join(ann_, key("ann"), shard_);
  mailroom_.join(bob_, key("bob"), shard_);
  sweep(milliseconds(500));
  EXPECT_TRUE(ann_.tops.empty());
  mailroom_.on_gap();
  sweep(milliseconds(1));
  EXPECT_EQ(ann_.tops.size(), 1U);
  EXPECT_EQ(bob_.tops.size(), 1U);
}

TEST_F(MailroomTest, AsksEverySecondWhileTheBusIsAway) {
  mailroom_.join(ann_, key("ann"), shard_);
  model_bus_.cut_off(0);
  for (int i = 0; i < 20; ++i) sweep(milliseconds(500));
  EXPECT_NEAR(static_cast<double>(ann_.tops.size()), 10, 1);
}

TEST_F(MailroomTest, AsksAgainSoonWhenTheStoreFails) {
  mailroom_.join(ann_, key("ann"), shard_);
  messages_.failing = true;
  mailroom_.on_gap();
  sweep(milliseconds(1));
  sweep(milliseconds(1));
  EXPECT_TRUE(ann_.tops.empty());
  messages_.failing = false;
  sweep(milliseconds(500));
  EXPECT_EQ(ann_.tops.size(), 1U);
}

TEST_F(MailroomTest, LeavesItSomebodysTurnWhenNoWorkerHasRoom) {
  mailroom_.join(ann_, key("ann"), shard_);
  mailroom_.join(bob_, key("bob"), shard_);
  tasks_.set_capacity(0);
  mailroom_.on_gap();
  sweep(milliseconds(1));
  EXPECT_TRUE(ann_.tops.empty());
  tasks_.set_capacity(64);
  sweep(milliseconds(1));
  EXPECT_EQ(ann_.tops.size(), 1U);
  EXPECT_EQ(bob_.tops.size(), 1U);
}

TEST_F(MailroomTest, TellsEverybodyWhenTheStoreHasBecomeAnother) {
  mailroom_.join(ann_, key("ann"), shard_);
  mailroom_.join(bob_, key("bob"), shard_);
  mailroom_.on_gap();
  sweep(milliseconds(1));
  EXPECT_EQ(ann_.news + bob_.news, 0);
  messages_.restore(messages_.state());
  mailroom_.on_gap();
  sweep(milliseconds(1));
  EXPECT_EQ(ann_.news, 1);
  EXPECT_EQ(bob_.news, 1);
}

}  // namespace
}  // namespace countersign::gateway

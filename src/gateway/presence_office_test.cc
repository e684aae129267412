// The presence office, with a bus within the process and offices that are nodes on it.
#include "gateway/presence_office.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/fake_clock.h"
#include "base/metrics.h"
#include "base/random.h"
#include "bus/local/local_bus.h"
#include "gateway/mailroom.h"
#include "gateway/stub_message_store.h"

namespace countersign::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

storage::UserKey user(const std::string& name) { return {"app", {IdentityType::kUsername, name}}; }

// Everybody shares a conversation but strangers.
class FriendsStore final : public StubMessageStore {
 public:
  Result<std::vector<bool>> share_conversation(const storage::UserKey&,
                                               std::span<const Identity> others) override {
    if (failing) return fail(ErrorCode::kStoreFailed, "test");
    std::vector<bool> out;
    for (const Identity& other : others) out.push_back(other.endpoint != "stranger");
    return out;
  }
  bool failing = false;
};

class PresenceOfficeTest : public testing::Test {
 protected:
  using Mode = PresenceMode;
  using Texts = std::vector<std::string>;

  std::unique_ptr<PresenceOffice> office(Mode mode = Mode::kContacts) {
    return std::make_unique<PresenceOffice>(mode, PresenceOptions(), store_, *bus_, publisher_,
                                            clock_, random_);
  }
  void connect(PresenceOffice& office, ConnectionId connection, const std::string& name) {
    office.connect(connection, user(name), "tab",
                   [this](const std::string&, const std::string& push) { heard_.push_back(push); });
    // As the mailroom does for the users it has.
    queries_.push_back(
        *bus_->subscribe(user_subject("app", user(name).identity),
                         [&office, name](const bus::Payload&) { office.on_query(user(name)); }));
  }
  Result<std::string> watch(PresenceOffice& office, ConnectionId connection, const Texts& names,
                            bool start = true) {
    protocol::WatchPresence watch;
    watch.watch = start;
    for (const std::string& name : names) watch.users.push_back(user(name).identity);
    Result<std::string> answer = fail(ErrorCode::kInternal, "no answer");
    office.watch(connection, user("bob"), 1, watch, [&](Result<std::string> frame) {
      answer = frame;
      if (frame) heard_.push_back(*frame);
    });
    return answer;
  }
  void pass(milliseconds time, const std::vector<PresenceOffice*>& offices) {
    for (milliseconds gone{0}; gone < time; gone += milliseconds(500)) {
      clock_.advance(milliseconds(500));
      for (PresenceOffice* each : offices) each->tick();
    }
  }
  static bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  base::FakeClock clock_;
  base::SystemRandom random_;
  base::Metrics metrics_;
  std::unique_ptr<bus::Bus> bus_ = bus::make_local_bus(clock_, metrics_);
  MessagePublisher publisher_{*bus_, metrics_};
  FriendsStore store_;
  Texts heard_;
  std::vector<std::unique_ptr<bus::Subscription>> queries_;
};

TEST_F(PresenceOfficeTest, PushesToAWatcherOfAnotherNode) {
  const auto north = office();
  const auto south = office();
  connect(*north, 1, "bob");
  ASSERT_TRUE(watch(*north, 1, {"ann"}).ok());
  EXPECT_TRUE(says(heard_.at(0), "\"offline\""));
  connect(*south, 1, "ann");
  ASSERT_EQ(heard_.size(), 2U);
  EXPECT_TRUE(says(heard_[1], "\"online\""));
  pass(seconds(4), {north.get(), south.get()});
  south->disconnect(1, true);
  ASSERT_EQ(heard_.size(), 3U);
  EXPECT_TRUE(says(heard_[2], "\"offline\""));
}

TEST_F(PresenceOfficeTest, LearnsWhoIsAlreadyThereOnAnotherNodeAndAnswersBeforeItPushes) {
  const auto north = office();
  const auto south = office();
  connect(*south, 1, "ann");
  connect(*north, 1, "bob");
  pass(seconds(2), {north.get(), south.get()});
  // The question is answered while the watch is being carried out; the reply comes first all the
  // same, because it does not yet hold that news.
  ASSERT_TRUE(watch(*north, 1, {"ann"}).ok());
  ASSERT_EQ(heard_.size(), 2U);
  EXPECT_TRUE(says(heard_[0], "presence.watch"));
  EXPECT_TRUE(says(heard_[0], "\"offline\""));
  EXPECT_TRUE(says(heard_[1], "\"online\""));
}

TEST_F(PresenceOfficeTest, ShowsStrangersAsOfflineForEverUnlessEverybodyMayWatch) {
  const auto closed = office();
  connect(*closed, 1, "bob");
  connect(*closed, 2, "stranger");
  EXPECT_TRUE(says(*watch(*closed, 1, {"stranger"}), "\"offline\""));
  closed->disconnect(2, true);
  pass(seconds(5), {closed.get()});
  EXPECT_EQ(heard_.size(), 1U);

  const auto open = office(Mode::kEverybody);
  connect(*open, 1, "bob");
  connect(*open, 2, "stranger");
  EXPECT_TRUE(says(*watch(*open, 1, {"stranger"}), "\"online\""));
}

TEST_F(PresenceOfficeTest, RefusesWhenItIsOffOrTheStoreFails) {
  const auto off = office(Mode::kOff);
  connect(*off, 1, "bob");
  EXPECT_EQ(watch(*off, 1, {"ann"}).code(), ErrorCode::kNotAvailable);
  EXPECT_EQ(off->set(1, 2, {true}).code(), ErrorCode::kNotAvailable);
  const auto on = office();
  connect(*on, 1, "bob");
  store_.failing = true;
  EXPECT_EQ(watch(*on, 1, {"ann"}).code(), ErrorCode::kStoreFailed);
}

TEST_F(PresenceOfficeTest, PushesNothingAfterUnwatch) {
  const auto here = office();
  connect(*here, 1, "bob");
  ASSERT_TRUE(watch(*here, 1, {"ann"}).ok());
  ASSERT_TRUE(watch(*here, 1, {"ann"}, false).ok());
  connect(*here, 2, "ann");
  EXPECT_EQ(heard_.size(), 2U);
}

TEST_F(PresenceOfficeTest, ShowsAwayOfAnotherNode) {
  const auto north = office();
  const auto south = office();
  connect(*north, 1, "bob");
  ASSERT_TRUE(watch(*north, 1, {"ann"}).ok());
  connect(*south, 1, "ann");
  pass(seconds(4), {north.get(), south.get()});
  ASSERT_TRUE(south->set(1, 3, {true}).ok());
  EXPECT_TRUE(says(heard_.back(), "\"away\""));
}

TEST_F(PresenceOfficeTest, TellsAgainWhatAConnectionHasLost) {
  const auto here = office();
  connect(*here, 1, "bob");
  connect(*here, 2, "ann");
  ASSERT_TRUE(watch(*here, 1, {"ann"}).ok());
  heard_.clear();
  here->tell_again(1);
  ASSERT_EQ(heard_.size(), 1U);
  EXPECT_TRUE(says(heard_[0], "\"online\""));
}

}  // namespace
}  // namespace countersign::gateway

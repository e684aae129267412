// Presence inquiries between nodes on a bus within the process.
#include "gateway/presence_inquiry.h"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/fake_clock.h"
#include "base/metrics.h"
#include "bus/local/local_bus.h"

namespace countersign::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using State = PresenceState::State;
using Names = std::set<std::string>;

storage::UserKey user(const std::string& name) { return {"app", {IdentityType::kUsername, name}}; }

/// A bus that can go away: what is published then is refused.
class FragileBus final : public bus::Bus {
 public:
  explicit FragileBus(std::unique_ptr<bus::Bus> bus) : bus_(std::move(bus)) {}

  Result<void> publish(std::string_view subject, std::string payload) override {
    ++published;
    if (refuses) return fail(ErrorCode::kBusFailed, "test");
    return bus_->publish(subject, std::move(payload));
  }
  Result<std::unique_ptr<bus::Subscription>> subscribe(std::string_view subject,
                                                       bus::Handler handler) override {
    return bus_->subscribe(subject, std::move(handler));
  }
  void flush(std::function<void(Result<void>)> done) override { bus_->flush(std::move(done)); }
  void on_gap(std::function<void()> listener) override { bus_->on_gap(std::move(listener)); }
  bool connected() const override { return !away; }
  Result<std::unique_ptr<bus::Leases>> leases(std::string_view bucket,
                                              milliseconds time_to_live) override {
    return bus_->leases(bucket, time_to_live);
  }

  bool away = false;
  bool refuses = false;
  int published = 0;

 private:
  const std::unique_ptr<bus::Bus> bus_;
};

/// One node: what it knows of ann, and whom it believes to be there besides itself.
struct Node {
  Node(std::string name, FragileBus& bus, const base::Clock& clock,
       PresenceInquiryOptions options = {})
      : inquiry(
            options, std::move(name), bus, clock,
            [this](const storage::UserKey& who) {
              return who == user("ann") ? ann : NodePresence();
            },
            [this] { return others; }) {
    inquiry.start();
  }
  void ask(const std::string& name) {
    inquiry.ask(user(name),
                [this](Result<PresenceReport> report) { reports.push_back(std::move(report)); });
  }

  NodePresence ann;
  std::optional<Names> others = Names();
  std::vector<Result<PresenceReport>> reports;
  PresenceInquiry inquiry;
};

class PresenceInquiryTest : public testing::Test {
 protected:
  static void expect(const Node& node, State state, std::uint32_t devices, bool complete) {
    ASSERT_EQ(node.reports.size(), 1U);
    ASSERT_TRUE(node.reports[0].ok());
    EXPECT_EQ(node.reports[0]->state.state, state);
    EXPECT_EQ(node.reports[0]->state.devices, devices);
    EXPECT_EQ(node.reports[0]->complete, complete);
  }
  void pass(milliseconds time, Node& node) {
    clock_.advance(time);
    node.inquiry.tick();
  }

  base::FakeClock clock_;
  base::Metrics metrics_;
  FragileBus bus_{bus::make_local_bus(clock_, metrics_)};
  Node north_{"north-_1", bus_, clock_};
  Node south_{"south", bus_, clock_};
};

TEST_F(PresenceInquiryTest, AloneANodeAnswersByItself) {
  north_.ann = {2, 1, std::nullopt};
  north_.ask("ann");
  expect(north_, State::kOnline, 2, true);
  EXPECT_EQ(bus_.published, 0);
}

TEST_F(PresenceInquiryTest, FindsWhoIsAtAnotherNodeOnly) {
  north_.others = Names{"south"};
  south_.ann = {1, 1, clock_.now()};
  north_.ask("ann");
  expect(north_, State::kAway, 1, true);
}

TEST_F(PresenceInquiryTest, AddsUpWhatAllNodesHaveAndTakesTheLatestLastSeen) {
  Node west("west", bus_, clock_);
  const base::SystemTime seen = clock_.now();
  clock_.advance(minutes(2));
  north_.others = Names{"south", "west"};
  north_.ann = {1, 1, seen - minutes(1)};
  south_.ann = {2, 1, seen};
  west.ann = {0, 0, std::nullopt};
  north_.ask("ann");
  expect(north_, State::kOnline, 3, true);
  EXPECT_EQ(north_.reports[0]->state.last_seen, seen);
}

TEST_F(PresenceInquiryTest, SaysOfflineWhenEveryNodeHasSaidThatNobodyIsThere) {
  north_.others = Names{"south"};
  north_.ask("nobody");
  expect(north_, State::kOffline, 0, true);
  EXPECT_EQ(north_.reports[0]->state.last_seen, std::nullopt);
}

TEST_F(PresenceInquiryTest, BelievesNoLastSeenInTheFuture) {
  north_.others = Names{"south"};
  south_.ann = {0, 0, clock_.now() + minutes(5)};
  north_.ask("ann");
  expect(north_, State::kOffline, 0, true);
  EXPECT_EQ(north_.reports[0]->state.last_seen, clock_.now());
}

TEST_F(PresenceInquiryTest, SaysThatTheAnswerIsIncompleteWhenANodeKeepsSilent) {
  north_.others = Names{"south", "silent"};
  south_.ann = {1, 0, clock_.now()};
  north_.ask("ann");
  pass(milliseconds(999), north_);
  EXPECT_TRUE(north_.reports.empty());
  pass(milliseconds(1), north_);
  expect(north_, State::kOnline, 1, false);
}

TEST_F(PresenceInquiryTest, IsIncompleteAtOnceWhileTheBusIsAwayOrTheNodesAreUnknown) {
  north_.ann = {1, 0, clock_.now()};
  north_.others = std::nullopt;
  north_.ask("ann");
  expect(north_, State::kOnline, 1, false);
  north_.reports.clear();
  north_.others = Names();
  bus_.away = true;
  north_.ask("ann");
  expect(north_, State::kOnline, 1, false);
}

TEST_F(PresenceInquiryTest, IsIncompleteAtOnceWhenTheQuestionCannotBeSent) {
  north_.others = Names{"south"};
  bus_.refuses = true;
  north_.ask("ann");
  expect(north_, State::kOffline, 0, false);
}

TEST_F(PresenceInquiryTest, CountsANodeThatIsNotListedYetIfItAnswersInTime) {
  north_.others = Names{"silent"};
  south_.ann = {1, 0, clock_.now()};
  north_.ask("ann");
  pass(milliseconds(1000), north_);
  expect(north_, State::kOnline, 1, false);
}

TEST_F(PresenceInquiryTest, CountsARepeatedAnswerOnceAndIgnoresWhatIsNoAnswer) {
  north_.others = Names{"west", "silent"};
  north_.ask("ann");
  const std::string subject = "presence.answer.6e6f7274682d5f31";
  const auto word = [&](const std::string& line, const std::string& name) {
    const protocol::PresenceEvent event{"west", 0, 1, 0, clock_.now()};
    return line + protocol::encode_user_event({"app", user(name).identity, event});
  };
  for (const std::string& payload :
       {word("answer1 1\n", "ann"), word("answer1 1\n", "ann"), word("answer1 1\n", "bob"),
        word("answer1 2\n", "ann"), word("answer1 x\n", "ann"), word("answer1 \n", "ann"),
        word("answer2 1\n", "ann"), std::string("answer1 1\n"), std::string("answer1 1"),
        std::string()}) {
    ASSERT_TRUE(bus_.publish(subject, payload).ok());
  }
  pass(milliseconds(1000), north_);
  expect(north_, State::kOnline, 1, false);
}

TEST_F(PresenceInquiryTest, AnswersNoQuestionItCannotRead) {
  const auto question = [](const std::string& line) {
    return line +
           protocol::encode_user_event({"app", user("ann").identity, protocol::PresenceQuery{}});
  };
  const std::vector<std::string> payloads = {question("ask1 north 1x\n"),
                                             question("ask1  1\n"),
                                             question("ask1 north\n"),
                                             question("ask1 " + std::string(101, 'n') + " 1\n"),
                                             question("ask2 north 1\n"),
                                             std::string("ask1 north 1\n"),
                                             std::string()};
  for (const std::string& payload : payloads) {
    ASSERT_TRUE(bus_.publish("presence.ask", payload).ok());
  }
  EXPECT_EQ(bus_.published, static_cast<int>(payloads.size()));
}

TEST_F(PresenceInquiryTest, RefusesMoreQuestionsThanMayWait) {
  PresenceInquiryOptions options;
  options.max_questions = 2;
  Node west("west", bus_, clock_, options);
  west.others = Names{"silent"};
  for (int i = 0; i < 3; ++i) west.ask("ann");
  ASSERT_EQ(west.reports.size(), 1U);
  EXPECT_EQ(west.reports[0].code(), ErrorCode::kOverloaded);
  pass(milliseconds(1000), west);
  EXPECT_EQ(west.reports.size(), 3U);
  west.ask("ann");
  EXPECT_EQ(west.reports.size(), 3U);
}

TEST_F(PresenceInquiryTest, AnswersWhatStillWaitsWhenItStops) {
  north_.others = Names{"silent"};
  north_.ask("ann");
  north_.inquiry.stop();
  expect(north_, State::kOffline, 0, false);
  north_.ask("ann");
  EXPECT_EQ(north_.reports.at(1).code(), ErrorCode::kOverloaded);
}

}  // namespace
}  // namespace countersign::gateway

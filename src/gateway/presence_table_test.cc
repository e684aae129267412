// The presence table, rule by rule.
#include "gateway/presence_table.h"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/fake_clock.h"

namespace countersign::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using State = PresenceState::State;

storage::UserKey user(const std::string& name) { return {"app", {IdentityType::kUsername, name}}; }

template <class Kind>
std::vector<Kind> only(const PresenceActions& actions) {
  std::vector<Kind> out;
  for (const PresenceAction& action : actions) {
    if (const auto* wanted = std::get_if<Kind>(&action)) out.push_back(*wanted);
  }
  return out;
}

class PresenceTableTest : public testing::Test {
 protected:
  PresenceTime now() const { return {clock_.steady(), clock_.now()}; }

  /// Lets time pass in steps, as a timer does, and collects what is done.
  PresenceActions pass(milliseconds time) {
    PresenceActions out;
    const base::SteadyTime end = clock_.steady() + time;
    while (true) {
      const auto next = table_.next_deadline();
      if (!next || *next > end) break;
      if (*next > clock_.steady()) move_to(*next);
      for (PresenceAction& action : table_.tick(now())) out.push_back(std::move(action));
    }
    move_to(end);
    return out;
  }
  void move_to(base::SteadyTime when) {
    clock_.advance(std::chrono::duration_cast<std::chrono::microseconds>(when - clock_.steady()));
  }
  PresenceActions watch(ConnectionId connection, const std::string& name) {
    const std::vector<Identity> users = {user(name).identity};
    auto done = table_.watch(connection, users, now());
    EXPECT_TRUE(done.ok());
    return done ? *done : PresenceActions();
  }
  PresenceActions word(const std::string& name, const std::string& node, std::uint64_t version,
                       std::uint32_t devices, std::uint32_t away = 0) {
    return table_.on_event(user(name), {node, version, devices, away, clock_.now()}, now());
  }
  State state(const std::string& name) { return table_.look(user(name), now()).state; }

  base::FakeClock clock_;
  PresenceTable table_{{}, "here", now()};
};

TEST_F(PresenceTableTest, TellsTheOtherNodesOfTheFirstDevice) {
  const auto words = only<PublishPresence>(table_.connect(1, user("ann"), "tab", now()));
  ASSERT_EQ(words.size(), 1U);
  EXPECT_EQ(words[0].user, user("ann"));
  EXPECT_EQ(words[0].event.node, "here");
  EXPECT_EQ(words[0].event.devices, 1U);
  EXPECT_EQ(words[0].event.last_seen, clock_.now());
}

TEST_F(PresenceTableTest, TellsWatchersAtOnceOfADeviceThatComes) {
  table_.connect(1, user("bob"), "tab", now());
  watch(1, "ann");
  EXPECT_EQ(state("ann"), State::kOffline);
  const auto pushes = only<PushPresence>(table_.connect(2, user("ann"), "tab", now()));
  ASSERT_EQ(pushes.size(), 1U);
  EXPECT_EQ(pushes[0].watchers, std::vector<ConnectionId>{1});
  EXPECT_EQ(pushes[0].state, (PresenceState{State::kOnline, 1, clock_.now()}));
}

TEST_F(PresenceTableTest, HidesADropThatIsMadeGoodWithinTheGrace) {
  table_.connect(1, user("bob"), "tab", now());
  table_.connect(2, user("ann"), "tab", now());
  watch(1, "ann");
  pass(seconds(10));
  EXPECT_TRUE(table_.disconnect(2, false, now()).empty());
  EXPECT_TRUE(pass(milliseconds(29'999)).empty());
  EXPECT_TRUE(table_.connect(3, user("ann"), "tab", now()).empty());
  EXPECT_TRUE(only<PushPresence>(pass(minutes(2))).empty());
  EXPECT_EQ(state("ann"), State::kOnline);
}

TEST_F(PresenceTableTest, ShowsAnUncleanDropAfterTheGraceWithTheTimeOfTheDrop) {
  table_.connect(1, user("bob"), "tab", now());
  table_.connect(2, user("ann"), "tab", now());
  watch(1, "ann");
  pass(seconds(10));
  const base::SystemTime dropped = clock_.now();
  table_.disconnect(2, false, now());
  const PresenceActions actions = pass(seconds(30));
  const auto pushes = only<PushPresence>(actions);
  ASSERT_EQ(pushes.size(), 1U);
  EXPECT_EQ(pushes[0].state, (PresenceState{State::kOffline, 0, dropped}));
  const auto words = only<PublishPresence>(actions);
  ASSERT_EQ(words.size(), 1U);
  EXPECT_EQ(words[0].event.devices, 0U);
  EXPECT_EQ(words[0].event.last_seen, dropped);
}

TEST_F(PresenceTableTest, ShowsACleanEndAtOnce) {
  table_.connect(1, user("bob"), "tab", now());
  table_.connect(2, user("ann"), "tab", now());
  watch(1, "ann");
  pass(seconds(2));
  const auto pushes = only<PushPresence>(table_.disconnect(2, true, now()));
  ASSERT_EQ(pushes.size(), 1U);
  EXPECT_EQ(pushes[0].state.state, State::kOffline);
}

TEST_F(PresenceTableTest, CountsADeviceOnceThatConnectedAgainBeforeItsOldConnectionEnded) {
  table_.connect(1, user("ann"), "tab", now());
  table_.connect(2, user("ann"), "tab", now());
  table_.disconnect(1, false, now());
  EXPECT_EQ(table_.look(user("ann"), now()).devices, 1U);
}

TEST_F(PresenceTableTest, CallsAwayOnlyWhoHasNoOtherDevice) {
  table_.connect(1, user("ann"), "tab", now());
  table_.connect(2, user("ann"), "phone", now());
  table_.set_away(1, true, now());
  EXPECT_EQ(table_.look(user("ann"), now()), (PresenceState{State::kOnline, 2, clock_.now()}));
  table_.set_away(2, true, now());
  EXPECT_EQ(table_.look(user("ann"), now()), (PresenceState{State::kAway, 2, clock_.now()}));
  table_.set_away(1, false, now());
  EXPECT_EQ(state("ann"), State::kOnline);
}

TEST_F(PresenceTableTest, KeepsADeviceAwayThatComesBackWithinTheGrace) {
  table_.connect(1, user("ann"), "tab", now());
  table_.set_away(1, true, now());
  table_.disconnect(1, false, now());
  pass(seconds(5));
  table_.connect(2, user("ann"), "tab", now());
  EXPECT_EQ(state("ann"), State::kAway);
}

TEST_F(PresenceTableTest, PublishesAndPushesAtMostOnceASecondAndTheLastStateWins) {
  table_.connect(1, user("bob"), "tab", now());
  watch(1, "ann");
  table_.connect(2, user("ann"), "tab", now());
  PresenceActions actions;
  for (int i = 0; i < 9; ++i) {
    pass(milliseconds(100));
    for (auto& action : table_.set_away(2, i % 2 == 0, now())) actions.push_back(action);
  }
  EXPECT_TRUE(actions.empty());
  actions = pass(milliseconds(100));
  ASSERT_EQ(only<PushPresence>(actions).size(), 1U);
  EXPECT_EQ(only<PushPresence>(actions)[0].state.state, State::kAway);
  ASSERT_EQ(only<PublishPresence>(actions).size(), 1U);
  EXPECT_EQ(only<PublishPresence>(actions)[0].event.away, 1U);
}

TEST_F(PresenceTableTest, SaysNothingOfAChangeThatWasTakenBackInTime) {
  table_.connect(1, user("bob"), "tab", now());
  watch(1, "ann");
  table_.connect(2, user("ann"), "tab", now());
  table_.set_away(2, true, now());
  table_.set_away(2, false, now());
  const PresenceActions actions = pass(seconds(1));
  EXPECT_TRUE(only<PushPresence>(actions).empty());
  EXPECT_TRUE(only<PublishPresence>(actions).empty());
}

TEST_F(PresenceTableTest, GivesEveryWordAHigherVersionAlsoAfterARestart) {
  const auto first = only<PublishPresence>(table_.connect(1, user("ann"), "tab", now()));
  const auto second = only<PublishPresence>(table_.connect(2, user("bob"), "tab", now()));
  EXPECT_GT(second.at(0).event.version, first.at(0).event.version);
  clock_.advance(seconds(1));
  PresenceTable restarted({}, "here", now());
  const auto third = only<PublishPresence>(restarted.connect(1, user("ann"), "tab", now()));
  EXPECT_GT(third.at(0).event.version, second.at(0).event.version);
}

TEST_F(PresenceTableTest, SubscribesForTheFirstWatcherAndEndsItWithTheLast) {
  table_.connect(1, user("bob"), "tab", now());
  table_.connect(2, user("cid"), "tab", now());
  EXPECT_EQ(only<SubscribePresence>(watch(1, "ann")).size(), 1U);
  EXPECT_TRUE(watch(1, "ann").empty());
  EXPECT_TRUE(watch(2, "ann").empty());
  const std::vector<Identity> ann = {user("ann").identity};
  EXPECT_TRUE(table_.unwatch(1, ann, now()).empty());
  EXPECT_EQ(only<UnsubscribePresence>(table_.disconnect(2, true, now())).size(), 1U);
  EXPECT_EQ(table_.watches(), 0U);
}

TEST_F(PresenceTableTest, RefusesMoreWatchesThanAllowedAndTakesNoneOfThem) {
  PresenceOptions options;
  options.max_watched = 2;
  options.max_watches = 3;
  PresenceTable table(options, "here", now());
  const auto watch_two = [&](ConnectionId connection, const char* a,
                             const char* b) -> std::optional<ErrorCode> {
    const std::vector<Identity> users = {user(a).identity, user(b).identity};
    const auto done = table.watch(connection, users, now());
    if (done) return std::nullopt;
    return done.code();
  };
  table.connect(1, user("bob"), "tab", now());
  table.connect(2, user("cid"), "tab", now());
  EXPECT_EQ(watch_two(1, "a", "b"), std::nullopt);
  EXPECT_EQ(watch_two(1, "b", "c"), ErrorCode::kLimitExceeded);
  EXPECT_EQ(watch_two(2, "a", "c"), ErrorCode::kOverloaded);
  EXPECT_EQ(watch_two(3, "a", "c"), ErrorCode::kAbsent);
  EXPECT_EQ(table.watches(), 2U);
}

TEST_F(PresenceTableTest, AsksTwiceAboutANewlyWatchedUser) {
  table_.connect(1, user("bob"), "tab", now());
  EXPECT_EQ(only<QueryPresence>(watch(1, "ann")).size(), 1U);
  EXPECT_EQ(only<QueryPresence>(pass(minutes(1))).size(), 1U);
  EXPECT_EQ(only<QueryPresence>(pass(minutes(5))).size(), 1U);
}

TEST_F(PresenceTableTest, AddsUpWhatAllNodesSay) {
  table_.connect(1, user("bob"), "tab", now());
  watch(1, "ann");
  word("ann", "north", 1, 1, 1);
  pass(seconds(1));
  EXPECT_EQ(state("ann"), State::kAway);
  word("ann", "south", 1, 2, 1);
  pass(seconds(1));
  EXPECT_EQ(table_.look(user("ann"), now()).devices, 3U);
  EXPECT_EQ(state("ann"), State::kOnline);
}

TEST_F(PresenceTableTest, IgnoresOldWordsAndItsOwn) {
  table_.connect(1, user("bob"), "tab", now());
  watch(1, "ann");
  word("ann", "north", 2, 0);
  EXPECT_TRUE(word("ann", "north", 1, 1).empty());
  EXPECT_TRUE(word("ann", "here", 9, 1).empty());
  EXPECT_EQ(state("ann"), State::kOffline);
}

TEST_F(PresenceTableTest, IgnoresWordsAboutWhomNobodyWatches) {
  EXPECT_TRUE(word("ann", "north", 1, 1).empty());
  EXPECT_EQ(table_.users(), 0U);
}

TEST_F(PresenceTableTest, BelievesNoLastSeenInTheFuture) {
  table_.connect(1, user("bob"), "tab", now());
  watch(1, "ann");
  const base::SystemTime ahead = clock_.now() + std::chrono::hours(2);
  table_.on_event(user("ann"), {"north", 1, 0, 0, ahead}, now());
  EXPECT_EQ(table_.look(user("ann"), now()).last_seen, clock_.now());
}

TEST_F(PresenceTableTest, AnswersQuestionsAboutItsOwnUsersAtMostOnceASecond) {
  EXPECT_TRUE(table_.on_query(user("ann"), now()).empty());
  table_.connect(1, user("ann"), "tab", now());
  EXPECT_TRUE(table_.on_query(user("ann"), now()).empty());
  EXPECT_TRUE(table_.on_query(user("ann"), now()).empty());
  const auto words = only<PublishPresence>(pass(seconds(5)));
  ASSERT_EQ(words.size(), 1U);
  EXPECT_EQ(words[0].event.devices, 1U);
}

TEST_F(PresenceTableTest, ForgetsAWordThatThreeQuestionsDidNotConfirm) {
  table_.connect(1, user("bob"), "tab", now());
  watch(1, "ann");
  word("ann", "north", 1, 1);
  pass(minutes(5));
  EXPECT_EQ(state("ann"), State::kOnline);
  pass(minutes(1));
  EXPECT_EQ(state("ann"), State::kOffline);
}

TEST_F(PresenceTableTest, KeepsAWordThatIsRepeatedUnderTheSameVersion) {
  table_.connect(1, user("bob"), "tab", now());
  watch(1, "ann");
  word("ann", "north", 7, 1);
  for (int i = 0; i < 20; ++i) {
    pass(minutes(1));
    word("ann", "north", 7, 1);
    pass(seconds(1));
    word("ann", "north", 7, 1);
  }
  EXPECT_EQ(state("ann"), State::kOnline);
}

TEST_F(PresenceTableTest, VoidsTheWordsOfALostNodeAfterTheGrace) {
  table_.connect(1, user("bob"), "tab", now());
  watch(1, "ann");
  word("ann", "north", 1, 1);
  pass(seconds(10));
  const base::SystemTime lost = clock_.now();
  table_.on_node_lost("north", now());
  EXPECT_TRUE(only<PushPresence>(pass(milliseconds(29'999))).empty());
  const auto pushes = only<PushPresence>(pass(milliseconds(1)));
  ASSERT_EQ(pushes.size(), 1U);
  EXPECT_EQ(pushes[0].state, (PresenceState{State::kOffline, 0, lost}));
}

TEST_F(PresenceTableTest, KeepsTheWordsOfANodeThatComesBackAndAsksAboutAll) {
  table_.connect(1, user("bob"), "tab", now());
  watch(1, "ann");
  word("ann", "north", 1, 1);
  pass(seconds(10));
  table_.on_node_lost("north", now());
  pass(seconds(10));
  table_.on_node_back("north", now());
  EXPECT_EQ(only<QueryPresence>(pass(seconds(1))).size(), 1U);
  word("ann", "north", 1, 1);
  EXPECT_TRUE(only<PushPresence>(pass(minutes(1))).empty());
}

TEST_F(PresenceTableTest, KeepsWhatItKnewForTheGraceWhenTheBusIsAway) {
  table_.connect(1, user("bob"), "tab", now());
  table_.connect(2, user("cid"), "tab", now());
  watch(1, "ann");
  watch(1, "cid");
  word("ann", "north", 1, 1);
  pass(seconds(5));
  table_.on_bus_lost(now());
  pass(milliseconds(29'999));
  EXPECT_EQ(state("ann"), State::kOnline);
  pass(milliseconds(1));
  EXPECT_EQ(state("ann"), State::kOffline);
  EXPECT_EQ(state("cid"), State::kOnline);
  table_.on_bus_back(now());
  EXPECT_EQ(only<QueryPresence>(pass(seconds(1))).size(), 2U);
}

TEST_F(PresenceTableTest, AsksAboutAllAfterAGapButNotAboutAllAtOnce) {
  table_.connect(1, user("bob"), "tab", now());
  for (int i = 0; i < 100; ++i) watch(1, "user-" + std::to_string(i));
  pass(minutes(1));
  table_.on_gap(now());
  EXPECT_EQ(only<QueryPresence>(table_.tick(now())).size(), 1U);
  EXPECT_EQ(only<QueryPresence>(pass(seconds(1))).size(), 99U);
}

TEST_F(PresenceTableTest, PutsNobodyOffWhenGapsComeOften) {
  table_.connect(1, user("bob"), "tab", now());
  for (int i = 0; i < 100; ++i) watch(1, "user-" + std::to_string(i));
  pass(minutes(1));
  std::size_t questions = 0;
  for (int i = 0; i < 10; ++i) {
    table_.on_gap(now());
    questions += only<QueryPresence>(pass(milliseconds(100))).size();
  }
  EXPECT_GE(questions, 100U);
  EXPECT_LE(questions, 220U);
}

TEST_F(PresenceTableTest, ShowsANewWatcherWhatTheOthersWereTold) {
  table_.connect(1, user("bob"), "tab", now());
  table_.connect(2, user("cid"), "tab", now());
  watch(1, "ann");
  table_.connect(3, user("ann"), "tab", now());
  table_.set_away(3, true, now());
  watch(2, "ann");
  EXPECT_EQ(state("ann"), State::kOnline);
  const auto pushes = only<PushPresence>(pass(seconds(1)));
  ASSERT_EQ(pushes.size(), 1U);
  EXPECT_EQ(pushes[0].watchers, (std::vector<ConnectionId>{1, 2}));
  EXPECT_EQ(pushes[0].state.state, State::kAway);
}

TEST_F(PresenceTableTest, TellsAConnectionAgainThatLostPushes) {
  table_.connect(1, user("bob"), "tab", now());
  table_.connect(2, user("ann"), "tab", now());
  watch(1, "ann");
  watch(1, "cid");
  const auto pushes = only<PushPresence>(table_.tell_again(1, now()));
  ASSERT_EQ(pushes.size(), 2U);
  EXPECT_EQ(pushes[0].watchers, std::vector<ConnectionId>{1});
  EXPECT_TRUE(table_.tell_again(2, now()).empty());
}

TEST_F(PresenceTableTest, LetsAUserWatchThemselvesAndGo) {
  table_.connect(1, user("ann"), "tab", now());
  watch(1, "ann");
  EXPECT_EQ(state("ann"), State::kOnline);
  table_.disconnect(1, true, now());
  pass(seconds(2));
  EXPECT_EQ(table_.users(), 0U);
}

TEST_F(PresenceTableTest, RemembersWhenSomebodyWasSeenWhoHasGone) {
  table_.connect(1, user("ann"), "tab", now());
  pass(seconds(5));
  const base::SystemTime gone = clock_.now();
  table_.disconnect(1, true, now());
  pass(minutes(5));
  EXPECT_EQ(table_.users(), 0U);
  EXPECT_EQ(table_.look(user("ann"), now()), (PresenceState{State::kOffline, 0, gone}));
  EXPECT_EQ(table_.look(user("bob"), now()), PresenceState());
}

TEST_F(PresenceTableTest, SaysOfAUserHereWhatItsOwnDevicesSay) {
  table_.connect(1, user("bob"), "tab", now());
  watch(1, "ann");
  word("ann", "north", 1, 4);
  EXPECT_EQ(table_.here(user("ann"), now()).devices, 0U);
  table_.connect(2, user("ann"), "tab", now());
  table_.connect(3, user("ann"), "phone", now());
  table_.set_away(3, true, now());
  clock_.advance(seconds(9));
  const NodePresence here = table_.here(user("ann"), now());
  EXPECT_EQ(here.devices, 2U);
  EXPECT_EQ(here.away, 1U);
  EXPECT_EQ(here.last_seen, clock_.now());
  EXPECT_EQ(table_.here(user("nobody"), now()).last_seen, std::nullopt);
}

TEST_F(PresenceTableTest, BoundsWhatItRemembersOfThoseWhoHaveGone) {
  PresenceOptions options;
  options.max_seen = 2;
  options.max_dropped_devices = 3;
  PresenceTable table(options, "here", now());
  ConnectionId connection = 0;
  for (const char* name : {"a", "b", "c"}) {
    table.connect(++connection, user(name), "tab", now());
    clock_.advance(seconds(1));
    table.disconnect(connection, true, now());
    clock_.advance(seconds(1));
    table.tick(now());
    clock_.advance(seconds(1));
    table.tick(now());
  }
  EXPECT_FALSE(table.look(user("a"), now()).last_seen);
  EXPECT_TRUE(table.look(user("b"), now()).last_seen);
  EXPECT_TRUE(table.look(user("c"), now()).last_seen);
  for (int i = 0; i < 10; ++i) {
    table.connect(++connection, user("d"), "tab-" + std::to_string(i), now());
    table.disconnect(connection, false, now());
  }
  EXPECT_EQ(table.look(user("d"), now()).devices, 3U);
}

}  // namespace
}  // namespace countersign::gateway

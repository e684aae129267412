// The receipt desk: rule by rule, and for every history of receipts.
#include "gateway/receipt_desk.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "protocol/conversation_messages.h"

namespace countersign::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Identity person(const std::string& name) { return {IdentityType::kUsername, name}; }

storage::Receipt receipt(const std::string& conversation, const std::string& member,
                         std::int64_t delivered, std::int64_t read,
                         std::vector<Identity> audience) {
  return {{conversation, person(member), delivered, read}, false, std::move(audience)};
}

class ReceiptDeskTest : public testing::Test {
 protected:
  void add(const storage::Receipt& given) { desk_.add("app", given, now_); }
  void add_group(const std::string& member, const std::vector<std::string>& senders) {
    storage::Receipt given = receipt("g-1", member, 1, 0, {});
    given.group = true;
    for (const std::string& sender : senders) given.audience.push_back(person(sender));
    add(given);
  }
  static std::string push(const std::string& conversation, const std::string& member,
                          std::int64_t delivered, std::int64_t read) {
    const Identity user = person(member);
    return protocol::encode_receipts_push(conversation, {&user, delivered, read});
  }

  ReceiptOptions options_;
  ReceiptDesk desk_{options_};
  base::SteadyTime now_{std::chrono::hours(1)};
};

TEST_F(ReceiptDeskTest, TellsTheAudienceOfTheFirstReceiptAtOnce) {
  add(receipt("c-1", "bob", 7, 6, {person("ann"), person("cid")}));
  ASSERT_EQ(desk_.next_deadline(), now_);
  const DueReceipts due = desk_.take(now_);
  ASSERT_EQ(due.publications.size(), 2U);
  EXPECT_EQ(due.publications[0].user, (storage::UserKey{"app", person("ann")}));
  EXPECT_EQ(due.publications[1].user, (storage::UserKey{"app", person("cid")}));
  EXPECT_EQ(due.publications[0].event.kind, protocol::LooseEvent::Kind::kReceipt);
  EXPECT_EQ(due.publications[0].event.push, push("c-1", "bob", 7, 6));
  EXPECT_EQ(due.publications[0].event, due.publications[1].event);
  EXPECT_FALSE(desk_.next_deadline());
}

TEST_F(ReceiptDeskTest, MergesWhatComesWithinASecondIntoOne) {
  add(receipt("c-1", "bob", 1, 0, {person("ann")}));
  desk_.take(now_);
  for (int seq = 2; seq <= 100; ++seq) {
    now_ += milliseconds(10);
    add(receipt("c-1", "bob", seq, seq - 1, {person("ann")}));
    EXPECT_TRUE(desk_.take(now_).publications.empty()) << seq;
  }
  now_ += milliseconds(10);
  const DueReceipts due = desk_.take(now_);
  ASSERT_EQ(due.publications.size(), 1U);
  EXPECT_EQ(due.publications[0].event.push, push("c-1", "bob", 100, 99));
}

TEST_F(ReceiptDeskTest, NeverGoesBackWhenCommitsAreReportedOutOfOrder) {
  add(receipt("c-1", "bob", 7, 3, {person("ann")}));
  add(receipt("c-1", "bob", 5, 5, {person("ann")}));
  EXPECT_EQ(desk_.take(now_).publications.at(0).event.push, push("c-1", "bob", 7, 5));
  now_ += seconds(30);
  add(receipt("c-1", "bob", 6, 4, {person("ann")}));
  EXPECT_TRUE(desk_.take(now_).publications.empty());
}

TEST_F(ReceiptDeskTest, TellsTheReadersOwnDevicesWithTheOthers) {
  desk_.add_read("app", receipt("c-1", "bob", 7, 7, {person("ann")}), now_);
  const DueReceipts due = desk_.take(now_);
  ASSERT_EQ(due.publications.size(), 2U);
  EXPECT_EQ(due.publications[0].user.identity, person("ann"));
  EXPECT_EQ(due.publications[1].user.identity, person("bob"));
  EXPECT_EQ(due.publications[0].event, due.publications[1].event);
}

TEST_F(ReceiptDeskTest, TellsTheReadersOwnDevicesEvenIfAnAcknowledgementToldTheOthersBefore) {
  add(receipt("c-1", "bob", 7, 3, {person("ann")}));
  desk_.add_read("app", receipt("c-1", "bob", 3, 3, {person("ann")}), now_);
  const DueReceipts due = desk_.take(now_);
  ASSERT_EQ(due.publications.size(), 2U);
  EXPECT_EQ(due.publications[1].user.identity, person("bob"));
  EXPECT_EQ(due.publications[1].event.push, push("c-1", "bob", 3, 3));
}

TEST_F(ReceiptDeskTest, TellsTheReadersOwnDevicesTheHorizonInAGroupAndNeverTakesItBack) {
  const auto read = [&](std::int64_t delivered, std::int64_t seq) {
    storage::Receipt given = receipt("g-1", "bob", delivered, seq, {person("ann")});
    given.group = true;
    desk_.add_read("app", given, now_);
  };
  read(9, 8);
  read(9, 3);  // committed earlier, reported later
  DueReceipts due = desk_.take(now_);
  EXPECT_EQ(due.counts.size(), 1U);
  ASSERT_EQ(due.publications.size(), 1U);
  EXPECT_EQ(due.publications[0].user.identity, person("bob"));
  EXPECT_EQ(due.publications[0].event.push, push("g-1", "bob", 9, 8));
  now_ += seconds(30);
  read(9, 5);
  due = desk_.take(now_);
  EXPECT_TRUE(due.publications.empty());
}

TEST_F(ReceiptDeskTest, KeepsMembersConversationsAndApplicationsApart) {
  add(receipt("c-1", "bob", 1, 1, {person("ann")}));
  add(receipt("c-2", "bob", 1, 1, {person("ann")}));
  add(receipt("c-1", "cid", 1, 1, {person("ann")}));
  desk_.add("other", receipt("c-1", "bob", 1, 1, {person("ann")}), now_);
  std::set<std::pair<std::string, std::string>> keys;
  for (const ReceiptPublication& publication : desk_.take(now_).publications) {
    keys.insert({publication.user.application, publication.event.key});
  }
  EXPECT_EQ(keys.size(), 4U);
}

TEST_F(ReceiptDeskTest, AsksForOneCountASecondForEachSenderInAGroup) {
  for (int i = 0; i < 900; ++i) add_group("member-" + std::to_string(i), {"ann", "bob"});
  const DueReceipts due = desk_.take(now_);
  EXPECT_TRUE(due.publications.empty());
  EXPECT_EQ(due.counts, (std::vector<CountRequest>{{{"app", person("ann")}, "g-1"},
                                                   {{"app", person("bob")}, "g-1"}}));
  add_group("late", {"ann"});
  EXPECT_TRUE(desk_.take(now_ + milliseconds(999)).counts.empty());
  EXPECT_EQ(desk_.take(now_ + milliseconds(1'000)).counts.size(), 1U);
}

TEST_F(ReceiptDeskTest, TellsTheSenderTheCount) {
  const ReceiptPublication told =
      ReceiptDesk::count_publication("app", {"g-1", person("ann"), 9, 40, 12, 99});
  EXPECT_EQ(told.user, (storage::UserKey{"app", person("ann")}));
  EXPECT_EQ(told.event.push, protocol::encode_receipt_counts_push("g-1", 9, 40, 12, 99));
}

TEST_F(ReceiptDeskTest, CountsAgainAfterAFailure) {
  add_group("bob", {"ann"});
  const DueReceipts due = desk_.take(now_);
  ASSERT_EQ(due.counts.size(), 1U);
  desk_.count_failed(due.counts[0], now_);
  EXPECT_TRUE(desk_.take(now_).counts.empty());
  EXPECT_EQ(desk_.take(now_ + seconds(1)).counts, due.counts);
}

TEST_F(ReceiptDeskTest, IgnoresAHorizonThatHasNotBegun) {
  add(receipt("c-1", "bob", 0, 0, {person("ann")}));
  EXPECT_EQ(desk_.rows(), 0U);
}

TEST_F(ReceiptDeskTest, ForgetsWhatWasPublishedAWhileAgo) {
  add(receipt("c-1", "bob", 1, 1, {person("ann")}));
  desk_.take(now_);
  EXPECT_EQ(desk_.rows(), 1U);
  desk_.take(now_ + seconds(60));
  EXPECT_EQ(desk_.rows(), 0U);
}

TEST_F(ReceiptDeskTest, DropsAndCountsWhatFindsNoRoomButForgetsThePublishedFirst) {
  options_.max_rows = 2;
  ReceiptDesk desk(options_);
  desk.add("app", receipt("c-1", "bob", 1, 1, {person("ann")}), now_);
  desk.add("app", receipt("c-2", "bob", 1, 1, {person("ann")}), now_);
  desk.add("app", receipt("c-3", "bob", 1, 1, {person("ann")}), now_);
  EXPECT_EQ(desk.dropped(), 1U);
  EXPECT_EQ(desk.take(now_).publications.size(), 2U);
  desk.add("app", receipt("c-3", "bob", 1, 1, {person("ann")}), now_);
  EXPECT_EQ(desk.dropped(), 1U);
  EXPECT_EQ(desk.take(now_).publications.size(), 1U);
}

// A receipt, as far before or behind those of the member that were reported before, and a pause.
struct Move {
  int conversation = 0;
  int member = 0;
  std::int64_t delivered = 0;
  std::int64_t read = 0;
  int audience = 0;
  int pause = 0;
};
std::ostream& operator<<(std::ostream& out, const Move& move) {
  return out << "c-" << move.conversation << " m" << move.member << ' ' << move.delivered << '/'
             << move.read << " to " << move.audience << " then " << move.pause << " ms";
}

TEST(ReceiptProperty, NeverGoesBackComesAtMostOnceASecondAndLosesNothingAtTheEnd) {
  EXPECT_TRUE(rc::check([] {
    const auto moves = *rc::gen::resize(
        200, rc::gen::container<std::vector<Move>>(rc::gen::build<Move>(
                 rc::gen::set(&Move::conversation, rc::gen::inRange(0, 3)),
                 rc::gen::set(&Move::member, rc::gen::inRange(0, 3)),
                 rc::gen::set(&Move::delivered, rc::gen::inRange<std::int64_t>(-3, 6)),
                 rc::gen::set(&Move::read, rc::gen::inRange<std::int64_t>(-3, 6)),
                 rc::gen::set(&Move::audience, rc::gen::inRange(0, 2)),
                 rc::gen::set(&Move::pause,
                              rc::gen::weightedOneOf<int>({{3, rc::gen::inRange(0, 30)},
                                                           {2, rc::gen::inRange(0, 3'000)}})))));
    using Name = std::tuple<std::string, std::string, std::string>;  // who hears, where, of whom
    using Horizon = std::pair<std::int64_t, std::int64_t>;
    std::map<Name, Horizon> truth;  // the highest that was given to be told to this person
    std::map<Name, Horizon> told;
    std::map<Name, base::SteadyTime> last;
    std::map<std::string, Horizon> highest;  // of a member in a conversation
    std::map<std::string, base::SteadyTime> moved_at;
    ReceiptDesk desk(ReceiptOptions{});
    base::SteadyTime now{std::chrono::hours(1)};

    const auto hear = [&] {
      for (const ReceiptPublication& publication : desk.take(now).publications) {
        // The key names conversation and member; the horizon is read out of the push.
        const std::string& key = publication.event.key;
        const std::size_t blank = key.find(' ');
        const Name name{publication.user.identity.endpoint, key.substr(0, blank),
                        key.substr(key.find(':') + 1)};
        const auto number = [&](const std::string& member) {
          const std::string& push = publication.event.push;
          return std::stoll(push.substr(push.find('"' + member + "\":") + member.size() + 3));
        };
        const Horizon horizon{number("delivered"), number("read")};
        RC_ASSERT(horizon.first >= told[name].first);
        RC_ASSERT(horizon.second >= told[name].second);
        RC_ASSERT(now - last[name] >= seconds(1));
        told[name] = horizon;
        last[name] = now;
      }
    };
    const auto pass = [&](milliseconds time) {
      const base::SteadyTime end = now + time;
      while (desk.next_deadline() && *desk.next_deadline() <= end) {
        now = std::max(now, *desk.next_deadline());
        hear();
      }
      now = end;
    };
    for (const Move& move : moves) {
      const std::string conversation = "c-" + std::to_string(move.conversation);
      const std::string member = "m" + std::to_string(move.member);
      const std::string reader = "r" + std::to_string(move.audience);
      Horizon& high = highest[conversation + member];
      // What is late, in whole or in part, is not very late.
      const bool may_be_late = now - moved_at[conversation + member] < seconds(50);
      const std::int64_t least = may_be_late ? -3 : 0;
      const Horizon reported{
          std::max<std::int64_t>(0, high.first + std::max(least, move.delivered)),
          std::max<std::int64_t>(0, high.second + std::max(least, move.read))};
      const bool moved = reported.first > high.first || reported.second > high.second;
      high = {std::max(high.first, reported.first), std::max(high.second, reported.second)};
      desk.add("app",
               receipt(conversation, member, reported.first, reported.second, {person(reader)}),
               now);
      if (moved) {
        truth[{reader, conversation, member}] = high;
        moved_at[conversation + member] = now;
      }
      pass(milliseconds(move.pause));
    }
    pass(seconds(5));
    RC_ASSERT(!desk.next_deadline());
    for (const auto& [name, horizon] : truth) {
      RC_ASSERT(told[name].first >= horizon.first);
      RC_ASSERT(told[name].second >= horizon.second);
    }
  }));
}

}  // namespace
}  // namespace countersign::gateway

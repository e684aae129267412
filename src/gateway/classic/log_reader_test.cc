// The log reads the same in pages of any size, from any position it ever named.
#include "gateway/classic/log_reader.h"

#include <random>

#include "gateway/classic/classic_fixture.h"

namespace countersign::gateway::classic {
namespace {

class LogReaderTest : public ClassicGatewayTest {
 protected:
  struct Step {
    std::string what;  // code, session and sender
    std::int64_t position = 0;
  };

  // Reads on from a position, with pages of this size, to the end.
  std::vector<Step> read_from(const Page& page, std::int64_t position, std::size_t entries,
                              std::size_t receipts) {
    const ClassicKeys keys(base::as_bytes(kTestKey));
    TransportDesk transports({}, keys, *store_->classic(), store_->messages(), nullptr, clock_);
    LogReader reader({entries, 96 * 1024, receipts, 256}, keys, transports, *store_->classic(),
                     store_->messages(), random_);
    const storage::UserKey user{kTestApplication, page.instance.identity};
    std::vector<Step> steps;
    for (bool more = true; more;) {
      const auto read = reader.read(user, position);
      EXPECT_TRUE(read);
      if (!read) return steps;
      EXPECT_FALSE(read->astray);
      EXPECT_GE(read->position, position);
      for (const protocol::ClassicItem& item : read->items) {
        const auto frame = protocol::parse_mxp_frame(item.text);
        const auto text = protocol::decrypt_mxp(
            keys.transport_key(kTestApplication, frame->transport), frame->payload);
        const auto message = protocol::decode_mxp_message(*text);
        steps.push_back({std::to_string(message->code) + " " + frame->session + " " + message->user,
                         read->position});
      }
      EXPECT_TRUE(!read->more || read->position > position);
      more = read->more && read->position > position;
      position = read->position;
    }
    return steps;
  }
  // As the bus would have it told, at some time between two messages.
  void note_what_others_got(const Page& page) {
    const storage::UserKey user{kTestApplication, page.instance.identity};
    const auto horizons =
        store_->messages().list_conversations(user, base::SystemTime::max(), {}, 10);
    ASSERT_TRUE(horizons);
    std::vector<storage::ClassicHorizon> news;
    for (const auto& conversation : *horizons) {
      for (const auto& member : conversation.members) {
        if (member.member == user.identity || member.delivered == 0) continue;
        news.push_back({conversation.id, member.member, member.delivered});
      }
    }
    ASSERT_TRUE(store_->classic()->note_horizons(user, news, clock_.now()));
  }
  // What is older than 30 days goes.
  void remove_old() {
    const base::SystemTime now = clock_.now();
    const base::SystemTime before = now - std::chrono::hours(24 * 30);
    while (store_->messages().remove_old(before, now, 100)->removed > 0) {
    }
  }
  static std::vector<std::string> words(const std::vector<Step>& steps) {
    std::vector<std::string> out;
    for (const Step& step : steps) out.push_back(step.what);
    return out;
  }
};

TEST_F(LogReaderTest, ReadsTheSameInPagesOfAnySizeFromAnyPosition) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  Page cyd = start(node, "cyd");
  std::mt19937 chance(3);
  std::vector<std::string> unconfirmed;
  for (int i = 0; i < 60; ++i) {
    switch (chance() % 4) {
      case 0:
        unconfirmed.push_back(say(ann, {"bob"}, "to bob"));
        break;
      case 1:
        say(bob, {"ann"}, "to ann");
        break;
      case 2:
        say(cyd, {"ann"}, "to ann from cyd");
        break;
      default:
        if (unconfirmed.empty()) break;
        confirm(bob, "ann", unconfirmed.front(), {"ann"});
        unconfirmed.erase(unconfirmed.begin());
        note_what_others_got(ann);
    }
  }
  const std::vector<Step> whole = read_from(ann, 0, 1'000, 1'000);
  ASSERT_GT(whole.size(), 40U);
  const auto expected = words(whole);
  EXPECT_GT(std::count_if(expected.begin(), expected.end(),
                          [](const std::string& what) { return what[0] == '2'; }),
            4);
  for (const std::size_t entries : {1U, 2U, 7U}) {
    for (const std::size_t receipts : {1U, 3U}) {
      const std::vector<Step> small = read_from(ann, 0, entries, receipts);
      ASSERT_EQ(words(small), expected);
      // A client that comes again with any of these positions misses nothing and hears nothing
      // twice.
      for (std::size_t i = 0; i < small.size(); i += 5) {
        if (i + 1 < small.size() && small[i + 1].position == small[i].position) continue;
        const auto rest = words(read_from(ann, small[i].position, 3, 2));
        EXPECT_EQ(rest, std::vector<std::string>(
                            expected.begin() + static_cast<std::ptrdiff_t>(i) + 1, expected.end()));
      }
    }
  }
}

TEST_F(LogReaderTest, GoesOnAtTheFloorForWhoeverWasAwayTooLong) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  say(bob, {"ann"}, "old");
  const std::string sent = say(ann, {"bob"}, "older than what is kept");
  EXPECT_EQ(hear(bob).size(), 2U);
  EXPECT_EQ(hear(ann).size(), 2U);
  confirm(bob, "ann", sent, {"ann"});
  EXPECT_EQ(hear(ann).size(), 1U);  // the receipt
  clock_.advance(std::chrono::hours(24 * 40));
  remove_old();
  ann = sign_in(node, "ann");
  bob = sign_in(node, "bob");
  for (auto& each : nodes_) ASSERT_TRUE(each->gateway->poller().tick());
  const std::string fresh = say(bob, {"ann"}, "new");
  const std::vector<Step> rest = read_from(ann, 0, 10, 10);
  ASSERT_EQ(rest.size(), 1U);
  EXPECT_EQ(rest[0].what, "1 " + fresh + " bob");
  EXPECT_TRUE(read_from(ann, rest[0].position, 10, 10).empty());
}

TEST_F(LogReaderTest, GivesNoReceiptForWhatRetentionTookBeforeItWasDelivered) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  say(ann, {"bob"}, "never fetched");
  clock_.advance(std::chrono::hours(24 * 40));
  remove_old();
  ann = sign_in(node, "ann");
  bob = sign_in(node, "bob");
  for (auto& each : nodes_) ASSERT_TRUE(each->gateway->poller().tick());
  const std::string sent = say(ann, {"bob"}, "fetched");
  confirm(bob, "ann", sent, {"ann"});
  note_what_others_got(ann);
  EXPECT_EQ(words(read_from(ann, 0, 10, 10)),
            (std::vector<std::string>{"1 " + sent + " ann", "2 " + sent + " bob"}));
}

}  // namespace
}  // namespace countersign::gateway::classic

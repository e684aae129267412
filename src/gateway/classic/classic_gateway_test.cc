// The chain of the classic gateway: who starts, sends, hears and confirms with the classic SDK,
// here and on another node, now and later.
#include "gateway/classic/classic_fixture.h"

namespace countersign::gateway::classic {
namespace {

TEST_F(ClassicGatewayTest, AnswersTheFirstPollAtOnceAndHoldsTheNext) {
  Page ann = sign_in(add_node(), "ann");
  const auto first = poll(ann);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->items.empty());
  EXPECT_EQ(first->timetoken, protocol::kTimetokenBase);
  const Answer held = hold(ann);
  pass(seconds(1));
  EXPECT_FALSE(held->has_value());
  EXPECT_EQ(ann.node->classic->polls(), 1U);
  for (int i = 0; i < 280; ++i) pass(seconds(1));
  const auto empty = finish(ann, held);
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->items.empty());
  EXPECT_EQ(empty->timetoken, first->timetoken);
  EXPECT_EQ(ann.node->classic->polls(), 0U);
}

TEST_F(ClassicGatewayTest, CarriesATextToEverybodyAndTheReceiptBack) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  const Answer held = hold(bob);
  const std::string session = say(ann, {"bob"}, "hello");
  const auto polled = finish(bob, held);
  ASSERT_TRUE(polled);
  const std::vector<Heard> expected{{protocol::kMxpText, "ann", session, "{\"t\":\"hello\"}"}};
  EXPECT_EQ(read(bob, *polled), expected);
  EXPECT_EQ(hear(ann), expected);  // her own copy
  confirm(bob, "ann", session, {"ann"});
  const std::vector<Heard> receipt{{protocol::kMxpReceipt, "bob", session, ""}};
  EXPECT_EQ(hear(ann), receipt);
  EXPECT_EQ(cursor(bob), 1);
}

TEST_F(ClassicGatewayTest, KeepsWhatIsSentToSomebodyWhoIsAway) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  const std::string one = say(ann, {"bob"}, "one");
  const std::string two = say(ann, {"bob"}, "two");
  // The page is loaded again, with the same instance: it asks for the present position.
  bob.token = 0;
  EXPECT_TRUE(poll(bob)->items.empty());
  const auto heard = hear(bob);
  ASSERT_EQ(heard.size(), 2U);
  EXPECT_EQ(heard[0].session, one);
  EXPECT_EQ(heard[1].session, two);
  // What it confirms is not told again; what it does not, is.
  confirm(bob, "ann", one, {"ann"});
  bob.token = 0;
  EXPECT_TRUE(poll(bob)->items.empty());
  const auto again = hear(bob);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].session, two);
}

TEST_F(ClassicGatewayTest, SplitsAndJoinsLongTexts) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  const std::string text(9'000, 'x');
  const std::string session = say(ann, {"bob"}, text);
  const auto polled = poll(bob);
  ASSERT_TRUE(polled);
  EXPECT_GT(polled->items.size(), 5U);
  const auto heard = read(bob, *polled);
  ASSERT_EQ(heard.size(), 1U);
  EXPECT_EQ(heard[0].text, "{\"t\":\"" + text + "\"}");
  EXPECT_EQ(heard[0].session, session);
}

TEST_F(ClassicGatewayTest, JoinsPartsThatCameOutOfOrderAndThroughAnotherNode) {
  Node& here = add_node();
  Node& there = add_node();
  Page ann = start(here, "ann");
  Page bob = start(here, "bob");
  const TransportView view = transport(ann, {"bob"});
  protocol::MxpMessage message = message_of(ann, protocol::kMxpText);
  message.body = "{\"t\":\"" + std::string(4'000, 'y') + "\"}";
  auto all = frames(view, "long-message", message);
  ASSERT_GT(all.size(), 3U);
  std::reverse(all.begin(), all.end());
  const std::string& channel = view.participants[0].channel;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i == 2) ann.node = &there;
    EXPECT_TRUE(publish(ann, channel, all[i]));
    EXPECT_TRUE(publish(ann, channel, all[i]));  // a browser repeats what it is unsure of
  }
  const auto heard = hear(bob);
  ASSERT_EQ(heard.size(), 1U);
  EXPECT_EQ(heard[0].text, message.body);
  EXPECT_EQ(inbox_top(bob), 1);
}

class ClassicRestartTest : public ClassicGatewayTest {
 protected:
  // Ann sends a long text of which all but the last part are taken before a restart, the last one
  // afterwards. How many messages Bob has then.
  std::int64_t come_through(const storage::MessageMutants& mutants) {
    Node& before = add_node();
    Page ann = start(before, "ann");
    Page bob = start(before, "bob");
    const TransportView view = transport(ann, {"bob"});
    protocol::MxpMessage message = message_of(ann, protocol::kMxpText);
    message.body = "{\"t\":\"" + std::string(4'000, 'y') + "\"}";
    const auto all = frames(view, "long-message", message);
    EXPECT_GT(all.size(), 1U);
    const std::string& channel = view.participants[0].channel;
    for (const std::string& frame : all) {
      if (&frame == &all.back()) ann.node = &restart(mutants);
      EXPECT_TRUE(publish(ann, channel, frame));
    }
    return inbox_top(bob);
  }
};

TEST_F(ClassicRestartTest, LosesNoPartThatWasTaken) { EXPECT_EQ(come_through({}), 1); }

TEST_F(ClassicRestartTest, NoticesPartsThatWereKeptInMemory) {
  storage::MessageMutants mutants;
  mutants.parts_in_memory = true;
  EXPECT_EQ(come_through(mutants), 0);
}

TEST_F(ClassicGatewayTest, DeliversToAPollOnAnotherNode) {
  Node& here = add_node();
  Node& there = add_node();
  Page ann = start(here, "ann");
  Page bob = start(there, "bob");
  const Answer held = hold(bob);
  const std::string session = say(ann, {"bob"}, "far away");
  const auto polled = finish(bob, held);
  ASSERT_TRUE(polled);
  ASSERT_EQ(read(bob, *polled).size(), 1U);
  EXPECT_EQ(hear(ann).size(), 1U);
  confirm(bob, "ann", session, {"ann"});
  EXPECT_EQ(hear(ann).at(0).code, protocol::kMxpReceipt);
}

TEST_F(ClassicGatewayTest, CarriesGroupMessagesAndEveryonesReceipt) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  Page cyd = start(node, "cyd");
  const std::string session = say(ann, {"bob", "cyd"}, "all of you");
  EXPECT_EQ(hear(ann).size(), 1U);
  EXPECT_EQ(hear(bob).at(0).session, session);
  EXPECT_EQ(hear(cyd).at(0).session, session);
  confirm(bob, "ann", session, {"ann", "cyd"});
  EXPECT_EQ(hear(ann), (std::vector<Heard>{{protocol::kMxpReceipt, "bob", session, ""}}));
  confirm(cyd, "ann", session, {"ann", "bob"});
  EXPECT_EQ(hear(ann), (std::vector<Heard>{{protocol::kMxpReceipt, "cyd", session, ""}}));
}

TEST_F(ClassicGatewayTest, TellsTwoTabsOfOneInstanceTheSame) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  Page other = start(node, "bob", bob.instance.id.text());
  other.shard = 1;
  const Answer one = hold(bob);
  const Answer two = hold(other);
  const std::string session = say(ann, {"bob"}, "both of you");
  EXPECT_EQ(read(bob, *finish(bob, one)).at(0).session, session);
  EXPECT_EQ(read(other, *finish(other, two)).at(0).session, session);
  confirm(bob, "ann", session, {"ann"});
  confirm(other, "ann", session, {"ann"});
  EXPECT_EQ(cursor(bob), 1);
}

TEST_F(ClassicGatewayTest, LeavesOutWhoIsUnknown) {
  Page ann = start(add_node(), "ann");
  EXPECT_TRUE(transport(ann, {"nobody"}).participants.empty());
  const auto stranger = ann.node->classic->find_transport(ann.instance, "d.unknown");
  EXPECT_EQ(stranger.code(), ErrorCode::kAbsent);
}

TEST_F(ClassicGatewayTest, RefusesForgeriesForeignChannelsAndForeignTransports) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  Page eve = start(node, "eve");
  const TransportView view = transport(ann, {"bob"});
  protocol::MxpMessage forged = message_of(bob, protocol::kMxpText);
  forged.body = "{\"t\":\"I am bob\"}";
  const std::string& channel = view.participants[0].channel;
  EXPECT_EQ(refusal_of(ann, channel, frames(view, "forged", forged)[0]),
            ErrorCode::kPermissionDenied);
  protocol::MxpMessage other_device = message_of(ann, protocol::kMxpText);
  other_device.body = forged.body;
  other_device.instance = "another:1";
  EXPECT_EQ(refusal_of(ann, channel, frames(view, "forged", other_device)[0]),
            ErrorCode::kPermissionDenied);
  const std::string good = frames(view, "good", message_of(eve, protocol::kMxpText))[0];
  EXPECT_EQ(refusal_of(eve, channel, good), ErrorCode::kPermissionDenied);
  protocol::MxpMessage mine = message_of(ann, protocol::kMxpText);
  mine.body = forged.body;
  const std::string frame = frames(view, "mine", mine)[0];
  EXPECT_EQ(refusal_of(ann, eve.keys.transport_channel, frame), ErrorCode::kPermissionDenied);
  EXPECT_EQ(refusal_of(ann, channel, "10 call - 0 1 QUJD"), ErrorCode::kNotAvailable);
  Page thief = ann;
  thief.keys.publish_key = bob.keys.publish_key;
  EXPECT_EQ(refusal_of(thief, channel, frame), ErrorCode::kUnauthorized);
  thief.keys.publish_key = ann.keys.subscribe_key;
  EXPECT_EQ(refusal_of(thief, channel, frame), ErrorCode::kUnauthorized);
  EXPECT_EQ(inbox_top(bob), 0);
}

TEST_F(ClassicGatewayTest, RefusesPollsOfForeignChannelsAndBadKeysLate) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  Page spy = ann;
  spy.keys.transport_channel = bob.keys.transport_channel;
  const Answer foreign = hold(spy);
  Page liar = ann;
  liar.keys.subscribe_key.back() ^= 1;
  const Answer bad = hold(liar);
  pass(seconds(1));
  EXPECT_FALSE(foreign->has_value());
  EXPECT_FALSE(bad->has_value());
  for (int i = 0; i < 10; ++i) pass(seconds(1));
  EXPECT_EQ(finish(spy, foreign).code(), ErrorCode::kPermissionDenied);
  EXPECT_EQ(finish(liar, bad).code(), ErrorCode::kUnauthorized);
}

TEST_F(ClassicGatewayTest, GoesOnTellingAPageThatListensToAGroupOfItsOwn) {
  Node& node = add_node();
  Page ann = start(node, "ann"), bob = start(node, "bob");
  const Answer answer = std::make_shared<std::optional<Result<Polled>>>();
  node.classic->subscribe(0, node.shards[0],
                          {bob.keys.subscribe_key,
                           {bob.keys.broadcast_channel, "room-1", bob.keys.transport_channel},
                           bob.token},
                          [answer](Result<Polled> polled) { *answer = std::move(polled); });
  say(ann, {"bob"}, "hello");
  const auto told = finish(bob, answer);
  ASSERT_TRUE(told);
  EXPECT_EQ(read(bob, *told).size(), 1U);
  // What is published there is no frame, and who asks for nothing else is refused.
  EXPECT_EQ(refusal_of(ann, "room-1", "ann"), ErrorCode::kBadRequest);
  Page lonely = bob;
  lonely.keys.transport_channel = lonely.keys.broadcast_channel = "room-1";
  const Answer nothing = hold(lonely);
  for (int i = 0; i < 11; ++i) pass(seconds(1));
  EXPECT_EQ(finish(lonely, nothing).code(), ErrorCode::kPermissionDenied);
}

TEST_F(ClassicGatewayTest, EndsPollsAndPublishesOfARevokedInstance) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  const TransportView view = transport(bob, {"ann"});
  const Answer held = hold(bob);
  pass(milliseconds(100));
  storage::Revocation revocation;
  revocation.scope = storage::RevocationScope::kInstance;
  revocation.instance = bob.instance.id;
  revocation.reason = "signed_out";
  revocation.time = clock_.now();
  ASSERT_TRUE(store_->revocations().add({&revocation, 1}));
  ASSERT_TRUE(store_->instances().end_instance(bob.instance.id));
  pass(milliseconds(500));
  say(ann, {"bob"}, "too late");
  EXPECT_FALSE(held->has_value());
  for (int i = 0; i < 10; ++i) pass(seconds(1));
  EXPECT_EQ(finish(bob, held).code(), ErrorCode::kUnauthorized);
  protocol::MxpMessage text = message_of(bob, protocol::kMxpText);
  text.body = "{\"t\":\"still here\"}";
  EXPECT_EQ(refusal_of(bob, view.participants[0].channel, frames(view, "late", text)[0]),
            ErrorCode::kUnauthorized);
  EXPECT_EQ(node.classic->live_instance(bob.instance.id).code(), ErrorCode::kAbsent);
}

TEST_F(ClassicGatewayTest, NeitherDeliversNorAcceptsWhileFenced) {
  Node& here = add_node();
  Node& there = add_node();
  Page ann = start(here, "ann");
  Page bob = start(there, "bob");
  const Answer held = hold(bob);
  pass(milliseconds(100));
  clock_.advance(seconds(2));
  ASSERT_TRUE(here.gateway->poller().tick());  // the other node hears nothing
  const std::string session = say(ann, {"bob"}, "through the fence");
  tick();
  EXPECT_FALSE(held->has_value());
  const TransportView view = transport(bob, {"ann"});
  protocol::MxpMessage text = message_of(bob, protocol::kMxpText);
  text.body = "{\"t\":\"from inside\"}";
  const auto refused = publish(bob, view.participants[0].channel, frames(view, "in", text)[0]);
  EXPECT_EQ(refused.code(), ErrorCode::kOverloaded);
  EXPECT_EQ(there.classic->live_instance(bob.instance.id).code(), ErrorCode::kNotReady);
  pass(milliseconds(100));  // now it hears again
  EXPECT_EQ(read(bob, *finish(bob, held)).at(0).session, session);
}

TEST_F(ClassicGatewayTest, BeginsAnewForATokenFromAnotherLife) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  say(ann, {"bob"}, "hello");
  bob.token = protocol::kTimetokenBase + 5'000;
  const auto told = poll(bob);
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->items.empty());
  EXPECT_EQ(told->timetoken, protocol::kTimetokenBase);
  EXPECT_EQ(hear(bob).size(), 1U);
  bob.token = 12;
  EXPECT_TRUE(poll(bob)->items.empty());
  bob.token = ~0ULL;
  EXPECT_TRUE(poll(bob)->items.empty());
}

TEST_F(ClassicGatewayTest, MovesOnPastAMessageWhoseReceiptNeverCame) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  say(ann, {"bob"}, "lost receipt");
  EXPECT_EQ(hear(bob).size(), 1U);
  Answer held = hold(bob);
  for (int i = 0; i < 70; ++i) pass(seconds(1));
  const std::string session = say(ann, {"bob"}, "next");
  EXPECT_EQ(read(bob, *finish(bob, held)).size(), 1U);
  held = hold(bob);
  EXPECT_TRUE(wait([&] { return cursor(bob) == 1; }));
  confirm(bob, "ann", session, {"ann"});
  EXPECT_EQ(cursor(bob), 2);
}

TEST_F(ClassicGatewayTest, ForgetsAPollWhoseClientIsGone) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  PollId id = 0;
  const Answer held = hold(ann, &id);
  node.classic->cancel(0, id);
  EXPECT_EQ(node.classic->polls(), 0U);
  pass(seconds(1));
  for (int i = 0; i < 300; ++i) pass(seconds(1));
  EXPECT_FALSE(held->has_value());
}

TEST_F(ClassicGatewayTest, BoundsThePollsOfOneInstanceAndOfAShard) {
  options_.max_polls = 3;
  options_.max_polls_per_instance = 2;
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  const Answer one = hold(ann), two = hold(ann), three = hold(ann);
  const Answer four = hold(bob);
  EXPECT_EQ(finish(bob, four).code(), ErrorCode::kOverloaded);
  for (int i = 0; i < 11; ++i) pass(seconds(1));
  EXPECT_FALSE(one->has_value());
  EXPECT_FALSE(two->has_value());
  EXPECT_EQ(finish(ann, three).code(), ErrorCode::kTooManyRequests);
}

TEST_F(ClassicGatewayTest, OpensTransportsWithinTheBudgetOfTheirUser) {
  options_.openings = {1, 3};
  Node& node = add_node();
  Page ann = start(node, "ann"), tab = start(node, "ann"), bob = start(node, "bob");
  const std::vector<Identity> people{{IdentityType::kUsername, "bob"}};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(node.classic->open_transport(ann.instance, people));
  for (const Page& page : {ann, tab}) {
    const auto refused = node.classic->open_transport(page.instance, people);
    EXPECT_EQ(refused.code(), ErrorCode::kTooManyRequests);
  }
  EXPECT_TRUE(node.classic->open_transport(bob.instance, people));
  pass(seconds(1));
  EXPECT_TRUE(node.classic->open_transport(ann.instance, people));
}

TEST_F(ClassicGatewayTest, SlowsAnInstanceThatAsksTooOften) {
  options_.requests = {1, 4};
  Node& node = add_node();
  Page ann = start(node, "ann"), bob = start(node, "bob");
  const TransportView both = transport(ann, {"bob"});
  protocol::MxpMessage message = message_of(ann, protocol::kMxpText);
  message.body = R"({"t":"x"})";
  for (int i = 0; i < 3; ++i) {
    send_all(ann, both, frames(both, "message-" + std::to_string(i), message));
  }
  const auto more = frames(both, "one-more", message);
  EXPECT_EQ(publish(ann, bob.keys.transport_channel, more.front()).code(),
            ErrorCode::kTooManyRequests);
  const Answer held = hold(ann);
  for (int i = 0; i < 9; ++i) pass(seconds(1));
  EXPECT_FALSE(held->has_value());
  pass(seconds(2));
  EXPECT_EQ(finish(ann, held).code(), ErrorCode::kTooManyRequests);
  EXPECT_EQ(hear(bob).size(), 3U);
  EXPECT_TRUE(publish(ann, bob.keys.transport_channel, more.front()));
  EXPECT_EQ(hear(bob).size(), 1U);
}

TEST_F(ClassicGatewayTest, RemovesEverythingOldAtOnceHoweverMuchItIs) {
  options_.retention = std::chrono::hours(1);
  Node& node = add_node();
  storage::ClassicTransport transport;
  transport.application = kTestApplication;
  transport.time = clock_.now();
  for (int i = 0; i < 1'200; ++i) {
    transport.id = transport.conversation = "transport-" + std::to_string(i);
    ASSERT_TRUE(store_->classic()->put_transport(transport));
  }
  storage::ClassicPart part{base::InstanceId("gone"), "session", "7", 0, 2, "AAAA", clock_.now()};
  ASSERT_TRUE(store_->classic()->add_part(part, {}));
  clock_.advance(std::chrono::hours(2));
  node.classic->tick();
  EXPECT_TRUE(wait([&] {
    const auto last = store_->classic()->find_transport(kTestApplication, transport.id);
    return last && !*last;
  }));
  // What is removed last is the idle part: a set of another count finds its place free.
  part.count = 3;
  EXPECT_TRUE(wait([&] { return store_->classic()->add_part(part, {}).has_value(); }));
}

TEST_F(ClassicGatewayTest, LetsEverybodyGoWhenItShutsDown) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  const Answer held = hold(ann);
  pass(milliseconds(100));
  node.classic->shut_down();
  const auto answer = finish(ann, held);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->items.empty());
  EXPECT_TRUE(poll(ann));
}

}  // namespace
}  // namespace countersign::gateway::classic

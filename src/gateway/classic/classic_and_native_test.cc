// Both SDKs in one conversation: what people with the classic one and with ours say to each other,
// hear of each other and see of their groups.
#include <future>

#include "gateway/classic/classic_fixture.h"
#include "gateway/classic/transport_desk.h"

namespace countersign::gateway::classic {
namespace {

// The native client of the same gateway.
class ClassicAndNativeTest : public ClassicGatewayTest {
 protected:
  static Client native(const std::string& name, const base::InstanceId& instance) {
    return {{kTestApplication, {IdentityType::kUsername, name}}, "native-" + name, instance};
  }
  void native_attach(Node& node, const Client& client) {
    std::promise<void> done;
    node.gateway->messaging()->attach(client, std::nullopt, false,
                                      [&done](const Result<storage::Attached>& attached) {
                                        EXPECT_TRUE(attached);
                                        done.set_value();
                                      });
    done.get_future().get();
  }
  std::string native_send(Node& node, const Client& client, const std::string& to,
                          const std::string& text, const std::string& msg_id) {
    protocol::Send send;
    send.msg_id = msg_id;
    send.to.users = {{IdentityType::kUsername, to}};
    send.body = *protocol::body_of_mxp_text("{\"t\":\"" + text + "\"}", std::nullopt);
    return native_ask(node, client, send);
  }
  std::string native_ask(Node& node, const Client& client, const MessagingRequest& request) {
    std::promise<std::string> done;
    node.gateway->messaging()->ask(client, ConnectionId(), 5, request,
                                   [&done](const Result<std::string>& reply) {
                                     done.set_value(reply ? *reply : std::string());
                                   });
    return done.get_future().get();
  }
  storage::InboxPage inbox(const std::string& name) {
    const auto page = store_->messages().read_inbox(
        {kTestApplication, {IdentityType::kUsername, name}}, 0, 100, 1 << 20);
    EXPECT_TRUE(page);
    return page ? *page : storage::InboxPage();
  }
  void native_ack(Node& node, const Client& client, const std::string& epoch, std::int64_t offset) {
    std::promise<void> done;
    node.gateway->messaging()->acknowledge(client, epoch, offset,
                                           [&done](const Result<std::int64_t>& cursor) {
                                             EXPECT_TRUE(cursor);
                                             done.set_value();
                                           });
    done.get_future().get();
  }
};

TEST_F(ClassicAndNativeTest, TalkInOneConversationBothWays) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page helper = sign_in(node, "bob");  // only for its live instance
  const Client bob = native("bob", helper.instance.id);
  native_attach(node, bob);
  const std::string session = say(ann, {"bob"}, "from classic");
  EXPECT_EQ(hear(ann).size(), 1U);
  const storage::InboxPage page = inbox("bob");
  ASSERT_EQ(page.entries.size(), 1U);
  EXPECT_EQ(page.entries[0].message.id, session);
  EXPECT_EQ(page.entries[0].message.sender.endpoint, "ann");
  native_ack(node, bob, page.epoch, page.entries[0].offset);
  EXPECT_EQ(hear(ann), (std::vector<Heard>{{protocol::kMxpReceipt, "bob", session, ""}}));

  const Answer held = hold(ann);
  native_send(node, bob, "ann", "from native", "native-1");
  const std::vector<Heard> expected{
      {protocol::kMxpText, "bob", "native-1", "{\"t\":\"from native\"}"}};
  EXPECT_EQ(read(ann, *finish(ann, held)), expected);
  confirm(ann, "bob", "native-1", {"bob"});
  const auto members =
      store_->messages().members(bob.user, page.entries[0].message.conversation, std::nullopt, 10);
  ASSERT_TRUE(members);
  EXPECT_EQ(members->at(0).member.endpoint, "ann");
  EXPECT_EQ(members->at(0).delivered, 2);
}

TEST_F(ClassicAndNativeTest, TellsReceiptsThatCameWhileTheSenderWasAway) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page helper = sign_in(node, "bob");
  const Client bob = native("bob", helper.instance.id);
  native_attach(node, bob);
  const std::string session = say(ann, {"bob"}, "read it later");
  EXPECT_EQ(hear(ann).size(), 1U);
  for (int i = 0; i < 20; ++i) pass(seconds(1));  // nobody follows her any more
  const storage::InboxPage page = inbox("bob");
  native_ack(node, bob, page.epoch, page.top);
  EXPECT_EQ(hear(ann), (std::vector<Heard>{{protocol::kMxpReceipt, "bob", session, ""}}));
}

TEST_F(ClassicAndNativeTest, HearAGroupOfTheNativeSdk) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page helper = sign_in(node, "bob");
  const Client bob = native("bob", helper.instance.id);
  native_attach(node, bob);
  protocol::ChangeGroup create;
  create.msg_id = "group-1";
  create.action = protocol::ChangeGroup::Action::kCreate;
  create.users = {ann.instance.identity};
  create.name = "friends";
  native_ask(node, bob, create);
  const storage::InboxPage page = inbox("bob");
  ASSERT_EQ(page.entries.size(), 1U);
  protocol::Send send;
  send.msg_id = "group-2";
  send.to.id = page.entries[0].message.conversation;
  send.body = *protocol::body_of_mxp_text("{\"t\":\"dear group\"}", std::nullopt);
  native_ask(node, bob, send);
  const std::vector<Heard> expected{
      {protocol::kMxpText, "bob", "group-2", "{\"t\":\"dear group\"}"}};
  EXPECT_EQ(hear(ann), expected);
}

TEST_F(ClassicAndNativeTest, SeeAGroupAtEachVersionThatItHasHad) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page cleo = start(node, "cleo");
  Page helper = sign_in(node, "bob");
  const Client bob = native("bob", helper.instance.id);
  native_attach(node, bob);
  protocol::ChangeGroup change;
  change.msg_id = "group-1";
  change.users = {ann.instance.identity, cleo.instance.identity};
  change.name = "friends";
  native_ask(node, bob, change);
  const storage::InboxPage page = inbox("bob");
  ASSERT_EQ(page.entries.size(), 1U);
  const std::string group = page.entries[0].message.conversation;
  const storage::UserKey user{kTestApplication, ann.instance.identity};
  const auto version_of = [&] {
    return store_->messages().find_conversation(user, group)->version;
  };
  const std::int64_t first = version_of();
  const auto id_at = [&group](std::int64_t version) {
    return group + "." + std::to_string(version);
  };
  const ClassicKeys keys(base::as_bytes(kTestKey));
  TransportDesk desk({}, keys, *store_->classic(), store_->messages(), nullptr, clock_);

  const auto before = desk.find(user, id_at(first));
  ASSERT_TRUE(before);
  EXPECT_EQ((*before)->members.size(), 3U);
  // Its 1,000 channels are made once, and not for each receipt.
  EXPECT_EQ(desk.find(user, id_at(first))->get(), before->get());
  for (const std::string& never :
       {id_at(first + 1), id_at(1'000'000), id_at(-1), group, group + ".",
        group + ".0" + std::to_string(first), id_at(first) + "x", id_at(first) + ".",
        group + ". " + std::to_string(first), group + ".99999999999999999999"}) {
    EXPECT_EQ(desk.find(user, never).code(), ErrorCode::kAbsent) << never;
    EXPECT_EQ(node.classic->find_transport(ann.instance, never).code(), ErrorCode::kAbsent);
  }

  change.msg_id = "group-2";
  change.action = protocol::ChangeGroup::Action::kRemove;
  change.conversation = group;
  change.users = {cleo.instance.identity};
  native_ask(node, bob, change);
  ASSERT_GT(version_of(), first);
  const auto now = desk.find(user, id_at(version_of()));
  ASSERT_TRUE(now);
  EXPECT_EQ((*now)->members.size(), 2U);
  EXPECT_NE((*now)->key, (*before)->key);
  // What was written under the earlier one can still be read, by those who are there now.
  const auto earlier = desk.find(user, id_at(first));
  ASSERT_TRUE(earlier);
  EXPECT_EQ((*earlier)->key, (*before)->key);
  EXPECT_EQ((*earlier)->members, (*now)->members);
  const storage::UserKey removed{kTestApplication, cleo.instance.identity};
  for (const std::int64_t version : {first, version_of()}) {
    EXPECT_EQ(desk.find(removed, id_at(version)).code(), ErrorCode::kAbsent);
  }
  // She goes on reading what was written to her, under a key that the others never have.
  EXPECT_EQ(desk.id_of(removed, group), id_at(0));
  const auto hers = desk.find(removed, id_at(0));
  ASSERT_TRUE(hers);
  EXPECT_NE((*hers)->key, (*before)->key);
  EXPECT_NE((*hers)->key, (*now)->key);
  EXPECT_EQ(desk.find(user, id_at(0)).code(), ErrorCode::kAbsent);
}

TEST_F(ClassicAndNativeTest, HearTheirOwnWordsFromTheirOtherSdk) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  const Client native_ann = native("ann", ann.instance.id);
  native_attach(node, native_ann);
  const Answer held = hold(ann);
  native_send(node, native_ann, "bob", "from my telephone", "native-1");
  const std::vector<Heard> expected{
      {protocol::kMxpText, "ann", "native-1", "{\"t\":\"from my telephone\"}"}};
  EXPECT_EQ(read(ann, *finish(ann, held)), expected);
  EXPECT_EQ(hear(bob), expected);
}

TEST_F(ClassicAndNativeTest, TellsReceiptsThatTheBusHasLost) {
  Node& node = add_node();
  Page ann = start(node, "ann");
  Page bob = start(node, "bob");
  const std::string session = say(ann, {"bob"}, "hello");
  EXPECT_EQ(hear(ann).size(), 1U);
  Page tab = ann;
  const Answer held = hold(ann);
  const Answer held_too = hold(tab);
  pass(milliseconds(100));
  // Another node stores it, and what it says of it gets lost.
  std::promise<void> stored;
  store_->messages().acknowledge({{kTestApplication, bob.instance.identity},
                                  bob.instance.device,
                                  *store_->messages().epoch(),
                                  1,
                                  clock_.now()},
                                 [&stored](const Result<storage::Acked>& acked) {
                                   EXPECT_TRUE(acked);
                                   stored.set_value();
                                 });
  stored.get_future().get();
  pass(milliseconds(100));
  EXPECT_FALSE(held->has_value());
  node.gateway->messaging()->mailroom(0).on_gap();
  const std::vector<Heard> receipt{{protocol::kMxpReceipt, "bob", session, ""}};
  EXPECT_EQ(read(ann, *finish(ann, held)), receipt);
  EXPECT_EQ(read(tab, *finish(tab, held_too)), receipt);
}

}  // namespace
}  // namespace countersign::gateway::classic

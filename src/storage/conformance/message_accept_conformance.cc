// Accepting messages: what is written, what a repeat gets, and what is refused.
#include <atomic>
#include <future>

#include "storage/conformance/message_conformance.h"
#include "storage/message_ids.h"

namespace countersign::storage {
namespace {

TEST_P(MessageConformance, AMessageReachesBothInboxes) {
  sign_in(store(), {"ann", "bob"});
  const Sent sent = send(text("ann", {"bob"}, "m1"));
  EXPECT_EQ(sent.conversation, direct_conversation_id("application", people({"bob", "ann"})));
  EXPECT_EQ(sent.seq, 1);
  EXPECT_EQ(sent.offset, 1);
  EXPECT_EQ(sent.time, at(100));
  ASSERT_EQ(sent.deliveries.size(), 2u);
  EXPECT_EQ(sent.deliveries[0].user, person("ann"));
  EXPECT_EQ(sent.deliveries[0].kind, EntryKind::kSent);
  EXPECT_EQ(sent.deliveries[1].user, person("bob"));
  EXPECT_EQ(sent.deliveries[1].kind, EntryKind::kMessage);

  const std::vector<Entry> inbox = whole_inbox(store(), "bob");
  ASSERT_EQ(inbox.size(), 1u);
  EXPECT_EQ(inbox[0].chain, sent.deliveries[1].chain);
  EXPECT_EQ(inbox[0].chain, next_chain(first_chain(), message_id_of(person("ann"), "m1"), 1));
  EXPECT_EQ(inbox[0].message.conversation, sent.conversation);
  EXPECT_EQ(inbox[0].message.id, "m1");
  EXPECT_EQ(inbox[0].message.sender, person("ann"));
  EXPECT_EQ(inbox[0].message.body, "\"text\":\"m1\"");
  EXPECT_EQ(inbox[0].message.kind, MessageKind::kText);
  EXPECT_EQ(inbox[0].message.time, at(100));
  EXPECT_EQ(whole_inbox(store(), "ann")[0].kind, EntryKind::kSent);
}

TEST_P(MessageConformance, TheConversationIsTheSameFromBothSidesAndSeqsAreDense) {
  sign_in(store(), {"ann", "bob"});
  const Sent first = send(text("ann", {"bob"}, "m1"));
  const Sent second = send(text("bob", {"ann"}, "m1"));  // ids are the sender's own
  EXPECT_EQ(second.conversation, first.conversation);
  EXPECT_EQ(second.seq, 2);
  EXPECT_EQ(send(text_to("ann", first.conversation, "m2")).seq, 3);
  EXPECT_EQ(messages().tops(std::vector<UserKey>{user("bob"), user("who"), user("ann")}).value(),
            (std::vector<std::int64_t>{3, 0, 3}));
  EXPECT_EQ(faults_of_inbox(store(), "ann") + faults_of_inbox(store(), "bob"), "");
}

TEST_P(MessageConformance, ANoteToOneselfIsOneEntry) {
  sign_in(store(), {"ann"});
  const Sent sent = send(text("ann", {"ann"}, "m1"));
  ASSERT_EQ(sent.deliveries.size(), 1u);
  EXPECT_EQ(sent.deliveries[0].kind, EntryKind::kSent);
  EXPECT_EQ(conversation("ann", sent.conversation).member_count, 1u);
}

TEST_P(MessageConformance, ElevenPeopleShareAConversation) {
  const std::vector<std::string> others = {"b", "c", "d", "e", "f", "g", "h", "i", "j", "k"};
  sign_in(store(), others);
  const Sent sent = send(text("a", others, "m1"));
  EXPECT_EQ(sent.deliveries.size(), 11u);
  EXPECT_EQ(conversation("k", sent.conversation).members.size(), 11u);
}

TEST_P(MessageConformance, ARepeatIsAnsweredAsTheFirstTime) {
  sign_in(store(), {"ann", "bob"});
  send(text("ann", {"bob"}, "m0"));
  const Sent first = send(text("ann", {"bob"}, "m1"));
  reopen();
  Send again = text("ann", {"bob"}, "m1");
  again.now = at(500);
  again.message_id = std::string(16, 'r');
  const Sent repeat = accept(store(), again).value();
  EXPECT_TRUE(repeat.duplicate);
  EXPECT_EQ(repeat.conversation, first.conversation);
  EXPECT_EQ(repeat.seq, first.seq);
  EXPECT_EQ(repeat.offset, first.offset);
  EXPECT_EQ(repeat.time, first.time);
  EXPECT_TRUE(repeat.deliveries.empty());
  EXPECT_EQ(whole_inbox(store(), "bob").size(), 2u);
}

TEST_P(MessageConformance, TheSameIdWithOtherContentIsAConflict) {
  sign_in(store(), {"ann", "bob"});
  send(text("ann", {"bob"}, "m1"));
  Send other = text("ann", {"bob"}, "m1");
  other.digest = std::string(32, 'o');
  EXPECT_EQ(refusal(other), ErrorCode::kIdempotencyConflict);
}

TEST_P(MessageConformance, AnUnknownRecipientIsNamedAndNothingIsWritten) {
  sign_in(store(), {"ann", "bob"});
  const Sent sent = accept(store(), text("ann", {"bob", "eve", "dan"}, "m1")).value();
  ASSERT_TRUE(sent.refused);
  EXPECT_EQ(sent.refused->code, ErrorCode::kUnknownTarget);
  EXPECT_EQ(sent.refused->users, people({"dan", "eve"}));
  EXPECT_TRUE(whole_inbox(store(), "bob").empty());
  EXPECT_TRUE(whole_inbox(store(), "ann").empty());
  // The id is free: once the others are there, the message goes through.
  sign_in(store(), {"dan", "eve"});
  EXPECT_FALSE(send(text("ann", {"bob", "eve", "dan"}, "m1")).duplicate);
}

TEST_P(MessageConformance, AnInboxThatWasOpenedTakesMessagesBeforeTheFirstSignIn) {
  sign_in(store(), {"ann"});
  const std::vector<UserKey> users = {user("new"), user("ann")};
  ASSERT_TRUE(succeeded(messages().open_inboxes(users, at(1))));
  send(text("ann", {"new"}, "m1"));
  const Attached attached = attach("new", "phone");
  EXPECT_EQ(attached.top, 1);
  EXPECT_EQ(attached.from, 0);
}

TEST_P(MessageConformance, OnlyALiveInstanceSends) {
  sign_in(store(), {"ann", "bob"});
  const Instance instance = sample_instance("one");
  ASSERT_TRUE(succeeded(store().instances().create_instance(instance, 10)));
  Send one = text("ann", {"bob"}, "m1");
  one.instance = instance.id;
  send(one);
  ASSERT_TRUE(store().instances().end_instance(instance.id).value());
  Send two = text("ann", {"bob"}, "m2");
  two.instance = instance.id;
  EXPECT_EQ(refusal(two), ErrorCode::kRevoked);
  EXPECT_EQ(whole_inbox(store(), "bob").size(), 1u);
}

TEST_P(MessageConformance, ApplicationsDoNotMeet) {
  sign_in(store(), {"ann", "bob"});
  const Sent sent = send(text("ann", {"bob"}, "m1"));
  Send foreign = text("ann", {"bob"}, "m1");
  foreign.sender.application = "other";
  EXPECT_EQ(refusal(foreign), ErrorCode::kUnknownTarget);
  Send named = text_to("ann", sent.conversation, "m2");
  named.sender.application = "other";
  EXPECT_EQ(refusal(named), ErrorCode::kUnknownTarget);
  EXPECT_NE(direct_conversation_id("other", people({"ann", "bob"})), sent.conversation);
}

TEST_P(MessageConformance, TypesOfIdentitiesDoNotMeet) {
  sign_in(store(), {"ann"});
  UserKey mail{"application", Identity{IdentityType::kEmail, "bob"}};
  ASSERT_TRUE(succeeded(messages().open_inboxes(std::vector<UserKey>{mail}, at(0))));
  EXPECT_EQ(refusal(text("ann", {"bob"}, "m1")), ErrorCode::kUnknownTarget);
}

TEST_P(MessageConformance, AFullInboxRefusesTheSender) {
  sign_in(store(), {"ann", "bob", "cy"});
  Send one = text("ann", {"bob"}, "m1");
  one.limits.inbox_entries = 2;
  send(one);
  one = text("cy", {"bob"}, "m1");
  one.limits.inbox_entries = 2;
  send(one);
  one = text("ann", {"bob", "cy"}, "m2");
  one.limits.inbox_entries = 2;
  const Sent sent = accept(store(), one).value();
  ASSERT_TRUE(sent.refused);
  EXPECT_EQ(sent.refused->code, ErrorCode::kRecipientLimit);
  EXPECT_EQ(sent.refused->users, people({"bob"}));
  one.limits.inbox_entries = 3;
  send(one);
}

TEST_P(MessageConformance, ASendersShareAndTheBytesAreLimited) {
  sign_in(store(), {"ann", "bob", "cy"});
  Send one = text("ann", {"bob"}, "m1");
  one.limits.sender_entries = 1;
  send(one);
  one = text("ann", {"bob"}, "m2");
  one.limits.sender_entries = 1;
  EXPECT_EQ(refusal(one), ErrorCode::kRecipientLimit);
  one = text("cy", {"bob"}, "m1");
  one.limits.sender_entries = 1;
  send(one);
  one = text("cy", {"bob"}, "m2");
  one.limits.inbox_bytes = 3 * one.body.size() - 1;
  EXPECT_EQ(refusal(one), ErrorCode::kRecipientLimit);
  ++one.limits.inbox_bytes;
  send(one);
}

TEST_P(MessageConformance, WhoNeverSignedInHasASmallInbox) {
  sign_in(store(), {"ann", "bob"});
  ASSERT_TRUE(succeeded(messages().open_inboxes(std::vector<UserKey>{user("new")}, at(0))));
  const auto limited = [](Send send) {
    send.limits.new_inbox_entries = 3;
    send.limits.new_sender_entries = 2;
    return send;
  };
  send(limited(text("ann", {"new"}, "m1")));
  send(limited(text("ann", {"new"}, "m2")));
  EXPECT_EQ(refusal(limited(text("ann", {"new"}, "m3"))), ErrorCode::kRecipientLimit);
  send(limited(text("bob", {"new"}, "m1")));
  EXPECT_EQ(refusal(limited(text("bob", {"new"}, "m2"))), ErrorCode::kRecipientLimit);
  attach("new", "phone");
  send(limited(text("ann", {"new"}, "m3")));
}

TEST_P(MessageConformance, ABlockRefusesInAConversationOfTwoAndHidesInLargerOnes) {
  sign_in(store(), {"ann", "bob", "cy"});
  EXPECT_TRUE(messages().set_blocked(user("bob"), person("ann"), true, 10, at(1)).value());
  EXPECT_FALSE(messages().set_blocked(user("bob"), person("ann"), true, 10, at(2)).value());
  const Sent refused = accept(store(), text("ann", {"bob"}, "m1")).value();
  ASSERT_TRUE(refused.refused);
  EXPECT_EQ(refused.refused->code, ErrorCode::kBlocked);
  EXPECT_EQ(refused.refused->users, people({"bob"}));

  const Sent sent = send(text("ann", {"bob", "cy"}, "m2"));
  const std::vector<Entry> inbox = whole_inbox(store(), "bob");
  ASSERT_EQ(inbox.size(), 1u);
  EXPECT_EQ(inbox[0].kind, EntryKind::kGone);
  EXPECT_EQ(inbox[0].message.body, "");
  EXPECT_TRUE(history("bob", sent.conversation).empty());
  EXPECT_EQ(whole_inbox(store(), "cy")[0].kind, EntryKind::kMessage);
  EXPECT_TRUE(ack("bob", 1)->receipts.empty());

  EXPECT_EQ(messages().list_blocked(user("bob")).value(), people({"ann"}));
  EXPECT_TRUE(messages().set_blocked(user("bob"), person("ann"), false, 10, at(3)).value());
  EXPECT_FALSE(messages().set_blocked(user("bob"), person("ann"), false, 10, at(3)).value());
  send(text("ann", {"bob"}, "m1"));
}

TEST_P(MessageConformance, BlocksAreLimitedAndOrdered) {
  sign_in(store(), {"ann"});
  for (const char* name : {"cy", "bob"}) {
    EXPECT_TRUE(messages().set_blocked(user("ann"), person(name), true, 2, at(1)).value());
  }
  EXPECT_TRUE(failed_with(messages().set_blocked(user("ann"), person("dan"), true, 2, at(1)),
                          ErrorCode::kLimitExceeded));
  EXPECT_EQ(messages().list_blocked(user("ann")).value(), people({"bob", "cy"}));
}

TEST_P(MessageConformance, CallbacksOfManySendsAllCome) {
  sign_in(store(), {"ann", "bob"});
  constexpr int kCount = 300;
  std::vector<Send> sends;
  for (int i = 0; i < kCount; ++i) sends.push_back(text("ann", {"bob"}, std::to_string(i)));
  std::atomic<int> good = 0;
  std::promise<void> all;
  std::atomic<int> left = kCount;
  for (Send& one : sends) {
    messages().accept(std::move(one), [&](Result<Sent> sent) {
      if (sent.ok() && !sent->refused) ++good;
      if (--left == 0) all.set_value();
    });
  }
  all.get_future().wait();
  EXPECT_EQ(good, kCount);
  EXPECT_EQ(whole_inbox(store(), "bob").size(), static_cast<std::size_t>(kCount));
  EXPECT_EQ(faults_of_inbox(store(), "bob"), "");
}

}  // namespace
}  // namespace countersign::storage

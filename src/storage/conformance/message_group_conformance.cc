// Groups: who may do what, who reads what, and entries that a job writes later.
#include "storage/conformance/message_conformance.h"

namespace countersign::storage {
namespace {

using Action = GroupChange::Action;

std::vector<std::string> ids_of(const std::vector<Message>& messages) {
  std::vector<std::string> ids;
  for (const Message& message : messages) ids.push_back(message.id);
  return ids;
}

TEST_P(MessageConformance, AGroupIsMadeByItsFirstMessage) {
  sign_in(store(), {"ann", "bob", "cy"});
  const Sent sent = send(change("ann", "g-1", "c1", Action::kCreate, {"bob", "cy"}, "Friends"));
  EXPECT_EQ(sent.conversation, "g-1");
  EXPECT_EQ(sent.seq, 1);
  EXPECT_EQ(sent.deliveries.size(), 3u);
  for (const char* name : {"ann", "bob", "cy"}) {
    const std::vector<Entry> inbox = whole_inbox(store(), name);
    ASSERT_EQ(inbox.size(), 1u);
    EXPECT_EQ(inbox[0].kind, EntryKind::kGroup);
    EXPECT_EQ(inbox[0].message.kind, MessageKind::kGroup);
    EXPECT_EQ(inbox[0].message.body, "\"change\":{\"c1\":1}");
  }
  const Conversation seen = conversation("bob", "g-1");
  EXPECT_TRUE(seen.group);
  EXPECT_EQ(seen.name, "Friends");
  EXPECT_EQ(seen.version, 1);
  EXPECT_TRUE(seen.member);
  EXPECT_FALSE(seen.admin);
  EXPECT_EQ(seen.member_count, 3u);
  EXPECT_EQ(seen.unread, 0u);  // a change is no message of anybody
  EXPECT_TRUE(conversation("ann", "g-1").admin);
  EXPECT_EQ(refusal(change("bob", "g-1", "c1", Action::kCreate, {"ann"}, "x")),
            ErrorCode::kBadState);
}

TEST_P(MessageConformance, MembersReadFromTheirJoiningToTheirLeaving) {
  sign_in(store(), {"ann", "bob", "cy"});
  const std::string group = make_group("1", "ann", {"bob"});
  send(text_to("ann", group, "before"));
  send(change("ann", group, "add", Action::kAdd, {"cy"}));
  send(text_to("bob", group, "while"));
  send(change("ann", group, "remove", Action::kRemove, {"cy"}));
  send(text_to("bob", group, "after"));
  EXPECT_EQ(ids_of(history("cy", group)), (std::vector<std::string>{"remove", "while", "add"}));
  EXPECT_EQ(whole_inbox(store(), "cy").size(), 3u);
  const Conversation left = conversation("cy", group);
  EXPECT_FALSE(left.member);
  EXPECT_EQ(left.top, 5);
  EXPECT_EQ(left.last->id, "remove");
  EXPECT_EQ(left.version, 3);
  EXPECT_EQ(refusal(text_to("cy", group, "no")), ErrorCode::kPermissionDenied);

  send(change("ann", group, "again", Action::kAdd, {"cy"}));
  EXPECT_EQ(ids_of(history("cy", group)),
            (std::vector<std::string>{"again", "remove", "while", "add"}));
  EXPECT_EQ(ids_of(history("bob", group)).size(), 7u);
  EXPECT_EQ(conversation("bob", group).member_count, 3u);
}

TEST_P(MessageConformance, OnlyTheAdminChangesAGroupAndEverybodyMayLeave) {
  sign_in(store(), {"ann", "bob", "cy", "eve"});
  const std::string group = make_group("1", "ann", {"bob", "cy"});
  EXPECT_EQ(refusal(change("bob", group, "1", Action::kAdd, {"eve"})),
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(refusal(change("bob", group, "2", Action::kRemove, {"cy"})),
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(refusal(change("bob", group, "3", Action::kRename, {}, "x")),
            ErrorCode::kPermissionDenied);
  EXPECT_EQ(refusal(change("eve", group, "4", Action::kLeave, {})), ErrorCode::kPermissionDenied);
  EXPECT_EQ(refusal(text_to("eve", group, "5")), ErrorCode::kPermissionDenied);
  EXPECT_EQ(refusal(text_to("eve", "g-none", "6")), ErrorCode::kUnknownTarget);
  EXPECT_EQ(refusal(change("ann", group, "7", Action::kAdd, {"bob"})), ErrorCode::kBadState);
  EXPECT_EQ(refusal(change("ann", group, "8", Action::kRemove, {"eve"})), ErrorCode::kBadState);
  EXPECT_EQ(refusal(change("ann", group, "9", Action::kRename, {}, "1")), ErrorCode::kBadState);
  EXPECT_EQ(refusal(change("ann", group, "a", Action::kAdd, {"who"})), ErrorCode::kUnknownTarget);
  EXPECT_EQ(conversation("ann", group).top, 1);

  send(change("ann", group, "b", Action::kRename, {}, "Better"));
  EXPECT_EQ(conversation("cy", group).name, "Better");
  send(change("bob", group, "c", Action::kLeave, {}));
  EXPECT_FALSE(conversation("bob", group).member);
  EXPECT_EQ(conversation("ann", group).member_count, 2u);
  EXPECT_EQ(whole_inbox(store(), "bob").back().message.id, "c");
}

TEST_P(MessageConformance, AnEmptyGroupStaysForThoseWhoLeft) {
  sign_in(store(), {"ann", "bob"});
  const std::string group = make_group("1", "ann", {"bob"});
  send(change("bob", group, "b", Action::kLeave, {}));
  send(change("ann", group, "a", Action::kLeave, {}));
  EXPECT_EQ(ids_of(history("ann", group)), (std::vector<std::string>{"a", "b", "create 1"}));
  EXPECT_EQ(conversation("ann", group).member_count, 0u);
}

TEST_P(MessageConformance, AGroupHasALargestSize) {
  sign_in(store(), {"ann", "bob", "cy"});
  Send large = change("ann", "g-1", "c", Action::kCreate, {"bob", "cy"}, "x");
  large.limits.group_members = 2;
  EXPECT_EQ(refusal(large), ErrorCode::kLimitExceeded);
  EXPECT_TRUE(whole_inbox(store(), "bob").empty());
}

TEST_P(MessageConformance, FullMembersAreLeftOutAndFindTheMessageInTheHistory) {
  sign_in(store(), {"ann", "bob", "cy"});
  const std::string group = make_group("1", "ann", {"bob", "cy"});
  Send one = text_to("ann", group, "m1");
  one.limits.sender_entries = 1;  // each has the change by Ann already
  const Sent sent = send(one);
  EXPECT_EQ(sent.left_out, people({"bob", "cy"}));
  EXPECT_EQ(history("bob", group).size(), 2u);
  EXPECT_EQ(whole_inbox(store(), "bob").size(), 1u);
}

TEST_P(MessageConformance, BlockersInAGroupGetATombstone) {
  sign_in(store(), {"ann", "bob", "cy"});
  const std::string group = make_group("1", "ann", {"bob", "cy"});
  ASSERT_TRUE(messages().set_blocked(user("bob"), person("cy"), true, 10, at(1)).value());
  send(text_to("cy", group, "m1"));
  const std::vector<Entry> inbox = whole_inbox(store(), "bob");
  ASSERT_EQ(inbox.size(), 2u);
  EXPECT_EQ(inbox[1].kind, EntryKind::kGone);
  EXPECT_EQ(inbox[1].message.seq, 2);
  EXPECT_EQ(conversation("bob", group).unread, 0u);
  EXPECT_EQ(ids_of(history("bob", group)), (std::vector<std::string>{"create 1"}));
}

TEST_P(MessageConformance, ReceiptsInAGroupGoToThoseWhoWrote) {
  sign_in(store(), {"ann", "bob", "cy", "dan"});
  const std::string group = make_group("1", "ann", {"bob", "cy", "dan"});
  send(text_to("ann", group, "m1"));
  const Sent sent = send(text_to("bob", group, "m1"));
  const Acked acked = ack("cy", 3).value();
  ASSERT_EQ(acked.receipts.size(), 1u);
  EXPECT_TRUE(acked.receipts[0].group);
  EXPECT_EQ(acked.receipts[0].horizon.delivered, 3);
  EXPECT_EQ(acked.receipts[0].audience, people({"ann", "bob"}));
  EXPECT_TRUE(messages().mark_read(user("dan"), group, sent.seq, at(1)).value());

  const std::optional<GroupCount> count = messages().count_receipts(user("bob"), group).value();
  ASSERT_TRUE(count);
  EXPECT_EQ(count->seq, 3);
  EXPECT_EQ(count->members, 3u);
  EXPECT_EQ(count->delivered, 2u);
  EXPECT_EQ(count->read, 1u);
  EXPECT_FALSE(messages().count_receipts(user("cy"), group).value());
}

TEST_P(MessageConformance, MembersComeInPagesOrderedByIdentity) {
  sign_in(store(), {"dan", "ann", "cy", "bob"});
  const std::string group = make_group("1", "ann", {"bob", "cy", "dan"});
  ASSERT_TRUE(succeeded(ack("cy", 1)));
  const auto page = messages().members(user("dan"), group, person("ann"), 2).value();
  ASSERT_EQ(page.size(), 2u);
  EXPECT_EQ(page[0].member, person("bob"));
  EXPECT_EQ(page[0].delivered, 0);
  EXPECT_EQ(page[1].member, person("cy"));
  EXPECT_EQ(page[1].delivered, 1);
  EXPECT_EQ(page[1].conversation, group);
}

/// Leaves everything but the sender's own entry to a job.
Send left_to_a_job(Send send) {
  send.limits.direct_fan_out = 1;
  return send;
}

TEST_P(MessageConformance, BeyondTheLimitAJobWritesTheEntries) {
  sign_in(store(), {"ann", "bob", "cy", "dan"});
  const std::string group = make_group("1", "ann", {"bob", "cy", "dan"});
  const Sent sent = send(left_to_a_job(text_to("ann", group, "m1")));
  EXPECT_TRUE(sent.fan_out_pending);
  EXPECT_EQ(sent.deliveries.size(), 1u);
  EXPECT_EQ(whole_inbox(store(), "bob").size(), 1u);
  EXPECT_EQ(history("bob", group).size(), 2u);
  reopen();

  std::vector<Delivery> deliveries;
  for (;;) {
    const std::optional<FanOut> step = messages().fan_out(2).value();
    if (!step) break;
    EXPECT_LE(step->deliveries.size(), 2u);
    EXPECT_EQ(step->application, "application");
    EXPECT_EQ(step->message.id, "m1");
    EXPECT_EQ(step->message.body, "\"text\":\"m1\"");
    for (const Delivery& one : step->deliveries) deliveries.push_back(one);
  }
  ASSERT_EQ(deliveries.size(), 3u);
  for (const Delivery& one : deliveries) {
    EXPECT_EQ(one.kind, EntryKind::kMessage);
    EXPECT_EQ(one.offset, 2);
    EXPECT_EQ(one.chain, whole_inbox(store(), one.user.endpoint)[1].chain);
  }
  EXPECT_FALSE(send(text_to("ann", group, "m2")).fan_out_pending);
}

TEST_P(MessageConformance, NothingOvertakesAJob) {
  sign_in(store(), {"ann", "bob", "cy", "dan"});
  const std::string group = make_group("1", "ann", {"bob", "cy", "dan"});
  send(left_to_a_job(text_to("ann", group, "m1")));
  EXPECT_TRUE(send(text_to("bob", group, "m2")).fan_out_pending);
  // Bob's own entry comes after the one that the job still owed him.
  const std::vector<Entry> inbox = whole_inbox(store(), "bob");
  ASSERT_EQ(inbox.size(), 3u);
  EXPECT_EQ(inbox[1].message.id, "m1");
  EXPECT_EQ(inbox[1].kind, EntryKind::kMessage);
  EXPECT_EQ(inbox[2].message.id, "m2");
  EXPECT_EQ(inbox[2].kind, EntryKind::kSent);
  send(text_to("ann", group, "m3"));
  EXPECT_GT(finish_jobs(store(), 2), 3u);
  for (const char* name : {"ann", "bob", "cy", "dan"}) {
    EXPECT_EQ(faults_of_inbox(store(), name), "");
    EXPECT_EQ(whole_inbox(store(), name).size(), 4u) << name;
  }
}

TEST_P(MessageConformance, AJobReachesThoseWhoWereMembersAtItsMessage) {
  sign_in(store(), {"ann", "bob", "cy", "dan", "eve"});
  const std::string group = make_group("1", "ann", {"bob", "cy", "dan"});
  send(left_to_a_job(text_to("ann", group, "m1")));
  send(change("ann", group, "r", Action::kRemove, {"dan"}));
  send(change("bob", group, "l", Action::kLeave, {}));
  send(change("ann", group, "a", Action::kAdd, {"eve"}));
  send(text_to("ann", group, "m2"));
  finish_jobs(store());
  const auto last = [&](const char* name) { return whole_inbox(store(), name).back().message.id; };
  EXPECT_EQ(last("dan"), "r");
  EXPECT_EQ(last("bob"), "l");
  EXPECT_EQ(last("cy"), "m2");
  EXPECT_EQ(whole_inbox(store(), "dan").size(), 3u);
  EXPECT_EQ(whole_inbox(store(), "eve").size(), 2u);
  EXPECT_EQ(whole_inbox(store(), "cy").size(), 6u);
  for (const char* name : {"ann", "bob", "cy", "dan", "eve"}) {
    EXPECT_EQ(faults_of_inbox(store(), name), "");
  }
}

TEST_P(MessageConformance, AJobLeavesOutWhoWasFullAtAcceptanceAndHidesFromBlockers) {
  sign_in(store(), {"ann", "bob", "cy", "dan", "eve"});
  const std::string group = make_group("1", "ann", {"bob", "cy", "dan", "eve"});
  send(text("eve", {"bob"}, "fill"));
  ASSERT_TRUE(messages().set_blocked(user("cy"), person("dan"), true, 10, at(1)).value());
  Send one = left_to_a_job(text_to("dan", group, "m1"));
  one.limits.inbox_entries = 2;
  const Sent sent = send(one);
  EXPECT_EQ(sent.left_out, people({"bob", "eve"}));
  EXPECT_TRUE(sent.fan_out_pending);
  finish_jobs(store());
  EXPECT_EQ(whole_inbox(store(), "bob").size(), 2u);
  EXPECT_EQ(whole_inbox(store(), "cy").back().kind, EntryKind::kGone);
  EXPECT_EQ(whole_inbox(store(), "ann").back().kind, EntryKind::kMessage);
}

TEST_P(MessageConformance, TooManyJobsOfAConversationHoldItsSendersBack) {
  sign_in(store(), {"ann", "bob", "cy"});
  const std::string group = make_group("1", "ann", {"bob", "cy"});
  Result<Sent> last = accept(store(), left_to_a_job(text_to("ann", group, "first")));
  int accepted = 0;
  for (; last.ok() && accepted < 1000; ++accepted) {
    last = accept(store(), text_to("ann", group, std::to_string(accepted)));
  }
  EXPECT_TRUE(failed_with(last, ErrorCode::kOverloaded));
  finish_jobs(store());
  EXPECT_EQ(faults_of_inbox(store(), "bob"), "");
  EXPECT_TRUE(succeeded(accept(store(), text_to("ann", group, "later"))));
}

}  // namespace
}  // namespace countersign::storage

// What goes: expired messages, old entries, devices and dedupe rows, and a user's data.
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "storage/conformance/message_conformance.h"

namespace countersign::storage {
namespace {

using std::chrono::days;

Send at_time(Send send, SystemTime now) {
  send.now = now;
  return send;
}

TEST_P(MessageConformance, AnExpiredMessageLosesItsBodyAndItsSenderIsTold) {
  sign_in(store(), {"ann", "bob", "cy"});
  Send one = text("ann", {"bob", "cy"}, "m1");
  one.expires = at(300);
  const Sent sent = send(one);
  ASSERT_TRUE(succeeded(ack("bob", 1)));
  EXPECT_EQ(messages().expire(at(299), 10)->found, 0u);
  const Expiry expiry = messages().expire(at(301), 10).value();
  EXPECT_EQ(expiry.found, 1u);
  const std::vector<Expired>& expired = expiry.notices;
  ASSERT_EQ(expired.size(), 1u);
  EXPECT_EQ(expired[0].sender, user("ann"));
  EXPECT_EQ(expired[0].entry.kind, EntryKind::kFailed);
  EXPECT_EQ(expired[0].entry.failed, ErrorCode::kMessageExpired);
  EXPECT_EQ(expired[0].entry.failed_user, person("cy"));
  EXPECT_EQ(expired[0].entry.message.id, "m1");
  EXPECT_EQ(messages().expire(at(400), 10)->found, 0u);

  const std::vector<Entry> inbox = whole_inbox(store(), "ann");
  ASSERT_EQ(inbox.size(), 2u);
  EXPECT_EQ(inbox[0].kind, EntryKind::kGone);
  EXPECT_EQ(inbox[1].offset, expired[0].entry.offset);
  EXPECT_EQ(inbox[1].chain, expired[0].entry.chain);
  EXPECT_EQ(inbox[1].kind, EntryKind::kFailed);
  EXPECT_EQ(inbox[1].failed_user, person("cy"));
  EXPECT_EQ(inbox[1].failed, ErrorCode::kMessageExpired);
  EXPECT_EQ(inbox[1].message.seq, sent.seq);
  EXPECT_EQ(whole_inbox(store(), "cy")[0].kind, EntryKind::kGone);
  EXPECT_EQ(whole_inbox(store(), "cy")[0].message.body, "");
  const std::vector<Message> seen = history("cy", sent.conversation);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_TRUE(seen[0].gone);
  EXPECT_EQ(seen[0].body, "");
  EXPECT_EQ(faults_of_inbox(store(), "ann") + faults_of_inbox(store(), "cy"), "");
  EXPECT_TRUE(ack("cy", 1)->receipts.empty());
  EXPECT_TRUE(ack("ann", 2)->receipts.empty());
}

TEST_P(MessageConformance, OfAGroupNobodyIsReportedAndExpiryIsLimited) {
  sign_in(store(), {"ann", "bob"});
  const std::string group = make_group("1", "ann", {"bob"});
  for (const char* id : {"m1", "m2", "m3"}) {
    Send one = text_to("ann", group, id);
    one.expires = at(300);
    send(one);
  }
  const auto gone = [&] {
    int count = 0;
    for (const Message& message : history("bob", group)) count += message.gone ? 1 : 0;
    return count;
  };
  Expiry expiry = messages().expire(at(301), 2).value();
  EXPECT_EQ(expiry.found, 2u);
  EXPECT_TRUE(expiry.notices.empty());
  EXPECT_EQ(gone(), 2);
  expiry = messages().expire(at(301), 2).value();
  EXPECT_EQ(expiry.found, 1u);
  EXPECT_TRUE(expiry.notices.empty());
  EXPECT_EQ(gone(), 3);
}

TEST_P(MessageConformance, OldEntriesGoFromTheFrontAndTheFloorMoves) {
  sign_in(store(), {"ann", "bob"});
  for (int i = 0; i < 4; ++i)
    send(at_time(text("ann", {"bob"}, std::to_string(i)), at(i * 100 - 400)));
  ASSERT_TRUE(succeeded(ack("bob", 1)));
  const Position second = position("bob", 2);
  const Position first = position("bob", 1);
  EXPECT_EQ(remove_old(store(), at(-200), 3), 3u);
  EXPECT_EQ(remove_old(store(), at(-200)), 1u);
  EXPECT_EQ(remove_old(store(), at(-200)), 0u);
  const InboxPage page = messages().read_inbox(user("bob"), 2, 100, kManyBytes).value();
  EXPECT_EQ(page.floor, 2);
  EXPECT_EQ(page.top, 4);
  ASSERT_EQ(page.entries.size(), 2u);
  EXPECT_EQ(page.entries[0].offset, 3);
  EXPECT_TRUE(messages().read_inbox(user("bob"), 1, 100, kManyBytes)->entries.empty());
  // Of what Bob had not got, the place is left.
  const std::vector<Message> left = history("bob", page.entries[0].message.conversation);
  ASSERT_EQ(left.size(), 3u);
  EXPECT_TRUE(left[2].gone);

  EXPECT_EQ(attach("bob", "phone", second).reason, Attached::Reason::kNone);
  const Attached old = attach("bob", "phone", first);
  EXPECT_EQ(old.reason, Attached::Reason::kFloor);
  EXPECT_EQ(old.cursor, 2);
  EXPECT_EQ(old.from, 2);
  EXPECT_EQ(old.from_chain, second.chain);
}

TEST_P(MessageConformance, ACursorBelowTheFloorIsToldOnce) {
  sign_in(store(), {"ann", "bob"});
  send(at_time(text("ann", {"bob"}, "m1"), at(-10)));
  EXPECT_EQ(remove_old(store(), at(0)), 2u);
  EXPECT_EQ(attach("bob", "phone").reason, Attached::Reason::kFloor);
  EXPECT_EQ(attach("bob", "phone").reason, Attached::Reason::kNone);
  EXPECT_EQ(attach("bob", "laptop").from, 1);
}

// What a device was away for too long for has not been delivered to anybody.
TEST_P(MessageConformance, AResetMovesTheCursorWithoutReceipts) {
  sign_in(store(), {"ann", "bob"});
  const std::string group = "g-1";
  send(at_time(change("ann", group, "create", GroupChange::Action::kCreate, {"bob"}, "Friends"),
               at(-30)));
  const std::string direct = send(at_time(text("ann", {"bob"}, "m1"), at(-20))).conversation;
  send(at_time(text_to("ann", group, "m2"), at(-10)));
  send(text("ann", {"bob"}, "m3"));
  const auto delivered = [&](const std::string& conversation) {
    const std::vector<Horizon> members =
        messages().members(user("ann"), conversation, std::nullopt, 10).value();
    for (const Horizon& horizon : members) {
      if (horizon.member == person("bob")) return horizon.delivered;
    }
    return std::int64_t{-1};
  };
  const std::int64_t before = delivered(group);
  EXPECT_LT(before, 2);
  EXPECT_EQ(delivered(direct), 0);
  ASSERT_EQ(remove_old(store(), at(0)), 6u);

  const Attached reset = attach("bob", "phone");
  EXPECT_EQ(reset.reason, Attached::Reason::kFloor);
  EXPECT_EQ(reset.cursor, 3);
  EXPECT_TRUE(ack("bob", 3)->receipts.empty());
  EXPECT_EQ(delivered(group), before);
  EXPECT_EQ(delivered(direct), 0);
  const Acked acked = ack("bob", 4).value();
  ASSERT_EQ(acked.receipts.size(), 1u);
  EXPECT_EQ(acked.receipts[0].horizon.conversation, direct);
  EXPECT_EQ(acked.receipts[0].horizon.delivered, 2);
  EXPECT_EQ(delivered(group), before);
}

TEST_P(MessageConformance, WhatGoesBeforeSomebodyGotItHasFailedForThem) {
  sign_in(store(), {"ann", "bob", "cy"});
  const std::string group = "g-1";
  send(at_time(change("ann", group, "create", GroupChange::Action::kCreate, {"bob", "cy"}, "x"),
               at(-40)));
  send(at_time(text_to("ann", group, "of a group"), at(-35)));
  const Sent both = send(at_time(text("ann", {"bob", "cy"}, "m1"), at(-30)));
  const std::string direct = send(at_time(text("ann", {"bob"}, "m2"), at(-20))).conversation;
  send(at_time(text("bob", {"ann"}, "m3"), at(-10)));
  send(at_time(text("ann", {"bob"}, "m4"), at(10)));
  ASSERT_TRUE(succeeded(ack("bob", 3)));  // up to m1

  const Removal removal = messages().remove_old(at(0), at(500), 100).value();
  std::vector<std::string> told;
  for (const Expired& one : removal.notices) {
    EXPECT_EQ(one.entry.kind, EntryKind::kFailed);
    EXPECT_EQ(one.entry.failed, ErrorCode::kMessageExpired);
    EXPECT_EQ(one.entry.message.body, "");
    told.push_back(one.sender.identity.endpoint + ": " + one.entry.message.id + " not to " +
                   one.entry.failed_user.endpoint);
  }
  std::ranges::sort(told);
  EXPECT_EQ(told, (std::vector<std::string>{"ann: m1 not to cy", "ann: m2 not to bob",
                                            "bob: m3 not to ann"}));
  EXPECT_TRUE(messages().remove_old(at(0), at(500), 100)->notices.empty());

  const std::vector<Entry> inbox = whole_inbox(store(), "ann");
  ASSERT_EQ(inbox.size(), 3u);
  EXPECT_EQ(inbox[0].message.id, "m4");
  for (std::size_t i = 1; i < 3; ++i) {
    EXPECT_EQ(inbox[i].kind, EntryKind::kFailed);
    const auto notice = std::ranges::find_if(removal.notices, [&](const Expired& one) {
      return one.sender == user("ann") && one.entry.offset == inbox[i].offset;
    });
    ASSERT_NE(notice, removal.notices.end());
    EXPECT_EQ(notice->entry.chain, inbox[i].chain);
    EXPECT_EQ(notice->entry.message.id, inbox[i].message.id);
  }
  for (const char* name : {"ann", "bob", "cy"}) EXPECT_EQ(faults_of_inbox(store(), name), "");

  // Their places stay until the notices go; nothing of what stood there does.
  for (const Message& message : history("cy", both.conversation)) EXPECT_TRUE(message.gone);
  const std::vector<Message> left = history("bob", direct);
  ASSERT_EQ(left.size(), 3u);
  EXPECT_FALSE(left[0].gone);
  EXPECT_TRUE(left[1].gone && left[2].gone);
  EXPECT_EQ(remove_old(store(), at(501)), 2u + 3u + 3u);  // m4 twice, the notices, the devices
  EXPECT_TRUE(history("cy", both.conversation).empty());
}

// A backend that sends and never signs in reads no inbox.
TEST_P(MessageConformance, ASenderWhoNeverSignedInIsNotToldWhatFailed) {
  sign_in(store(), {"bob"});
  Send soon = at_time(text("backend", {"bob"}, "m1"), at(-20));
  soon.expires = at(-15);
  send(std::move(soon));
  send(at_time(text("backend", {"bob"}, "m2"), at(-10)));
  const Expiry expiry = messages().expire(at(-5), 10).value();
  EXPECT_EQ(expiry.found, 1u);
  EXPECT_TRUE(expiry.notices.empty());
  EXPECT_EQ(whole_inbox(store(), "bob")[0].message.body, "");
  const Removal removal = messages().remove_old(at(0), at(500), 100).value();
  EXPECT_GE(removal.removed, 4u);
  EXPECT_TRUE(removal.notices.empty());
  EXPECT_TRUE(whole_inbox(store(), "backend").empty());
}

TEST_P(MessageConformance, APortionOfRetentionTellsOnlyOfWhatItTakes) {
  sign_in(store(), {"ann", "bob"});
  for (int i = 0; i < 3; ++i) send(at_time(text("ann", {"bob"}, std::to_string(i)), at(i - 50)));
  send(at_time(text("ann", {"bob"}, "stays"), at(10)));
  std::vector<std::string> told;
  std::size_t taken = 0;
  for (std::size_t removed = 1; removed > 0; taken += removed) {
    const Removal removal = messages().remove_old(at(0), at(500), 1).value();
    for (const Expired& one : removal.notices) told.push_back(one.entry.message.id);
    removed = removal.removed;
    EXPECT_LE(removed, 1u);
    EXPECT_LE(removal.notices.size(), removed);
  }
  EXPECT_EQ(taken, 6u);
  EXPECT_EQ(told, (std::vector<std::string>{"0", "1", "2"}));
  const Acked acked = ack("bob", 4).value();
  ASSERT_EQ(acked.receipts.size(), 1u);
  EXPECT_EQ(acked.receipts[0].horizon.delivered, 4);
}

TEST_P(MessageConformance, OffsetsAndSeqsGoOnAfterEverythingIsGone) {
  sign_in(store(), {"ann", "bob"});
  const Sent before = send(at_time(text("ann", {"bob"}, "m1"), at(-10)));
  const Position last = position("bob", 1);
  ASSERT_EQ(remove_old(store(), at(0)), 2u);
  EXPECT_TRUE(whole_inbox(store(), "bob").empty());
  const Sent after = send(at_time(text("ann", {"bob"}, "m2"), at(2000)));
  EXPECT_EQ(after.conversation, before.conversation);
  EXPECT_EQ(after.seq, 2);
  EXPECT_EQ(after.offset, 3);  // 2 told her that Bob did not get the first
  EXPECT_EQ(attach("bob", "phone", last).reason, Attached::Reason::kNone);
  EXPECT_EQ(whole_inbox(store(), "bob").size(), 1u);
}

TEST_P(MessageConformance, RoomComesBackWithWhatGoes) {
  sign_in(store(), {"ann", "bob"});
  const auto limited = [](const char* id, SystemTime now) {
    Send send = at_time(text("ann", {"bob"}, id), now);
    send.limits.inbox_entries = 1;
    send.limits.sender_entries = 1;
    send.limits.inbox_bytes = send.body.size();
    return send;
  };
  send(limited("m1", at(-2)));
  EXPECT_EQ(refusal(limited("m2", at(-1))), ErrorCode::kRecipientLimit);
  ASSERT_TRUE(succeeded(ack("bob", 1)));  // or Ann would be told that he had not got it
  ASSERT_EQ(remove_old(store(), at(-1)), 2u);
  send(limited("m2", at(-1)));
}

TEST_P(MessageConformance, DevicesNotSeenGoAndDedupeRowsThirtyDaysLater) {
  sign_in(store(), {"ann", "bob"});
  send(at_time(text("ann", {"bob"}, "m1"), at(0)));
  ASSERT_EQ(remove_old(store(), at(1)), 4u);  // two entries and two devices
  EXPECT_EQ(attach("bob", "phone").reason, Attached::Reason::kUnknownDevice);
  EXPECT_TRUE(accept(store(), text("ann", {"bob"}, "m1"))->duplicate);
  EXPECT_EQ(remove_old(store(), at(0) + days(30)), 1u);  // the device
  EXPECT_TRUE(accept(store(), text("ann", {"bob"}, "m1"))->duplicate);
  EXPECT_EQ(remove_old(store(), at(1) + days(30)), 1u);
  EXPECT_FALSE(accept(store(), text("ann", {"bob"}, "m1"))->duplicate);
}

TEST_P(MessageConformance, AnAcknowledgementShowsThatADeviceIsThere) {
  sign_in(store(), {"ann", "bob"});
  send(at_time(text("ann", {"bob"}, "m1"), at(0) + days(40)));
  ASSERT_TRUE(
      succeeded(acknowledge(store(), Ack{user("bob"), "phone", epoch(), 1, at(0) + days(40)})));
  EXPECT_EQ(remove_old(store(), at(0) + days(10)), 1u);  // Ann's device
  EXPECT_EQ(attach("bob", "phone").reason, Attached::Reason::kNone);
}

TEST_P(MessageConformance, AnExportHasWhatTheUserMayReadOrWrote) {
  sign_in(store(), {"ann", "bob", "cy"});
  send(text("ann", {"bob"}, "m1"));
  send(text("bob", {"ann"}, "m2"));
  send(text("bob", {"cy"}, "not for ann"));
  const std::string group = make_group("1", "bob", {"cy"});
  send(change("bob", group, "add", GroupChange::Action::kAdd, {"ann"}));
  for (int i = 0; i < 120; ++i) send(text_to("cy", group, "g" + std::to_string(i)));
  std::vector<std::string> ids;
  const auto take = [&](const Message& message) {
    ids.push_back(message.id);
    return true;
  };
  ASSERT_TRUE(succeeded(messages().export_messages(user("ann"), take)));
  ASSERT_EQ(ids.size(), 123u);
  EXPECT_EQ(ids[0], "m1");
  EXPECT_EQ(ids[1], "m2");
  EXPECT_EQ(ids[2], "add");
  EXPECT_EQ(ids[122], "g119");
  int taken = 0;
  const auto stop = [&](const Message&) { return ++taken < 2; };
  ASSERT_TRUE(succeeded(messages().export_messages(user("ann"), stop)));
  EXPECT_EQ(taken, 2);
  EXPECT_TRUE(failed_with(messages().export_messages(user("who"), take), ErrorCode::kAbsent));
}

TEST_P(MessageConformance, ErasingTakesEverythingTheUserWroteAndHad) {
  sign_in(store(), {"ann", "bob"});
  const Sent direct = send(text("ann", {"bob"}, "m1"));
  send(text("bob", {"ann"}, "m2"));
  const std::string group = make_group("1", "ann", {"bob"});
  send(text_to("ann", group, "m3"));
  ASSERT_TRUE(messages().set_blocked(user("ann"), person("cy"), true, 10, at(1)).value());

  std::size_t steps = 0;
  while (messages().erase(user("ann"), at(500), 2).value() > 0) ++steps;
  EXPECT_GT(steps, 2u);
  for (const Entry& entry : whole_inbox(store(), "bob")) {
    if (entry.message.sender == person("bob")) continue;
    EXPECT_EQ(entry.kind, EntryKind::kGone);
    EXPECT_EQ(entry.message.body, "");
  }
  EXPECT_EQ(faults_of_inbox(store(), "bob"), "");
  EXPECT_TRUE(whole_inbox(store(), "ann").empty());
  EXPECT_EQ(conversation("bob", group).member_count, 1u);
  EXPECT_EQ(conversation("bob", direct.conversation).members.size(), 1u);
  EXPECT_TRUE(messages().list_blocked(user("ann"))->empty());
  EXPECT_TRUE(messages().list_conversations(user("ann"), SystemTime::max(), "", 10)->empty());

  // No queued repeat brings a message back, nobody writes to her, and no offset is used again.
  EXPECT_EQ(refusal(text("bob", {"ann"}, "m4")), ErrorCode::kUnknownTarget);
  EXPECT_TRUE(accept(store(), text("ann", {"bob"}, "m1"))->duplicate);
  const Attached back = attach("ann", "phone");
  EXPECT_EQ(back.reason, Attached::Reason::kUnknownDevice);
  EXPECT_EQ(back.top, 4);
  EXPECT_EQ(back.floor, 4);
  EXPECT_EQ(back.from, 4);
  const Sent again = send(text("bob", {"ann"}, "m5"));
  EXPECT_EQ(again.conversation, direct.conversation);
  EXPECT_EQ(history("ann", direct.conversation).size(), 1u);
  EXPECT_EQ(history("bob", direct.conversation).size(), 3u);
}

TEST_P(MessageConformance, ErasingSomebodyUnknownDoesNothing) {
  EXPECT_EQ(messages().erase(user("who"), at(1), 10).value(), 0u);
}

}  // namespace
}  // namespace countersign::storage

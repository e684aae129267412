// Devices: where they begin, what a resume finds, acknowledgements and the receipts they make.
#include "storage/conformance/message_conformance.h"
#include "storage/message_ids.h"

namespace countersign::storage {
namespace {

using Reason = Attached::Reason;

TEST_P(MessageConformance, AFirstDeviceStartsAtTheFloorAndIsUnknown) {
  const Attached attached = attach("ann", "phone");
  EXPECT_EQ(attached.epoch, epoch());
  EXPECT_EQ(attached.floor, 0);
  EXPECT_EQ(attached.top, 0);
  EXPECT_EQ(attached.top_chain, first_chain());
  EXPECT_EQ(attached.cursor, 0);
  EXPECT_EQ(attached.from, 0);
  EXPECT_EQ(attached.from_chain, first_chain());
  EXPECT_EQ(attached.reason, Reason::kUnknownDevice);
  EXPECT_EQ(attach("ann", "phone").reason, Reason::kNone);
}

TEST_P(MessageConformance, AGoodPositionIsResumedThere) {
  sign_in(store(), {"ann", "bob"});
  for (int i = 0; i < 3; ++i) send(text("ann", {"bob"}, std::to_string(i)));
  const Attached attached = attach("bob", "phone", position("bob", 2));
  EXPECT_EQ(attached.reason, Reason::kNone);
  EXPECT_EQ(attached.from, 2);
  EXPECT_EQ(attached.from_chain, position("bob", 2).chain);
  EXPECT_EQ(attached.cursor, 0);
  EXPECT_EQ(attached.top, 3);
  EXPECT_EQ(attached.top_chain, position("bob", 3).chain);
  EXPECT_EQ(attach("bob", "phone", position("bob", 0)).reason, Reason::kNone);
  // Also of a device that the store has forgotten.
  EXPECT_EQ(attach("bob", "tablet", position("bob", 3)).from, 3);
}

TEST_P(MessageConformance, APositionThatTheStoreNeverHadIsToldApart) {
  sign_in(store(), {"ann", "bob"});
  for (int i = 0; i < 3; ++i) send(text("ann", {"bob"}, std::to_string(i)));
  ASSERT_TRUE(succeeded(ack("bob", 1)));
  Position other_chain = position("bob", 2);
  other_chain.chain = "differs!";
  Position other_epoch = position("bob", 2);
  other_epoch.epoch = "another";
  Position future = position("bob", 3);
  future.offset = 4;
  for (const Position& bad : {other_chain, other_epoch, future}) {
    const Attached attached = attach("bob", "phone", bad);
    EXPECT_EQ(attached.reason, Reason::kEpoch);
    EXPECT_EQ(attached.from, 1);  // the cursor
    EXPECT_EQ(attached.from_chain, position("bob", 1).chain);
  }
}

TEST_P(MessageConformance, ANewEpochIsToldToEveryDeviceOnce) {
  sign_in(store(), {"ann", "bob"});
  send(text("ann", {"bob"}, "m1"));
  ASSERT_TRUE(succeeded(ack("bob", 1)));
  const Position before = position("bob", 1);
  ASSERT_TRUE(succeeded(messages().renew_epoch("after the restore")));
  // A store may add what tells one server from another.
  const std::string renewed = epoch();
  EXPECT_EQ(renewed.rfind("after the restore", 0), 0u) << renewed;
  EXPECT_EQ(attach("bob", "phone", before).reason, Reason::kEpoch);
  const Attached without_note = attach("ann", "phone");
  EXPECT_EQ(without_note.reason, Reason::kEpoch);
  EXPECT_EQ(without_note.epoch, renewed);
  const Attached again = attach("bob", "phone");
  EXPECT_EQ(again.reason, Reason::kNone);
  EXPECT_EQ(again.cursor, 1);
  reopen();
  EXPECT_EQ(epoch(), renewed);
  EXPECT_TRUE(failed_with(acknowledge(store(), Ack{user("bob"), "phone", before.epoch, 1, at(1)}),
                          ErrorCode::kUnrecoverablePosition));
}

TEST_P(MessageConformance, ALaterDeviceStartsAtTheLowestCursor) {
  sign_in(store(), {"ann", "bob"});
  for (int i = 0; i < 4; ++i) send(text("ann", {"bob"}, std::to_string(i)));
  ASSERT_TRUE(succeeded(ack("bob", 3)));
  attach("bob", "laptop");
  ASSERT_TRUE(succeeded(ack("bob", 4, "laptop")));
  const Attached third = attach("bob", "tablet");
  EXPECT_EQ(third.reason, Reason::kUnknownDevice);
  EXPECT_EQ(third.from, 3);
}

TEST_P(MessageConformance, TheDeviceLongestAwayGoesWhenThereAreTooMany) {
  Attach one;
  one.user = user("ann");
  one.max_devices = 2;
  for (int i = 0; i < 3; ++i) {
    one.device = std::to_string(i);
    one.now = at(i * 10000);
    ASSERT_TRUE(succeeded(messages().attach(one)));
  }
  one.device = "1";
  EXPECT_EQ(messages().attach(one)->reason, Reason::kNone);
  one.device = "0";
  EXPECT_EQ(messages().attach(one)->reason, Reason::kUnknownDevice);
}

TEST_P(MessageConformance, PagesAreBoundedByEntriesAndBytes) {
  sign_in(store(), {"ann", "bob"});
  for (int i = 0; i < 5; ++i) send(text("ann", {"bob"}, std::to_string(i)));
  const std::size_t body = text("ann", {}, "0").body.size();
  const auto sizes = [&](std::int64_t after, std::size_t entries, std::size_t bytes) {
    return messages().read_inbox(user("bob"), after, entries, bytes)->entries.size();
  };
  EXPECT_EQ(sizes(0, 3, kManyBytes), 3u);
  EXPECT_EQ(sizes(0, 100, 2 * body), 2u);
  EXPECT_EQ(sizes(0, 100, 1), 1u);
  EXPECT_EQ(sizes(4, 100, kManyBytes), 1u);
  EXPECT_EQ(sizes(5, 100, kManyBytes), 0u);
  EXPECT_EQ(sizes(99, 100, kManyBytes), 0u);
  const InboxPage page = messages().read_inbox(user("bob"), 2, 1, kManyBytes).value();
  EXPECT_EQ(page.epoch, epoch());
  EXPECT_EQ(page.top, 5);
  EXPECT_EQ(page.floor, 0);
  EXPECT_EQ(page.entries[0].offset, 3);
  EXPECT_EQ(messages().read_inbox(user("nobody"), 0, 10, 10)->top, 0);
}

TEST_P(MessageConformance, AnAcknowledgementMakesOneReceiptForEachConversation) {
  sign_in(store(), {"ann", "bob", "cy"});
  const Sent first = send(text("ann", {"bob"}, "m1"));
  send(text("ann", {"bob"}, "m2"));
  const Sent third = send(text("cy", {"bob"}, "m1"));
  const Acked acked = ack("bob", 3).value();
  EXPECT_EQ(acked.cursor, 3);
  ASSERT_EQ(acked.receipts.size(), 2u);
  for (const Receipt& receipt : acked.receipts) {
    const bool ann = receipt.horizon.conversation == first.conversation;
    EXPECT_TRUE(ann || receipt.horizon.conversation == third.conversation);
    EXPECT_EQ(receipt.horizon.member, person("bob"));
    EXPECT_EQ(receipt.horizon.delivered, ann ? 2 : 1);
    EXPECT_EQ(receipt.horizon.read, 0);
    EXPECT_FALSE(receipt.group);
    EXPECT_EQ(receipt.audience, people({ann ? "ann" : "cy"}));
  }
}

TEST_P(MessageConformance, CursorsNeverGoBackAndTheFirstDeviceCounts) {
  sign_in(store(), {"ann", "bob"});
  for (int i = 0; i < 3; ++i) send(text("ann", {"bob"}, std::to_string(i)));
  attach("bob", "laptop");
  EXPECT_EQ(ack("bob", 2)->receipts.size(), 1u);
  EXPECT_EQ(ack("bob", 1)->cursor, 2);
  EXPECT_TRUE(ack("bob", 2, "laptop")->receipts.empty());
  const Acked further = ack("bob", 3, "laptop").value();
  ASSERT_EQ(further.receipts.size(), 1u);
  EXPECT_EQ(further.receipts[0].horizon.delivered, 3);
  EXPECT_EQ(ack("bob", 0)->cursor, 2);
  reopen();
  EXPECT_EQ(attach("bob", "phone").cursor, 2);
  EXPECT_EQ(attach("bob", "laptop").cursor, 3);
}

TEST_P(MessageConformance, AnAcknowledgementOfWhatIsNotThereIsRefused) {
  sign_in(store(), {"ann", "bob"});
  send(text("ann", {"bob"}, "m1"));
  EXPECT_TRUE(failed_with(ack("bob", 2), ErrorCode::kUnrecoverablePosition));
  EXPECT_TRUE(failed_with(ack("bob", 1, "unknown"), ErrorCode::kAbsent));
  EXPECT_TRUE(failed_with(ack("nobody", 0), ErrorCode::kAbsent));
  EXPECT_EQ(ack("bob", 1)->cursor, 1);
}

TEST_P(MessageConformance, OwnMessagesMoveOnlyHorizonsThatHadNothingLeft) {
  sign_in(store(), {"ann", "bob"});
  const std::string id = send(text("ann", {"bob"}, "m1")).conversation;
  EXPECT_TRUE(ack("ann", 1)->receipts.empty());
  EXPECT_EQ(conversation("ann", id).read, 1);
  // Bob writes before he has got what Ann wrote: nobody may conclude that he saw it.
  send(text("bob", {"ann"}, "m1"));
  EXPECT_EQ(conversation("bob", id).read, 0);
  EXPECT_EQ(conversation("bob", id).unread, 1u);
  EXPECT_EQ(conversation("ann", id).members[1].delivered, 0);
}

TEST_P(MessageConformance, ReadingMovesBothHorizonsOnce) {
  sign_in(store(), {"ann", "bob"});
  const std::string id = send(text("ann", {"bob"}, "m1")).conversation;
  send(text("ann", {"bob"}, "m2"));
  const auto read = [&](std::int64_t seq) {
    return messages().mark_read(user("bob"), id, seq, at(1));
  };
  const std::optional<Receipt> one = read(1).value();
  ASSERT_TRUE(one);
  EXPECT_EQ(one->horizon.read, 1);
  EXPECT_EQ(one->horizon.delivered, 1);
  EXPECT_EQ(one->audience, people({"ann"}));
  EXPECT_FALSE(read(1).value());
  EXPECT_FALSE(read(0).value());
  EXPECT_EQ(read(99).value()->horizon.read, 2);
  EXPECT_TRUE(ack("bob", 2)->receipts.empty());
  EXPECT_TRUE(
      failed_with(messages().mark_read(user("cy"), id, 1, at(1)), ErrorCode::kPermissionDenied));
  EXPECT_TRUE(
      failed_with(messages().mark_read(user("bob"), "c-none", 1, at(1)), ErrorCode::kAbsent));
}

TEST_P(MessageConformance, ConversationsAreListedNewestFirstWithUnreadCounts) {
  sign_in(store(), {"ann", "bob", "cy"});
  Send one = text("bob", {"ann"}, "m1");
  one.now = at(10);
  const std::string with_bob = send(one).conversation;
  one = text("cy", {"ann"}, "m1");
  one.now = at(20);
  const std::string with_cy = send(one).conversation;
  one = text("cy", {"ann"}, "m2");
  one.now = at(30);
  send(one);
  const std::vector<Conversation> all =
      messages().list_conversations(user("ann"), SystemTime::max(), "", 10).value();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].id, with_cy);
  EXPECT_EQ(all[0].unread, 2u);
  EXPECT_EQ(all[0].top, 2);
  EXPECT_EQ(all[0].last->id, "m2");
  EXPECT_EQ(all[0].last_time, at(30));
  EXPECT_FALSE(all[0].group);
  EXPECT_EQ(all[1].id, with_bob);
  EXPECT_EQ(all[1].member_count, 2u);
  EXPECT_EQ(all[1].members[0].member, person("ann"));
  const auto rest = messages().list_conversations(user("ann"), at(30), with_cy, 10).value();
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest[0].id, with_bob);
  EXPECT_TRUE(messages().list_conversations(user("who"), SystemTime::max(), "", 10)->empty());
}

TEST_P(MessageConformance, HistoryIsNewestFirstAndForMembersOnly) {
  sign_in(store(), {"ann", "bob", "eve"});
  const std::string id = send(text("ann", {"bob"}, "m1")).conversation;
  send(text("bob", {"ann"}, "m2"));
  send(text("ann", {"bob"}, "m3"));
  const std::vector<Message> page = messages().history(user("bob"), id, 3, 1).value();
  ASSERT_EQ(page.size(), 1u);
  EXPECT_EQ(page[0].id, "m2");
  EXPECT_EQ(page[0].seq, 2);
  EXPECT_EQ(history("ann", id).size(), 3u);
  EXPECT_TRUE(failed_with(messages().history(user("eve"), id, 3, 1), ErrorCode::kPermissionDenied));
  EXPECT_TRUE(failed_with(messages().history(user("eve"), "c-none", 3, 1), ErrorCode::kAbsent));
  EXPECT_TRUE(
      failed_with(messages().find_conversation(user("eve"), id), ErrorCode::kPermissionDenied));
}

TEST_P(MessageConformance, PeopleWhoShareAConversationAreKnown) {
  sign_in(store(), {"ann", "bob", "cy"});
  send(text("ann", {"bob"}, "m1"));
  EXPECT_EQ(messages().share_conversation(user("ann"), people({"cy", "bob", "who"})).value(),
            (std::vector<bool>{false, true, false}));
}

}  // namespace
}  // namespace countersign::storage

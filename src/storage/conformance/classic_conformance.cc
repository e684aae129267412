// What every ClassicStore must do.
#include "storage/conformance/classic_conformance.h"

#include <atomic>
#include <thread>

namespace countersign::storage {
namespace {

constexpr const char* kApplication = "application";

ClassicTransport transport(const std::string& id, const std::vector<std::string>& members,
                           std::int64_t now = 100) {
  return {kApplication, id, "c-" + id, people(members), at(now)};
}

TEST_P(ClassicConformance, ATransportIsFoundByItsIdInItsApplicationAlone) {
  const ClassicTransport made = transport("t1", {"ann", "bob", "cleo"});
  ASSERT_TRUE(succeeded(classic().put_transport(made)));
  reopen();
  const auto found = classic().find_transport(kApplication, "t1").value();
  ASSERT_TRUE(found);
  EXPECT_EQ(*found, made);
  EXPECT_FALSE(classic().find_transport("other", "t1").value());
  EXPECT_FALSE(classic().find_transport(kApplication, "t2").value());
}

TEST_P(ClassicConformance, AskingAgainForATransportKeepsIt) {
  ASSERT_TRUE(succeeded(classic().put_transport(transport("t1", {"ann", "bob"}, 100))));
  ASSERT_TRUE(succeeded(classic().put_transport(transport("t1", {"ann", "bob"}, 300))));
  EXPECT_EQ(classic().find_transport(kApplication, "t1").value()->time, at(300));
  EXPECT_EQ(classic().remove_old(at(200), at(0), 100).value(), 0U);
  EXPECT_EQ(classic().remove_old(at(400), at(0), 100).value(), 1U);
  EXPECT_FALSE(classic().find_transport(kApplication, "t1").value());
}

TEST_P(ClassicConformance, KnowsWhoTakesMessages) {
  const std::vector<UserKey> users = {user("ann"), user("nobody"), user("bob")};
  EXPECT_EQ(classic().have_inboxes(users).value(), (std::vector<bool>{true, false, true}));
  while (messages().erase(user("bob"), at(100), 100).value() > 0) {
  }
  EXPECT_EQ(classic().have_inboxes(users).value(), (std::vector<bool>{true, false, false}));
}

TEST_P(ClassicConformance, PartsAreJoinedInWhateverOrderTheyCome) {
  EXPECT_FALSE(add(part(2, 3, "c")).value());
  EXPECT_FALSE(add(part(0, 3, "a")).value());
  reopen();
  EXPECT_EQ(add(part(1, 3, "b")).value(), "abc");
  EXPECT_EQ(add(part(1, 3, "b")).value(), "abc");  // the answer was lost
  ASSERT_TRUE(succeeded(classic().drop_parts(InstanceId("instance"), "s", "7")));
  EXPECT_FALSE(add(part(1, 3, "b")).value());
}

TEST_P(ClassicConformance, APartIsRepeatedButNotReplaced) {
  EXPECT_FALSE(add(part(0, 2, "a")).value());
  EXPECT_FALSE(add(part(0, 2, "a")).value());
  EXPECT_EQ(add(part(0, 2, "x")).code(), ErrorCode::kIdempotencyConflict);
  EXPECT_EQ(add(part(1, 3, "b")).code(), ErrorCode::kIdempotencyConflict);
  EXPECT_EQ(add(part(1, 2, "b")).value(), "ab");
}

TEST_P(ClassicConformance, SetsOfPartsAreBounded) {
  for (int i = 0; i < 16; ++i) {
    ASSERT_FALSE(add(part(0, 2, "a", "s" + std::to_string(i))).value());
  }
  EXPECT_EQ(add(part(0, 2, "a", "one more")).code(), ErrorCode::kLimitExceeded);
  ClassicPart other = part(0, 2, "a");
  other.instance = InstanceId("another");
  EXPECT_FALSE(add(other).value());
  // What got nothing for 30 s makes room.
  EXPECT_FALSE(add(part(0, 2, "a", "one more", 131)).value());
  EXPECT_EQ(add(part(1, 2, std::string(64 * 1024, 'b'), "one more", 131)).code(),
            ErrorCode::kLimitExceeded);
}

TEST_P(ClassicConformance, IdleSetsOfPartsAreRemoved) {
  ASSERT_FALSE(add(part(0, 2, "a", "old", 100)).value());
  ASSERT_FALSE(add(part(0, 2, "a", "new", 120)).value());
  EXPECT_EQ(classic().remove_old(at(0), at(110), 100).value(), 1U);
  EXPECT_EQ(add(part(1, 2, "b", "new", 121)).value(), "ab");
  EXPECT_FALSE(add(part(1, 2, "b", "old", 121)).value());
}

TEST_P(ClassicConformance, TheFirstCallBeginsALogAndTellsNothing) {
  EXPECT_EQ(note("bob", {delivered("ann", 7)}), 0U);
  EXPECT_EQ(note("bob", {delivered("ann", 7)}), 0U);
  EXPECT_EQ(note("bob", {delivered("ann", 9)}), 1U);
  const ClassicLogPage page = log("bob", 0);
  ASSERT_EQ(page.receipts.size(), 1U);
  EXPECT_EQ(page.receipts[0].after, 7);
  EXPECT_EQ(page.receipts[0].seq, 9);
  EXPECT_EQ(note("nobody", {delivered("ann", 9)}), 0U);
}

TEST_P(ClassicConformance, AHorizonIsToldOnceAndNeverBackwards) {
  EXPECT_EQ(note("ann", {delivered("bob", 3), delivered("cleo", 2)}), 2U);
  EXPECT_EQ(note("ann", {delivered("bob", 3), delivered("cleo", 1)}), 0U);
  EXPECT_EQ(note("ann", {delivered("bob", 5), delivered("bob", 5, "c-2")}), 2U);
  const auto receipts = log("ann", 0).receipts;
  ASSERT_EQ(receipts.size(), 4U);
  EXPECT_EQ(receipts[2], (ClassicReceipt{3, 3, "c-1", person("bob"), 3, 5}));
  EXPECT_EQ(receipts[3], (ClassicReceipt{4, 4, "c-2", person("bob"), 0, 5}));
}

TEST_P(ClassicConformance, ReceiptsAndEntriesShareOneOrderOfPositions) {
  send(text("ann", {"bob"}, "m1"));           // offset 1: position 1
  note("ann", {delivered("bob", 1)});         // position 2
  send(text("bob", {"ann"}, "m2"));           // offset 2: position 3
  send(text("ann", {"bob"}, "m3"));           // offset 3: position 4
  note("ann", {delivered("bob", 3)});         // position 5
  note("ann", {delivered("bob", 1, "c-2")});  // position 6
  EXPECT_EQ(positions("ann"), (std::vector<std::int64_t>{2, 5, 6}));
  // A position is its offset and the receipts before it.
  const std::vector<std::int64_t> receipts_before = {0, 0, 1, 1, 1, 2, 3};
  for (std::int64_t position = 0; position <= 6; ++position) {
    EXPECT_EQ(log("ann", position).before, receipts_before[static_cast<std::size_t>(position)])
        << position;
  }
  EXPECT_EQ(positions("ann", 4), (std::vector<std::int64_t>{5, 6}));
  // And back: the receipts written since an offset lie behind it.
  const std::vector<std::int64_t> of_offset = {0, 1, 3, 4};
  for (std::int64_t offset = 0; offset <= 3; ++offset) {
    EXPECT_EQ(classic().position_of(user("ann"), offset).value(),
              of_offset[static_cast<std::size_t>(offset)])
        << offset;
  }
}

TEST_P(ClassicConformance, OldReceiptsGoFromTheFrontAndNumbersStay) {
  note("ann", {delivered("bob", 1)}, 100);
  note("ann", {delivered("bob", 2)}, 200);
  EXPECT_EQ(classic().remove_old(at(150), at(0), 100).value(), 1U);
  const ClassicLogPage page = log("ann", 0);
  EXPECT_EQ(page.before, 1);
  ASSERT_EQ(page.receipts.size(), 1U);
  EXPECT_EQ(page.receipts[0].number, 2);
  EXPECT_EQ(classic().remove_old(at(250), at(0), 100).value(), 1U);
  EXPECT_EQ(log("ann", 2).before, 2);
  EXPECT_EQ(classic().position_of(user("ann"), 5).value(), 7);
  note("ann", {delivered("bob", 3)}, 300);
  EXPECT_EQ(positions("ann"), std::vector<std::int64_t>{3});
}

TEST_P(ClassicConformance, WhoIsErasedLeavesNoTrace) {
  note("ann", {delivered("bob", 1)});
  note("ann", {delivered("bob", 2)});
  ASSERT_TRUE(succeeded(classic().put_transport(transport("t1", {"ann", "bob"}))));
  ASSERT_TRUE(succeeded(classic().put_transport(transport("t2", {"bob", "cleo"}))));
  while (messages().erase(user("ann"), at(100), 100).value() > 0) {
  }
  EXPECT_TRUE(log("ann", 0).receipts.empty());
  EXPECT_FALSE(classic().find_transport(kApplication, "t1").value());
  EXPECT_TRUE(classic().find_transport(kApplication, "t2").value());
  sign_in(store(), {"ann"});
  note("ann", {delivered("bob", 1)});
  EXPECT_EQ(log("ann", 0).before, 2);
}

// Messages and receipts are written by many at once; whoever reads entries first and receipts then,
// as the classic door does, sees every position once.
TEST_P(ClassicConformance, ConcurrentWritersNeverShareAPosition) {
  constexpr int kEach = 40;
  open_both();
  std::thread sender([this] {
    for (int i = 0; i < kEach; ++i) {
      ASSERT_TRUE(accept(store_of(0), text("bob", {"ann"}, "m" + std::to_string(i))));
    }
  });
  std::thread first([this] {
    for (int i = 1; i <= kEach; ++i) {
      ASSERT_TRUE(succeeded(store_of(1).classic()->note_horizons(
          user("ann"), std::vector{delivered("bob", i, "c-first")}, at(100))));
    }
  });
  std::thread second([this] {
    for (int i = 1; i <= kEach; ++i) {
      ASSERT_TRUE(succeeded(store_of(0).classic()->note_horizons(
          user("ann"), std::vector{delivered("bob", i, "c-second")}, at(100))));
    }
  });
  std::int64_t position = 0;
  while (position < 3 * kEach) {
    const std::int64_t before = log("ann", position).before;
    const auto page =
        messages().read_inbox(user("ann"), position - before, 1'000, kManyBytes).value();
    const std::vector<ClassicReceipt> receipts = log("ann", position, 1'000).receipts;
    std::size_t entry = 0, receipt = 0;
    while (entry < page.entries.size() || receipt < receipts.size()) {
      const bool told = receipt < receipts.size() && receipts[receipt].position == position + 1;
      if (!told && entry == page.entries.size()) break;  // an entry we have not read is before it
      told ? ++receipt : ++entry;
      ++position;
    }
  }
  sender.join();
  first.join();
  second.join();
  EXPECT_EQ(position, 3 * kEach);
  EXPECT_EQ(log("ann", position).before, 2 * kEach);
}

}  // namespace
}  // namespace countersign::storage

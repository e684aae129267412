// Two programs on the same data: offsets stay dense, repeats meet, reads are of one state.
#include <atomic>
#include <set>

#include "storage/conformance/message_conformance.h"

namespace countersign::storage {
namespace {

constexpr int kThreads = 4;

TEST_P(MessageConformance, OffsetsAndSeqsAreDenseUnderContention) {
  open_both();
  const std::vector<std::string> names = {"a", "b", "c"};
  sign_in(store(), names);
  constexpr int kEach = 30;
  std::atomic<int> failed = 0;
  in_parallel(kThreads, [&](int thread) {
    for (int n = 0; n < kEach; ++n) {
      const std::string& from = names[static_cast<std::size_t>(thread + n) % 3];
      const std::string& to = names[static_cast<std::size_t>(thread + n + 1 + n % 2) % 3];
      const std::string id = std::to_string(thread) + "-" + std::to_string(n);
      const Result<Sent> sent = accept(store_of(thread), text(from, {to}, id));
      if (!sent.ok() || sent->refused || sent->duplicate) ++failed;
    }
  });
  EXPECT_EQ(failed, 0);
  std::size_t entries = 0;
  std::set<std::pair<std::string, std::int64_t>> places;
  for (const std::string& name : names) {
    EXPECT_EQ(faults_of_inbox(store(), name), "");
    for (const Entry& entry : whole_inbox(store(), name)) {
      ++entries;
      places.insert({entry.message.conversation, entry.message.seq});
    }
  }
  EXPECT_EQ(entries, 2u * kThreads * kEach);
  EXPECT_EQ(places.size(), 1u * kThreads * kEach);
}

TEST_P(MessageConformance, ARaceOfRepeatsIsAcceptedOnce) {
  open_both();
  sign_in(store(), {"ann", "bob"});
  constexpr int kRounds = 15;
  for (int round = 0; round < kRounds; ++round) {
    std::atomic<int> first = 0;
    std::atomic<int> repeats = 0;
    in_parallel(kThreads, [&](int thread) {
      const Result<Sent> sent =
          accept(store_of(thread), text("ann", {"bob"}, std::to_string(round)));
      ASSERT_TRUE(succeeded(sent));
      EXPECT_EQ(sent->seq, round + 1);
      ++(sent->duplicate ? repeats : first);
    });
    EXPECT_EQ(first, 1);
    EXPECT_EQ(repeats, kThreads - 1);
  }
  EXPECT_EQ(whole_inbox(store(), "bob").size(), static_cast<std::size_t>(kRounds));
}

TEST_P(MessageConformance, AChangeOfAGroupHasOnePlaceAmongItsMessages) {
  open_both();
  sign_in(store(), {"ann", "bob", "cy"});
  const std::string group = make_group("1", "ann", {"bob", "cy"});
  std::atomic<std::int64_t> removed_at = 0;
  in_parallel(3, [&](int thread) {
    if (thread == 2) {
      const Result<Sent> sent =
          accept(store_of(1), change("ann", group, "remove", GroupChange::Action::kRemove, {"cy"}));
      ASSERT_TRUE(succeeded(sent));
      removed_at = sent->seq;
      return;
    }
    for (int n = 0; n < 25; ++n) {
      const std::string name = thread == 0 ? "ann" : "bob";
      ASSERT_TRUE(succeeded(accept(store_of(thread), text_to(name, group, std::to_string(n)))));
    }
  });
  const std::vector<Entry> seen = whole_inbox(store(), "cy");
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().message.seq, removed_at);
  EXPECT_EQ(static_cast<std::int64_t>(seen.size()), removed_at);
  EXPECT_EQ(static_cast<std::int64_t>(history("cy", group).size()), removed_at);
  EXPECT_EQ(history("ann", group).size(), 52u);
  for (const char* name : {"ann", "bob", "cy"}) EXPECT_EQ(faults_of_inbox(store(), name), "");
}

TEST_P(MessageConformance, AReaderNeverSeesAHoleWhileTheFloorMoves) {
  open_both();
  sign_in(store(), {"ann", "bob"});
  constexpr int kMessages = 60;
  for (int n = 0; n < kMessages; ++n) {
    Send one = text("ann", {"bob"}, std::to_string(n));
    one.now = at(n - 1000);
    send(one);
  }
  std::atomic<bool> removing = true;
  std::atomic<int> holes = 0;
  in_parallel(3, [&](int thread) {
    if (thread == 2) {
      for (int n = 0; n < kMessages; ++n) {
        remove_old(store_of(1), at(n - 1000));
      }
      removing = false;
      return;
    }
    std::int64_t after = 0;
    while (removing) {
      const Result<InboxPage> page =
          store_of(thread).messages().read_inbox(user("bob"), after, 2, kManyBytes);
      ASSERT_TRUE(succeeded(page));
      if (page->floor > after) {
        if (!page->entries.empty()) ++holes;
        after = page->floor;
      } else if (after < page->top &&
                 (page->entries.empty() || page->entries[0].offset != after + 1)) {
        ++holes;
      }
    }
  });
  EXPECT_EQ(holes, 0);
}

TEST_P(MessageConformance, AcknowledgementsOfTwoProgramsNeverLowerACursor) {
  open_both();
  sign_in(store(), {"ann", "bob"});
  constexpr int kMessages = 40;
  for (int n = 0; n < kMessages; ++n) send(text("ann", {"bob"}, std::to_string(n)));
  const std::string epoch_now = epoch();
  std::atomic<int> receipts = 0;
  in_parallel(kThreads, [&](int thread) {
    std::int64_t last = 0;
    for (int n = 1; n <= kMessages; ++n) {
      const Result<Acked> acked =
          acknowledge(store_of(thread), Ack{user("bob"), "phone", epoch_now, n, at(300)});
      ASSERT_TRUE(succeeded(acked));
      EXPECT_GE(acked->cursor, last);
      last = acked->cursor;
      receipts += static_cast<int>(acked->receipts.size());
    }
  });
  EXPECT_EQ(receipts, kMessages);  // each step of the horizon is told once
  EXPECT_EQ(attach("bob", "phone").cursor, kMessages);
}

TEST_P(MessageConformance, JobsOfTwoProgramsWriteEachEntryOnce) {
  open_both();
  std::vector<std::string> others;
  for (int n = 0; n < 20; ++n) others.push_back("u" + std::to_string(n));
  sign_in(store(), others);
  const std::string group = make_group("1", "ann", others);
  for (int n = 0; n < 4; ++n) {
    Send one = text_to("ann", group, std::to_string(n));
    one.limits.direct_fan_out = 1;
    send(one);
  }
  in_parallel(2, [&](int thread) { finish_jobs(store_of(thread), 3); });
  for (const std::string& name : others) {
    EXPECT_EQ(faults_of_inbox(store(), name), "");
    EXPECT_EQ(whole_inbox(store(), name).size(), 5u);
  }
}

}  // namespace
}  // namespace countersign::storage

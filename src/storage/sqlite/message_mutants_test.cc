// Each check of the message store is run against the sound store and against the fault that it is
// there for. (Answering before the commit, and not syncing: message_durability_test.cc.)
#include <filesystem>

#include <gtest/gtest.h>

#include "storage/conformance/message_conformance.h"
#include "storage/sqlite/message_checks_for_test.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::storage {
namespace {

std::unique_ptr<Store> open(const TestDirectory& directory, const MessageMutants& mutants,
                            const std::string& name = "store.db") {
  SqliteOptions options = directory.options(name);
  options.mutants_for_test = mutants;
  return open_sqlite_store(options).value();
}

Send at_time(Send send, SystemTime now) {
  send.now = now;
  return send;
}

/// True if an offset is given to two entries when the first one has been removed.
bool reuses_offsets(const MessageMutants& mutants) {
  const TestDirectory directory;
  const std::unique_ptr<Store> store = open(directory, mutants);
  sign_in(*store, {"ann", "bob"});
  const std::int64_t first =
      accept(*store, at_time(text("ann", {"bob"}, "m1"), at(-10)))->deliveries[1].offset;
  EXPECT_EQ(remove_old(*store, at(0)), 2u);
  const Result<Sent> second = accept(*store, text("ann", {"bob"}, "m2"));
  return !second.ok() || second->deliveries[1].offset <= first;
}

TEST(SqliteMessageMutants, AnOffsetUsedTwiceIsNoticed) {
  MessageMutants mutants;
  EXPECT_FALSE(reuses_offsets(mutants));
  mutants.reuse_offsets = true;
  EXPECT_TRUE(reuses_offsets(mutants));
}

/// How many of two people's messages with the same msg_id got lost.
int lost_to_dedupe(const MessageMutants& mutants) {
  const TestDirectory directory;
  const std::unique_ptr<Store> store = open(directory, mutants);
  sign_in(*store, {"ann", "bob", "cy"});
  static_cast<void>(accept(*store, text("ann", {"cy"}, "1")).value());
  static_cast<void>(accept(*store, text("bob", {"cy"}, "1")).value());
  return 2 - static_cast<int>(whole_inbox(*store, "cy").size());
}

TEST(SqliteMessageMutants, DedupeByMsgIdAloneIsNoticed) {
  MessageMutants mutants;
  EXPECT_EQ(lost_to_dedupe(mutants), 0);
  mutants.dedupe_by_msg_id_alone = true;
  EXPECT_EQ(lost_to_dedupe(mutants), 1);
}

/// True if a page claims to begin where it was asked to, and does not.
bool reads_a_hole(MessageMutants mutants) {
  const TestDirectory directory;
  std::unique_ptr<Store> store;
  mutants.between_steps = [&] { remove_old(*store, at(-8)); };
  store = open(directory, mutants);
  sign_in(*store, {"ann", "bob"});
  for (int n = 0; n < 4; ++n) {
    const Send one = at_time(text("ann", {"bob"}, std::to_string(n)), at(n - 10));
    static_cast<void>(accept(*store, one).value());
  }
  const InboxPage page = store->messages().read_inbox(user("bob"), 0, 100, kManyBytes).value();
  return page.floor == 0 && page.entries[0].offset != 1;
}

TEST(SqliteMessageMutants, AReadInTwoStepsIsNoticed) {
  MessageMutants mutants;
  EXPECT_FALSE(reads_a_hole(mutants));
  mutants.read_in_two_steps = true;
  EXPECT_TRUE(reads_a_hole(mutants));
}

/// True if a client is told that nothing is missing after the store has gone back in time and other
/// messages took the places of those the client has handled.
bool hides_a_restore(const MessageMutants& mutants) {
  const TestDirectory directory;
  std::unique_ptr<Store> store = open(directory, mutants);
  sign_in(*store, {"ann", "bob"});
  static_cast<void>(accept(*store, text("ann", {"bob"}, "kept")).value());
  store.reset();
  std::filesystem::copy_file(directory.file("store.db"), directory.file("copy.db"));

  store = open(directory, mutants);
  static_cast<void>(accept(*store, text("ann", {"bob"}, "lost")).value());
  const Entry handled = whole_inbox(*store, "bob").back();
  const Position position{store->messages().epoch().value(), handled.offset, handled.chain};
  store = open(directory, mutants, "copy.db");
  EXPECT_TRUE(succeeded(store->messages().renew_epoch("after the restore")));
  static_cast<void>(accept(*store, text("ann", {"bob"}, "new")).value());
  Attach attach;
  attach.user = user("bob");
  attach.device = "phone";
  attach.resume = position;
  attach.now = at(300);
  return store->messages().attach(attach)->reason == Attached::Reason::kNone;
}

TEST(SqliteMessageMutants, ARestoreThatKeepsTheEpochIsNoticed) {
  MessageMutants mutants;
  EXPECT_FALSE(hides_a_restore(mutants));
  mutants.keep_epoch = true;
  EXPECT_TRUE(hides_a_restore(mutants));
}

/// How many members of a group miss a message after a restart in the middle of its fan-out.
int lost_in_fan_out(const MessageMutants& mutants) {
  const TestDirectory directory;
  std::unique_ptr<Store> store = open(directory, mutants);
  const std::vector<std::string> others = {"bob", "cy", "dan", "eve"};
  sign_in(*store, others);
  static_cast<void>(
      accept(*store, change("ann", "g-1", "c", GroupChange::Action::kCreate, others, "x")).value());
  Send one = text_to("ann", "g-1", "m1");
  one.limits.direct_fan_out = 1;
  static_cast<void>(accept(*store, one).value());
  static_cast<void>(store->messages().fan_out(2).value());
  store.reset();
  store = open(directory, mutants);
  finish_jobs(*store);
  int lost = 0;
  for (const std::string& name : others) {
    if (whole_inbox(*store, name).back().message.id != "m1") ++lost;
  }
  return lost;
}

TEST(SqliteMessageMutants, AFanOutKeptInMemoryIsNoticed) {
  MessageMutants mutants;
  EXPECT_EQ(lost_in_fan_out(mutants), 0);
  mutants.fan_out_in_memory = true;
  EXPECT_EQ(lost_in_fan_out(mutants), 2);
}

/// True if a classic message never becomes whole after a restart between its parts, although each
/// part was taken: nobody sends the first one again.
bool loses_a_part(const MessageMutants& mutants) {
  const TestDirectory directory;
  std::unique_ptr<Store> store = open(directory, mutants);
  ClassicPart part{InstanceId("instance"), "session", "7", 0, 2, "a", at(100)};
  EXPECT_FALSE(store->classic()->add_part(part, {}).value());
  store.reset();
  store = open(directory, mutants);
  part.index = 1;
  part.payload = "b";
  return store->classic()->add_part(part, {}).value() != "ab";
}

TEST(SqliteMessageMutants, PartsKeptInMemoryAreNoticed) {
  MessageMutants mutants;
  EXPECT_FALSE(loses_a_part(mutants));
  mutants.parts_in_memory = true;
  EXPECT_TRUE(loses_a_part(mutants));
}

TEST(SqliteMessageTables, AreSoundAfterEverythingHasHappened) {
  const TestDirectory directory;
  const std::unique_ptr<Store> store = open(directory, {});
  MessageStore& messages = store->messages();
  const std::vector<std::string> names = {"ann", "bob", "cy", "dan"};
  sign_in(*store, names);
  const auto send = [&](Send one, SystemTime now) {
    one.now = now;
    EXPECT_TRUE(succeeded(accept(*store, std::move(one))));
  };
  EXPECT_TRUE(messages.set_blocked(user("dan"), person("bob"), true, 10, at(1)).value());
  using Action = GroupChange::Action;
  send(change("ann", "g-1", "c", Action::kCreate, {"bob", "cy", "dan"}, "x"), at(1));
  for (int n = 0; n < 12; ++n) {
    const std::string id = std::to_string(n);
    Send one = text(names[static_cast<std::size_t>(n) % 2], {"cy", "dan"}, id);
    one.expires = at(500 + n);
    send(std::move(one), at(n));
    Send other = text_to(names[static_cast<std::size_t>(n) % 4], "g-1", "g" + id);
    if (n % 3 == 0) other.limits.direct_fan_out = 1;
    send(std::move(other), at(n));
    if (n % 5 == 4) static_cast<void>(messages.fan_out(2).value());
    EXPECT_EQ(faults_of_tables(directory.file("store.db")), "") << n;
  }
  send(change("ann", "g-1", "r", Action::kRemove, {"cy"}), at(20));
  send(change("ann", "g-1", "a", Action::kAdd, {"cy"}), at(21));
  static_cast<void>(messages.expire(at(506), 100).value());
  remove_old(*store, at(5), 7);
  EXPECT_EQ(faults_of_tables(directory.file("store.db")), "");
  while (messages.erase(user("ann"), at(600), 3).value() > 0) {
  }
  while (messages.erase(user("cy"), at(600), 3).value() > 0) {
  }
  finish_jobs(*store);
  EXPECT_EQ(faults_of_tables(directory.file("store.db")), "");
  for (const std::string& name : names) EXPECT_EQ(faults_of_inbox(*store, name), "");
  while (remove_old(*store, at(10'000'000), 10) > 0) {
  }
  EXPECT_EQ(faults_of_tables(directory.file("store.db")), "");
}

}  // namespace
}  // namespace countersign::storage

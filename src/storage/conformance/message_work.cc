#include "storage/conformance/message_work.h"

#include <utility>

namespace countersign::storage {
namespace {

constexpr int kMany = 20'000;

using Action = GroupChange::Action;

std::vector<std::string> ids_of(const std::vector<Message>& messages) {
  std::vector<std::string> ids;
  for (const Message& message : messages) ids.push_back(message.id);
  return ids;
}

using Ids = std::vector<std::string>;

}  // namespace

Sent MessageWork::send(Send send) {
  const Result<Sent> sent = accept(store(), std::move(send));
  EXPECT_TRUE(succeeded(sent));
  if (!sent) return Sent();
  EXPECT_FALSE(sent->refused || sent->duplicate);
  return *sent;
}

void MessageWork::fill(const std::string& conversation, int messages) {
  const std::string many = std::to_string(messages);
  const std::string numbers =
      "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < " + many + ") ";
  const std::string of = " FROM n, conversations c, inboxes u WHERE c.id = '" + conversation +
                         "' AND u.endpoint = 'ann'";
  const std::string bytes = "CAST('0123456789abcdef' AS " + counted().type_of_bytes() + ")";
  counted().execute(
      numbers +
      "INSERT INTO messages (conversation, seq, kind, sender, device, msg_id, message_id, time, "
      "body, uses) SELECT c.number, c.top + n.n, 1, u.id, '', 'many-' || n.n, " +
      bytes + ", 1, '', 1" + of);
  counted().execute(
      numbers +
      "INSERT INTO accepted_sends (sender, msg_id, digest, conversation, seq, \"offset\", time) "
      "SELECT u.id, 'many-' || n.n, " +
      bytes + ", c.number, c.top + n.n, 1, 1" + of);
  counted().execute("UPDATE conversations SET top = top + " + many + " WHERE id = '" +
                    conversation + "'");
}

Result<Acked> MessageWork::acknowledge_all(const std::string& name) {
  const std::int64_t top = store().messages().tops(std::vector{user(name)}).value()[0];
  const Ack ack{user(name), "phone", store().messages().epoch().value(), top, at(200)};
  return within_bound("ack", [&] { return counted().acknowledge(ack); });
}

TEST_P(MessageWork, WhoJoinsLateCostsNothingForWhatWasBefore) {
  sign_in(store(), {"ann", "bob", "cy"});
  send(change("ann", "g-1", "create", Action::kCreate, {"bob"}, "group"));
  fill("g-1", kMany);
  send(change("ann", "g-1", "add", Action::kAdd, {"cy"}));
  for (const char* id : {"m1", "m2"}) send(text_to("ann", "g-1", id));
  send(text_to("bob", "g-1", "m3"));

  const auto list =
      within_bound("list", [&] { return counted().list_conversations(user("cy")).value(); });
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].unread, 3u);
  const auto history =
      within_bound("history", [&] { return counted().history(user("cy"), "g-1", 100).value(); });
  EXPECT_EQ(ids_of(history), (Ids{"m3", "m2", "m1", "add"}));
  const Result<Acked> acked = acknowledge_all("cy");
  ASSERT_TRUE(succeeded(acked));
  ASSERT_EQ(acked->receipts.size(), 1u);
  EXPECT_EQ(acked->receipts[0].audience, people({"ann", "bob"}));
}

TEST_P(MessageWork, WhoLeftCostsNothingForWhatCameSince) {
  sign_in(store(), {"ann", "bob"});
  send(change("ann", "g-1", "create", Action::kCreate, {"bob"}, "group"));
  send(text_to("ann", "g-1", "m1"));
  send(change("ann", "g-1", "remove", Action::kRemove, {"bob"}));
  fill("g-1", kMany);

  const auto list =
      within_bound("list", [&] { return counted().list_conversations(user("bob")).value(); });
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].unread, 1u);
  const auto history =
      within_bound("history", [&] { return counted().history(user("bob"), "g-1", 100).value(); });
  EXPECT_EQ(ids_of(history), (Ids{"remove", "m1", "create"}));
}

TEST_P(MessageWork, WhoComesBackCostsNothingForTheTimeBetween) {
  sign_in(store(), {"ann", "bob"});
  send(change("ann", "g-1", "create", Action::kCreate, {"bob"}, "group"));
  send(text_to("ann", "g-1", "m1"));
  send(change("ann", "g-1", "remove", Action::kRemove, {"bob"}));
  fill("g-1", kMany);
  send(change("ann", "g-1", "add", Action::kAdd, {"bob"}));
  send(text_to("ann", "g-1", "m2"));

  const auto list =
      within_bound("list", [&] { return counted().list_conversations(user("bob")).value(); });
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].unread, 2u);
  const auto history =
      within_bound("history", [&] { return counted().history(user("bob"), "g-1", 100).value(); });
  EXPECT_EQ(ids_of(history), (Ids{"m2", "add", "remove", "m1", "create"}));
  const auto newest =
      within_bound("history", [&] { return counted().history(user("bob"), "g-1", 3).value(); });
  EXPECT_EQ(ids_of(newest), (Ids{"m2", "add", "remove"}));
  const Result<Acked> acked = acknowledge_all("bob");
  ASSERT_TRUE(succeeded(acked));
  ASSERT_EQ(acked->receipts.size(), 1u);
  EXPECT_EQ(acked->receipts[0].audience, people({"ann"}));
}

TEST_P(MessageWork, APageOfHistoryCostsNoMoreThanThePage) {
  sign_in(store(), {"ann", "bob"});
  send(change("ann", "g-1", "create", Action::kCreate, {"bob"}, "group"));
  fill("g-1", kMany);
  const auto history =
      within_bound("history", [&] { return counted().history(user("bob"), "g-1", 20).value(); });
  EXPECT_EQ(history.size(), 20u);
}

TEST_P(MessageWork, ErasingCostsNothingForWhatOthersWrote) {
  sign_in(store(), {"ann", "bob"});
  send(change("ann", "g-1", "create", Action::kCreate, {"bob"}, "group"));
  fill("g-1", 50'000);
  for (const char* id : {"m1", "m2", "m3"}) send(text_to("bob", "g-1", id));
  ASSERT_TRUE(store().messages().set_blocked(user("bob"), person("cy"), true, 10, at(1)).value());

  std::size_t erased = 0;
  for (;;) {
    const std::size_t gone =
        within_bound("erase", [&] { return counted().erase(user("bob"), 500).value(); });
    if (gone == 0) break;
    erased += gone;
  }
  EXPECT_EQ(erased, 10u);  // three messages, four entries, a membership, a device, a block
  const std::vector<Message> left =
      store().messages().history(user("ann"), "g-1", kNewest, 4).value();
  ASSERT_EQ(left.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(left[i].gone, i < 3) << i;
}

}  // namespace countersign::storage

// The messaging commands, table by table as docs/reference/messages.md has them, and what clients
// send that mean no good.
#include <string>

#include <gtest/gtest.h>

#include "protocol/command_test_support.h"

namespace countersign::protocol {
namespace {

constexpr auto kMalformed = ErrorCode::kBadRequest;
constexpr auto kTooMany = ErrorCode::kLimitExceeded;
constexpr auto kTooLong = ErrorCode::kMessageTooLarge;

const Identity kBob{IdentityType::kUsername, "bob"};
const Identity kCarl{IdentityType::kEmail, "carl@example.org"};
const Identity kDora{IdentityType::kNumber, "+49301234567"};

std::string user(std::string_view name) {
  return std::string(R"({"type":"username","endpoint":")").append(name).append("\"}");
}

// A list of `count` different users.
std::string users(std::size_t count) {
  std::string out = "[";
  for (std::size_t i = 0; i < count; ++i) {
    out.append(i == 0 ? "" : ",").append(user("u" + std::to_string(i)));
  }
  return out + "]";
}

ConversationName direct(std::string id) { return {std::move(id), {}}; }

TEST(MessagingCommands, ReadsAck) {
  EXPECT_EQ(read_as<Ack>("ack", R"({"epoch":"e","offset":57})"), (Ack{"e", 57}));
  EXPECT_EQ(read_as<Ack>("ack", R"({"epoch":"e","offset":0})"), (Ack{"e", 0}));
  EXPECT_EQ(read_as<Ack>("ack", R"({"epoch":"e","offset":9007199254740991})").offset, kMaxInteger);
}

TEST(MessagingCommands, TakesOnlyWholeNumbersBelow2To53) {
  for (const std::string_view offset :
       {"9007199254740992", "9223372036854775807", "9223372036854775808", "18446744073709551615",
        "18446744073709551616", "1e400", "-1", "-9223372036854775808", "1.0", "1.5", "1e3", "\"1\"",
        "null", "true", "[1]", "{}"}) {
    expect_body_refused("ack", R"({"epoch":"e","offset":)" + std::string(offset) + "}", kMalformed);
    expect_body_refused("read", R"({"conv":"c-1","seq":)" + std::string(offset) + "}", kMalformed);
    expect_body_refused("history", R"({"conv":"c-1","before":)" + std::string(offset) + "}",
                        kMalformed);
  }
}

TEST(MessagingCommands, RefusesAckWithoutWhatItNeeds) {
  for (const std::string_view body :
       {R"({})", R"({"epoch":"e"})", R"({"offset":1})", R"({"epoch":"","offset":1})",
        R"({"epoch":5,"offset":1})", R"({"epoch":"a b","offset":1})"}) {
    expect_body_refused("ack", body, kMalformed);
  }
}

TEST(MessagingCommands, ReadsSync) {
  EXPECT_EQ(read_as<Sync>("sync", R"({"epoch":"e","offset":57,"chain":"0011223344556677"})"),
            (Sync{{"e", 57, std::string("\x00\x11\x22\x33\x44\x55\x66\x77", 8)}}));
}

TEST(MessagingCommands, RefusesPositionsThatAreNone) {
  for (const std::string_view body :
       {R"({"epoch":"e","offset":1})", R"({"epoch":"e","chain":"0011223344556677"})",
        R"({"offset":1,"chain":"0011223344556677"})",
        R"({"epoch":"e","offset":1,"chain":"00112233445566"})",
        R"({"epoch":"e","offset":1,"chain":"001122334455667788"})",
        R"({"epoch":"e","offset":1,"chain":"001122334455667g"})",
        R"({"epoch":"e","offset":1,"chain":"00112233445566AA"})",
        R"({"epoch":"e","offset":1,"chain":1122334455667788})"}) {
    expect_body_refused("sync", body, kMalformed);
    expect_body_refused("connect", R"({"userTicket":"t","resume":)" + std::string(body) + "}",
                        kMalformed);
  }
}

TEST(MessagingCommands, ReadsSendToPeople) {
  const Send send =
      read_as<Send>("send", R"({"msg_id":"0192f0c1-1","to":[{"type":"username","endpoint":"bob"}],)"
                            R"("text":"hello","headers":{"x":"1"},"expires_in":3600})");
  EXPECT_EQ(send.msg_id, "0192f0c1-1");
  EXPECT_EQ(send.to, (ConversationName{"", {kBob}}));
  EXPECT_EQ(send.body, R"("text":"hello","headers":{"x":"1"})");
  EXPECT_EQ(send.expires_in, std::chrono::seconds(3600));
}

TEST(MessagingCommands, ReadsSendToAConversation) {
  const Send send = read_as<Send>("send", R"({"msg_id":"m","conv":"g-1","text":"hello"})");
  EXPECT_EQ(send.to, direct("g-1"));
  EXPECT_EQ(send.expires_in, std::nullopt);
}

TEST(MessagingCommands, SortsUsersAndFoldsThoseWhoOccurTwice) {
  const Send send = read_as<Send>(
      "send", R"({"msg_id":"m","text":"t","to":[{"type":"number","endpoint":"+49301234567"},)"
              R"({"type":"email","endpoint":"carl@example.org"},)"
              R"({"type":"username","endpoint":"bob"},{"endpoint":"bob","type":"username"}]})");
  EXPECT_EQ(send.to.users, (std::vector<Identity>{kBob, kCarl, kDora}));
}

TEST(MessagingCommands, RefusesSendThatDoesNotFollowTheRules) {
  const std::string to = R"("to":[)" + user("bob") + "]";
  for (const std::string& body : {
           std::string("{}"),
           "{" + to + R"(,"text":"t"})",
           R"({"msg_id":"",)" + to + R"(,"text":"t"})",
           R"({"msg_id":7,)" + to + R"(,"text":"t"})",
           R"({"msg_id":"a b",)" + to + R"(,"text":"t"})",
           R"({"msg_id":")" + std::string(65, 'm') + "\"," + to + R"(,"text":"t"})",
           std::string(R"({"msg_id":"m","text":"t"})"),
           std::string(R"({"msg_id":"m","to":[],"text":"t"})"),
           std::string(R"({"msg_id":"m","to":null,"text":"t"})"),
           R"({"msg_id":"m","to":)" + user("bob") + R"(,"text":"t"})",
           R"({"msg_id":"m","conv":"c-1",)" + to + R"(,"text":"t"})",
           std::string(R"({"msg_id":"m","conv":"c-1","to":[],"text":"t"})"),
           std::string(R"({"msg_id":"m","conv":"","text":"t"})"),
           std::string(R"({"msg_id":"m","conv":"c 1","text":"t"})"),
           R"({"msg_id":"m",)" + to + R"(,"text":"t","expires_in":0})",
           R"({"msg_id":"m",)" + to + R"(,"text":"t","expires_in":2592001})",
           R"({"msg_id":"m",)" + to + R"(,"text":"t","expires_in":1.5})",
           R"({"msg_id":"m",)" + to + R"(,"text":"t","expires_in":"60"})",
       }) {
    expect_body_refused("send", body, kMalformed);
  }
}

TEST(MessagingCommands, RefusesUsersWhoCannotBe) {
  for (const std::string_view who : {
           R"("bob")",
           R"({"endpoint":"bob"})",
           R"({"type":"username"})",
           R"({"type":"Username","endpoint":"bob"})",
           R"({"type":"group","endpoint":"bob"})",
           R"({"type":1,"endpoint":"bob"})",
           R"({"type":"username","endpoint":""})",
           R"({"type":"username","endpoint":null})",
           R"({"type":"username","endpoint":"a\nb"})",
           R"({"type":"username","endpoint":"a\u009fb"})",
           R"({"type":"email","endpoint":"bob"})",
           R"({"type":"number","endpoint":"0301234567"})",
       }) {
    expect_body_refused("block", R"({"user":)" + std::string(who) + "}", kMalformed);
    expect_body_refused("presence.watch", R"({"users":[)" + std::string(who) + "]}", kMalformed);
  }
  expect_body_refused("block", R"({"user":)" + user(std::string(256, 'a')) + "}", kMalformed);
}

TEST(MessagingCommands, RefusesMoreUsersThanACommandTakesWith106) {
  const auto send_to = [](std::size_t count) {
    return R"({"msg_id":"m","text":"t","to":)" + users(count) + "}";
  };
  EXPECT_EQ(read_as<Send>("send", send_to(10)).to.users.size(), 10U);
  expect_body_refused("send", send_to(11), kTooMany);
  expect_body_refused("send", send_to(100'000), kTooMany);
  const auto watch = [](std::size_t count) { return R"({"users":)" + users(count) + "}"; };
  EXPECT_EQ(read_as<WatchPresence>("presence.watch", watch(500)).users.size(), 500U);
  expect_body_refused("presence.watch", watch(501), kTooMany);
  const auto add = [](std::size_t count) {
    return R"({"msg_id":"m","conv":"g-1","action":"add","users":)" + users(count) + "}";
  };
  EXPECT_EQ(read_as<ChangeGroup>("group", add(1000)).users.size(), 1000U);
  expect_body_refused("group", add(1001), kTooMany);
  // It is the list that is too long, whatever stands in it.
  std::string nulls = "null";
  for (int i = 0; i < 20; ++i) nulls += ",null";
  expect_body_refused("send", R"({"msg_id":"m","text":"t","to":[)" + nulls + "]}", kTooMany);
}

TEST(MessagingCommands, ReadsRead) {
  EXPECT_EQ(read_as<Read>("read", R"({"conv":"c-1","seq":7})"), (Read{direct("c-1"), 7}));
  expect_body_refused("read", R"({"conv":"c-1"})", kMalformed);
  expect_body_refused("read", R"({"seq":7})", kMalformed);
}

TEST(MessagingCommands, ReadsTyping) {
  EXPECT_EQ(read_as<Typing>("typing", R"({"conv":"c-1","state":"start"})"),
            (Typing{direct("c-1"), true}));
  EXPECT_EQ(read_as<Typing>("typing", R"({"conv":"c-1","state":"stop"})"),
            (Typing{direct("c-1"), false}));
  for (const std::string_view body : {R"({"conv":"c-1"})", R"({"conv":"c-1","state":"Start"})",
                                      R"({"conv":"c-1","state":true})", R"({"state":"start"})"}) {
    expect_body_refused("typing", body, kMalformed);
  }
}

TEST(MessagingCommands, ReadsHistory) {
  EXPECT_EQ(read_as<History>("history", R"({"conv":"c-1","before":120,"limit":20})"),
            (History{direct("c-1"), 120, 20}));
  EXPECT_EQ(read_as<History>("history", R"({"conv":"c-1"})"), (History{direct("c-1"), 0, 50}));
  expect_body_refused("history", R"({"conv":"c-1","before":0})", kMalformed);
}

TEST(MessagingCommands, BoundsPages) {
  for (const std::string_view verb : {"history", "members"}) {
    expect_body_refused(verb, R"({"conv":"c-1","limit":101})", kTooMany);
    expect_body_refused(verb, R"({"conv":"c-1","limit":9007199254740991})", kTooMany);
    for (const std::string_view limit : {"0", "-1", "1.0", "\"5\"", "null", "1e2"}) {
      expect_body_refused(verb, R"({"conv":"c-1","limit":)" + std::string(limit) + "}", kMalformed);
    }
  }
  EXPECT_EQ(read_as<History>("history", R"({"conv":"c-1","limit":100})").limit, 100U);
}

TEST(MessagingCommands, ReadsConversations) {
  EXPECT_EQ(read_as<ListConversations>("conversations", "{}"), (ListConversations{"", 50}));
  EXPECT_EQ(read_as<ListConversations>("conversations", R"({"after":"mark","limit":1})"),
            (ListConversations{"mark", 1}));
  const std::string longest(kMaxPageMarkBytes, 'a');
  EXPECT_EQ(read_as<ListConversations>("conversations", R"({"after":")" + longest + "\"}").after,
            longest);
  expect_body_refused("conversations", R"({"after":")" + longest + "a\"}", kMalformed);
  expect_body_refused("conversations", R"({"after":""})", kMalformed);
}

TEST(MessagingCommands, FindsAConversationByItsIdOrItsPeople) {
  EXPECT_EQ(read_as<FindConversation>("conversation", R"({"conv":"c-1"})").conversation,
            direct("c-1"));
  EXPECT_EQ(
      read_as<FindConversation>("conversation", R"({"to":[)" + user("bob") + "]}").conversation,
      (ConversationName{"", {kBob}}));
  expect_body_refused("conversation", "{}", kMalformed);
}

TEST(MessagingCommands, ReadsMembers) {
  EXPECT_EQ(read_as<ListMembers>("members", R"({"conv":"g-1"})"),
            (ListMembers{direct("g-1"), std::nullopt, 100}));
  EXPECT_EQ(
      read_as<ListMembers>("members", R"({"conv":"g-1","limit":5,"after":)" + user("bob") + "}"),
      (ListMembers{direct("g-1"), kBob, 5}));
  expect_body_refused("members", R"({"conv":"g-1","after":"bob"})", kMalformed);
}

TEST(MessagingCommands, ReadsChangesOfGroups) {
  using Action = ChangeGroup::Action;
  const std::string bob = R"("users":[)" + user("bob") + "]";
  EXPECT_EQ(read_as<ChangeGroup>(
                "group", R"({"msg_id":"m","action":"create","name":"Friends",)" + bob + "}"),
            (ChangeGroup{"m", "", Action::kCreate, {kBob}, "Friends"}));
  EXPECT_EQ(read_as<ChangeGroup>("group", R"({"msg_id":"m","action":"create","name":"Alone"})"),
            (ChangeGroup{"m", "", Action::kCreate, {}, "Alone"}));
  EXPECT_EQ(
      read_as<ChangeGroup>("group", R"({"msg_id":"m","conv":"g-1","action":"add",)" + bob + "}"),
      (ChangeGroup{"m", "g-1", Action::kAdd, {kBob}, ""}));
  EXPECT_EQ(
      read_as<ChangeGroup>("group", R"({"msg_id":"m","conv":"g-1","action":"remove",)" + bob + "}"),
      (ChangeGroup{"m", "g-1", Action::kRemove, {kBob}, ""}));
  EXPECT_EQ(read_as<ChangeGroup>("group", R"({"msg_id":"m","conv":"g-1","action":"leave"})"),
            (ChangeGroup{"m", "g-1", Action::kLeave, {}, ""}));
  EXPECT_EQ(read_as<ChangeGroup>("group",
                                 R"({"msg_id":"m","conv":"g-1","action":"rename","name":"Foes"})"),
            (ChangeGroup{"m", "g-1", Action::kRename, {}, "Foes"}));
}

TEST(MessagingCommands, RefusesChangesWithTheWrongMembers) {
  const std::string bob = R"("users":[)" + user("bob") + "]";
  for (const std::string& body : {
           std::string(R"({"msg_id":"m"})"),
           std::string(R"({"msg_id":"m","conv":"g-1","action":"delete"})"),
           std::string(R"({"msg_id":"m","conv":"g-1","action":"Leave"})"),
           std::string(R"({"msg_id":"m","conv":"g-1","action":1})"),
           std::string(R"({"conv":"g-1","action":"leave"})"),
           std::string(R"({"msg_id":"m","action":"leave"})"),
           std::string(R"({"msg_id":"m","action":"create"})"),
           std::string(R"({"msg_id":"m","action":"create","name":""})"),
           R"({"msg_id":"m","conv":"g-1","action":"create","name":"n",)" + bob + "}",
           std::string(R"({"msg_id":"m","conv":"g-1","action":"add"})"),
           std::string(R"({"msg_id":"m","conv":"g-1","action":"add","users":[]})"),
           R"({"msg_id":"m","conv":"g-1","action":"add","name":"n",)" + bob + "}",
           R"({"msg_id":"m","conv":"g-1","action":"leave",)" + bob + "}",
           std::string(R"({"msg_id":"m","conv":"g-1","action":"leave","users":[]})"),
           std::string(R"({"msg_id":"m","conv":"g-1","action":"rename"})"),
           R"({"msg_id":"m","conv":"g-1","action":"rename","name":"n",)" + bob + "}",
       }) {
    expect_body_refused("group", body, kMalformed);
  }
}

TEST(MessagingCommands, WritesGroupNamesInNfcAndBoundsThem) {
  const auto name_of = [](const std::string& name) {
    return R"({"msg_id":"m","action":"create","name":")" + name + "\"}";
  };
  EXPECT_EQ(read_as<ChangeGroup>("group", name_of("Cafe\\u0301")).name, "Caf\xC3\xA9");
  std::string longest;
  for (std::size_t i = 0; i < kMaxGroupNameCharacters; ++i) longest += "\xF0\x9F\x98\x80";
  EXPECT_EQ(read_as<ChangeGroup>("group", name_of(longest)).name, longest);
  expect_body_refused("group", name_of(longest + "a"), kTooLong);
  expect_body_refused("group", name_of(std::string(129, 'a')), kTooLong);
  for (const std::string_view control : {"\\n", "\\u001f", "\\u007f", "\\u0085", "\\t"}) {
    expect_body_refused("group", name_of("a" + std::string(control)), kMalformed);
  }
}

TEST(MessagingCommands, ReadsBlocking) {
  const std::string bob = R"({"user":)" + user("bob") + "}";
  EXPECT_EQ(read_as<Block>("block", bob), (Block{kBob, true}));
  EXPECT_EQ(read_as<Block>("unblock", bob), (Block{kBob, false}));
  EXPECT_EQ(read_as<ListBlocked>("blocked", "{}"), ListBlocked{});
  expect_body_refused("block", "{}", kMalformed);
  expect_body_refused("unblock", R"({"user":null})", kMalformed);
}

TEST(MessagingCommands, ReadsPresence) {
  const std::string bob = R"({"users":[)" + user("bob") + "]}";
  EXPECT_EQ(read_as<WatchPresence>("presence.watch", bob), (WatchPresence{{kBob}, true}));
  EXPECT_EQ(read_as<WatchPresence>("presence.unwatch", bob), (WatchPresence{{kBob}, false}));
  EXPECT_EQ(read_as<SetPresence>("presence.set", R"({"state":"away"})"), SetPresence{true});
  EXPECT_EQ(read_as<SetPresence>("presence.set", R"({"state":"online"})"), SetPresence{false});
  expect_body_refused("presence.watch", "{}", kMalformed);
  expect_body_refused("presence.watch", R"({"users":[]})", kMalformed);
  expect_body_refused("presence.set", "{}", kMalformed);
  expect_body_refused("presence.set", R"({"state":"offline"})", kMalformed);
}

TEST(MessagingCommands, RefusesBodiesThatAreNoObjectMembersThatOccurTwiceAndTwoVerbs) {
  for (const std::string_view verb :
       {"send", "ack", "sync", "read", "typing", "history", "conversations", "conversation",
        "members", "group", "block", "unblock", "blocked", "presence.watch", "presence.unwatch",
        "presence.set"}) {
    for (const std::string_view body : {"null", "[]", "1", "\"x\"", "true"}) {
      expect_body_refused(verb, body, kMalformed);
    }
    expect_refused(with_body(verb, R"({"x":1,"x":1})"), kMalformed);
    expect_refused(R"({"id":1,"ping":{},")" + std::string(verb) + R"(":{}})", kMalformed);
    expect_garbage(with_body(verb, R"({"x":)" + std::string(15, '[') + std::string(15, ']') + "}"));
  }
}

TEST(MessagingCommands, IgnoresMembersNobodyKnows) {
  EXPECT_EQ(read_as<Ack>("ack", R"({"epoch":"e","offset":1,"trace":{"a":[null]}})"), (Ack{"e", 1}));
  EXPECT_EQ(
      read_as<Block>("block", R"({"user":{"type":"username","endpoint":"bob","name":"Robert"}})")
          .user,
      kBob);
}

}  // namespace
}  // namespace countersign::protocol

#include "protocol/conversation_messages.h"

#include <array>
#include <vector>

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace countersign::protocol {
namespace {

const Identity kAnn{IdentityType::kUsername, "ann"};
const Identity kBob{IdentityType::kEmail, "bob@example.org"};

base::SystemTime new_year() { return base::SystemTime(std::chrono::seconds(1767225600)); }

TEST(ConversationMessages, WritesAConversation) {
  const std::array<MemberView, 2> members{MemberView{&kAnn, 9, 8}, MemberView{&kBob, 7, 6}};
  ConversationView conversation;
  conversation.id = "c-1";
  conversation.version = 1;
  conversation.member_count = 2;
  conversation.members = members;
  conversation.top = 9;
  conversation.read = 8;
  conversation.unread = 1;
  EXPECT_EQ(encode_conversation(conversation),
            R"({"conv":"c-1","group":false,"version":1,"member":true,"admin":false,)"
            R"("member_count":2,"members":[)"
            R"({"user":{"type":"username","endpoint":"ann"},"delivered":9,"read":8},)"
            R"({"user":{"type":"email","endpoint":"bob@example.org"},"delivered":7,"read":6}],)"
            R"("top":9,"read":8,"unread":1})");
  conversation.group = true;
  conversation.name = "Friends";
  conversation.admin = true;
  conversation.member = false;
  conversation.last = R"({"kind":"gone"})";
  conversation.last_time = new_year();
  const std::string group = encode_conversation(conversation);
  EXPECT_TRUE(group.starts_with(R"({"conv":"c-1","group":true,"name":"Friends","version":1,)"
                                R"("member":false,"admin":true,)"));
  EXPECT_TRUE(group.ends_with(R"("last":{"kind":"gone"},"last_time":"2026-01-01T00:00:00.000Z"})"));
}

TEST(ConversationMessages, WritesLists) {
  const std::vector<std::string> objects{"{\"a\":1}", "{\"b\":2}"};
  EXPECT_EQ(encode_conversations_reply(7, objects, "mark"),
            R"({"id":7,"conversations":{"conversations":[{"a":1},{"b":2}],"next":"mark"}})");
  EXPECT_EQ(encode_conversations_reply(7, {}, ""),
            R"({"id":7,"conversations":{"conversations":[]}})");
  EXPECT_EQ(encode_conversation_reply(8, objects[0]), R"({"id":8,"conversation":{"a":1}})");
  EXPECT_EQ(encode_history_reply(9, "c-1", objects, true),
            R"({"id":9,"history":{"conv":"c-1","messages":[{"a":1},{"b":2}],"more":true}})");
  const std::array<MemberView, 1> members{MemberView{&kAnn, 7, 6}};
  EXPECT_EQ(encode_members_reply(10, members, false),
            R"({"id":10,"members":{"members":[)"
            R"({"user":{"type":"username","endpoint":"ann"},"delivered":7,"read":6}],)"
            R"("more":false}})");
}

TEST(ConversationMessages, WritesReadTypingAndReceipts) {
  EXPECT_EQ(encode_read_reply(11, 7), R"({"id":11,"read":{"seq":7}})");
  EXPECT_EQ(encode_typing_reply(12), R"({"id":12,"typing":{}})");
  EXPECT_EQ(encode_typing_push("c-1", kAnn, true),
            R"({"push":{"typing":{"conv":"c-1","user":{"type":"username","endpoint":"ann"},)"
            R"("state":"start"}}})");
  EXPECT_NE(encode_typing_push("c-1", kAnn, false).find(R"("state":"stop")"), std::string::npos);
  EXPECT_EQ(encode_receipts_push("c-1", {&kAnn, 7, 6}),
            R"({"push":{"receipts":{"conv":"c-1","user":{"type":"username","endpoint":"ann"},)"
            R"("delivered":7,"read":6}}})");
  EXPECT_EQ(encode_receipt_counts_push("g-1", 9, 40, 12, 99),
            R"({"push":{"receipts":{"conv":"g-1","seq":9,"delivered":40,"read":12,"of":99}}})");
}

TEST(ConversationMessages, WritesBlocking) {
  EXPECT_EQ(encode_block_reply(30, true), R"({"id":30,"block":{}})");
  EXPECT_EQ(encode_block_reply(30, false), R"({"id":30,"unblock":{}})");
  EXPECT_EQ(encode_blocked_reply(31, {}), R"({"id":31,"blocked":{"users":[]}})");
  EXPECT_EQ(encode_blocked_reply(31, std::span(&kAnn, 1)),
            R"({"id":31,"blocked":{"users":[{"type":"username","endpoint":"ann"}]}})");
}

TEST(ConversationMessages, WritesPresence) {
  const std::array<PresenceView, 2> people{
      PresenceView{&kAnn, PresenceView::State::kOnline, 2, new_year()},
      PresenceView{&kBob, PresenceView::State::kOffline, 0}};
  EXPECT_EQ(encode_watch_reply(40, people),
            R"({"id":40,"presence.watch":{"users":[)"
            R"({"user":{"type":"username","endpoint":"ann"},"state":"online","devices":2,)"
            R"("last_seen":"2026-01-01T00:00:00.000Z"},)"
            R"({"user":{"type":"email","endpoint":"bob@example.org"},"state":"offline",)"
            R"("devices":0}]}})");
  EXPECT_EQ(encode_unwatch_reply(41), R"({"id":41,"presence.unwatch":{}})");
  EXPECT_EQ(encode_set_presence_reply(42), R"({"id":42,"presence.set":{}})");
  EXPECT_EQ(encode_presence_push({&kAnn, PresenceView::State::kAway, 1}),
            R"({"push":{"presence":{"user":{"type":"username","endpoint":"ann"},)"
            R"("state":"away","devices":1}}})");
}

TEST(ConversationMessages, AreAlwaysOneLineOfJsonWhateverTheTextsHold) {
  std::string hostile;
  for (int c = 0; c < 256; ++c) hostile.push_back(static_cast<char>(c));
  const Identity who{IdentityType::kUsername, hostile};
  ConversationView conversation;
  conversation.id = hostile;
  conversation.name = hostile;
  const std::array<MemberView, 1> members{MemberView{&who, 1, 1}};
  conversation.members = members;
  for (const std::string& text :
       {encode_conversation(conversation), encode_typing_push(hostile, who, true),
        encode_receipts_push(hostile, members[0]), encode_blocked_reply(1, std::span(&who, 1)),
        encode_conversations_reply(1, {}, hostile), encode_history_reply(1, hostile, {}, false),
        encode_presence_push({&who, PresenceView::State::kAway, 1})}) {
    boost::json::error_code error;
    boost::json::parse(text, error);
    EXPECT_FALSE(error) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace countersign::protocol

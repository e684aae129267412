#include "protocol/inbox_messages.h"

#include <array>
#include <vector>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "protocol/server_messages.h"

namespace countersign::protocol {
namespace {

const std::string kChain("\x9f\x00\x01\x02\x03\x04\x05\xff", kChainBytes);
const Identity kAnn{IdentityType::kUsername, "ann"};
const Identity kBob{IdentityType::kUsername, "bob"};

base::SystemTime at(long seconds) { return base::SystemTime(std::chrono::seconds(seconds)); }

MessageView hello() {
  MessageView message;
  message.conversation = "c-1";
  message.seq = 7;
  message.msg_id = "m-1";
  message.from = &kBob;
  message.time = at(1767225600);
  message.body = R"("text":"hello","headers":{"x":"1"})";
  return message;
}

InboxState state() {
  InboxState inbox;
  inbox.epoch = "e";
  inbox.floor = 3;
  inbox.top = 57;
  inbox.cursor = 41;
  inbox.from = 42;
  inbox.from_chain = kChain;
  return inbox;
}

TEST(InboxMessages, WritesWhereADeviceStands) {
  EXPECT_EQ(encode_sync_reply(5, state()),
            R"({"id":5,"sync":{"inbox":{"epoch":"e","floor":3,"top":57,"cursor":41,"from":42,)"
            R"("from_chain":"9f000102030405ff","recovered":true}}})");
  InboxState lost = state();
  lost.reason = ResetReason::kUnknownDevice;
  EXPECT_NE(encode_sync_reply(5, lost).find(R"("recovered":false,"reason":"unknown_device"})"),
            std::string::npos);
}

TEST(InboxMessages, StandsInTheReplyToConnectForThoseWhoAsked) {
  ConnectReply reply;
  EXPECT_EQ(encode_connect_reply(1, reply).find("inbox"), std::string::npos);
  reply.inbox = state();
  EXPECT_NE(encode_connect_reply(1, reply).find(R"(},"inbox":{"epoch":"e","floor":3,)"),
            std::string::npos);
}

TEST(InboxMessages, WritesAMessageOnceForManyInboxes) {
  const std::string tail = encode_message_tail(hello());
  EXPECT_EQ(join_entry(42, kChain, tail),
            R"({"offset":42,"chain":"9f000102030405ff","kind":"message","conv":"c-1","seq":7,)"
            R"("msg_id":"m-1","from":{"type":"username","endpoint":"bob"},)"
            R"("time":"2026-01-01T00:00:00.000Z","text":"hello","headers":{"x":"1"}})");
  EXPECT_EQ(join_entry(9, kChain, tail), R"({"offset":9,"chain":"9f000102030405ff")" + tail);
  EXPECT_TRUE(join_message(tail).starts_with(R"({"kind":"message","conv":"c-1","seq":7,)"));
}

TEST(InboxMessages, WritesWhatAMessageHasBeside) {
  MessageView message = hello();
  const std::array<Identity, 2> everybody{kAnn, kBob};
  message.kind = MessageView::Kind::kSent;
  message.to = everybody;
  message.group = true;
  message.expires = at(1767225660);
  EXPECT_NE(encode_message_tail(message).find(
                R"("expires":"2026-01-01T00:01:00.000Z",)"
                R"("to":[{"type":"username","endpoint":"ann"},)"
                R"({"type":"username","endpoint":"bob"}],"group":true,"text":)"),
            std::string::npos);
  EXPECT_TRUE(encode_message_tail(message).starts_with(R"(,"kind":"sent",)"));
}

TEST(InboxMessages, WritesChangesOfGroups) {
  MessageView message = hello();
  message.kind = MessageView::Kind::kGroup;
  const std::string body =
      encode_change_body(ChangeGroup::Action::kCreate, std::span(&kAnn, 1), "Friends");
  message.body = body;
  EXPECT_TRUE(encode_message_tail(message).ends_with(
      R"("group":true,"change":{"action":"create","users":[{"type":"username","endpoint":"ann"}],)"
      R"("name":"Friends"}})"));
  EXPECT_EQ(encode_change_body(ChangeGroup::Action::kLeave, {}, ""),
            R"("change":{"action":"leave"})");
}

TEST(InboxMessages, WritesStubsTombstonesAndFailures) {
  EXPECT_EQ(join_entry(1, kChain, encode_stub_tail("c-1", 7, "m-1")),
            R"({"offset":1,"chain":"9f000102030405ff","kind":"sent","conv":"c-1","seq":7,)"
            R"("msg_id":"m-1","stub":true})");
  EXPECT_EQ(join_entry(1, kChain, encode_gone_tail("c-1", 7)),
            R"({"offset":1,"chain":"9f000102030405ff","kind":"gone","conv":"c-1","seq":7})");
  EXPECT_EQ(encode_failed_tail("c-1", 7, "m-1", kBob, ErrorCode::kMessageExpired),
            R"(,"kind":"failed","conv":"c-1","seq":7,"msg_id":"m-1",)"
            R"("user":{"type":"username","endpoint":"bob"},)"
            R"("reason":{"code":213,"message":"The message has expired."}})");
  EXPECT_NE(encode_failed_tail("c", 1, "m", kBob, ErrorCode::kStoreFailed).find(R"("code":100,)"),
            std::string::npos);
}

TEST(InboxMessages, WritesThePush) {
  const std::vector<std::string> entries{"{\"offset\":1}", "{\"offset\":2}"};
  const std::vector<std::string_view> views(entries.begin(), entries.end());
  const std::string push = encode_inbox_push("e", views);
  EXPECT_EQ(push, R"({"push":{"inbox":{"epoch":"e","entries":[{"offset":1},{"offset":2}]}}})");
  EXPECT_EQ(encode_inbox_push("e", {}), R"({"push":{"inbox":{"epoch":"e","entries":[]}}})");
  EXPECT_LE(encode_inbox_push(std::string(64, 'e'), {}).size(), kInboxPushOverhead);
}

TEST(InboxMessages, WritesResetAndTop) {
  EXPECT_EQ(encode_reset_push(ResetReason::kFloor, "e", 12, kChain, 57),
            R"({"push":{"reset":{"reason":"floor","epoch":"e","from":12,)"
            R"("from_chain":"9f000102030405ff","top":57}}})");
  EXPECT_NE(encode_reset_push(ResetReason::kEpoch, "e", 0, kChain, 0).find(R"("reason":"epoch")"),
            std::string::npos);
  EXPECT_EQ(encode_top_push("e", 57), R"({"push":{"top":{"epoch":"e","top":57}}})");
}

TEST(InboxMessages, WritesRepliesToAckSendAndGroup) {
  EXPECT_EQ(encode_ack_reply(4, 57), R"({"id":4,"ack":{"offset":57}})");
  SendReply reply;
  reply.msg_id = "m";
  reply.conversation = "c-1";
  reply.seq = 7;
  reply.offset = kMaxInteger;
  reply.time = at(1767225600);
  EXPECT_EQ(encode_send_reply(6, reply),
            R"({"id":6,"send":{"msg_id":"m","conv":"c-1","seq":7,"offset":9007199254740991,)"
            R"("time":"2026-01-01T00:00:00.000Z","dup":false}})");
  reply.duplicate = true;
  reply.left_out = std::span(&kBob, 1);
  EXPECT_EQ(encode_group_reply(6, reply),
            R"({"id":6,"group":{"conv":"c-1","seq":7,"offset":9007199254740991,)"
            R"("time":"2026-01-01T00:00:00.000Z","dup":true,)"
            R"("left_out":[{"type":"username","endpoint":"bob"}]}})");
}

TEST(InboxMessages, WritesErrorsWithThoseWhoCausedThem) {
  const std::array<Identity, 2> both{kAnn, kBob};
  EXPECT_EQ(encode_error(6, ErrorCode::kBlocked, std::nullopt, both),
            R"({"id":6,"error":{"code":214,)"
            R"("message":"The recipient does not accept messages from you.","temporary":false,)"
            R"("users":[{"type":"username","endpoint":"ann"},)"
            R"({"type":"username","endpoint":"bob"}]}})");
}

TEST(InboxMessages, AreAlwaysOneLineOfJsonWhateverTheTextsHold) {
  std::string hostile;
  for (int c = 0; c < 256; ++c) hostile.push_back(static_cast<char>(c));
  const Identity who{IdentityType::kUsername, hostile};
  MessageView message = hello();
  message.conversation = hostile;
  message.msg_id = hostile;
  message.from = &who;
  message.to = std::span(&who, 1);
  InboxState inbox = state();
  inbox.epoch = hostile;
  for (const std::string& text :
       {join_message(encode_message_tail(message)), encode_sync_reply(1, inbox),
        join_message(encode_stub_tail(hostile, 1, hostile)), encode_top_push(hostile, 1),
        join_message(encode_failed_tail(hostile, 1, hostile, who, ErrorCode::kBlocked)),
        "{" + encode_change_body(ChangeGroup::Action::kAdd, message.to, hostile) + "}"}) {
    boost::json::error_code error;
    boost::json::parse(text, error);
    EXPECT_FALSE(error) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace countersign::protocol

#include "protocol/mxp_message.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "protocol/conversation_messages.h"
#include "protocol/inbox_messages.h"
#include "protocol/server_messages.h"

namespace countersign::protocol {
namespace {

MxpMessage any_text() {
  MxpMessage message;
  message.code = kMxpText;
  message.type = "msg";
  message.body = R"({"t":"hi"})";
  message.user = "alice";
  message.instance = "i1:7";
  message.device = "i1";
  message.channel = "t-alice";
  return message;
}

TEST(MxpMessage, IsWrittenAsTheSdkWritesIt) {
  EXPECT_EQ(
      encode_mxp_message(any_text()),
      R"({"bd":"{\"t\":\"hi\"}","md":1,"bt":"msg","bv":10,"fu":"alice","fi":"i1:7","fd":"i1","fc":"","fs":"t-alice"})");
}

TEST(MxpMessage, DecodingInvertsEncoding) {
  EXPECT_TRUE(rc::check([] {
    const auto text = rc::gen::container<std::string>(rc::gen::inRange<char>(' ', '~'));
    MxpMessage message = any_text();
    message.code = *rc::gen::inRange<std::uint32_t>(0, 20);
    message.body = *text;
    message.user = (*text).substr(0, 100);
    if (*rc::gen::arbitrary<bool>()) message.headers = *text;
    const auto read = decode_mxp_message(encode_mxp_message(message));
    RC_ASSERT(read.ok());
    RC_ASSERT(*read == message);
  }));
}

TEST(MxpMessage, ReadsAReceiptWithoutABody) {
  const auto receipt = decode_mxp_message(
      R"({"md":2,"bt":"msg","bv":10,"fu":"bob","fi":"i2:4294967296","fd":"i2","fc":"","fs":"t"})");
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->code, kMxpReceipt);
  EXPECT_TRUE(receipt->body.empty());
}

TEST(MxpMessage, RefusesWhatIsNone) {
  for (const char* text :
       {"", "x", "[]", "{}", R"({"md":"1","bv":10})", R"({"md":1})", R"({"md":-1,"bv":10})",
        R"({"md":1,"bv":10,"fu":1})", R"({"md":1,"bv":10,"fsi":"x"})",
        R"({"md":1,"bv":10,"nvps":{"fsi":"x"}})", R"({"md":1,"bv":10,"nvps":{"ph":{}}})",
        R"({"md":1,"md":2,"bv":10})", R"({"md":1,"bv":10,"fu":"\u0000"})"}) {
    EXPECT_FALSE(decode_mxp_message(text)) << text;
  }
}

TEST(MxpMessage, TextCrossesBothWays) {
  const auto body = body_of_mxp_text(R"({"t":"Grüße 😀 \"x\""})", std::nullopt);
  ASSERT_TRUE(body);
  EXPECT_EQ(*body, R"("text":"Grüße 😀 \"x\"")");
  const auto back = mxp_text_of_body(*body);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->bd, R"({"t":"Grüße 😀 \"x\""})");
  EXPECT_FALSE(back->headers);
}

TEST(MxpMessage, HeadersThatAreAnObjectOfTextsAreHeaders) {
  const auto body = body_of_mxp_text(R"({"t":"a"})", R"({"z":"1","b":"2"})");
  ASSERT_TRUE(body);
  EXPECT_EQ(*body, R"("text":"a","headers":{"b":"2","z":"1"})");
  EXPECT_EQ(mxp_text_of_body(*body)->headers, R"({"b":"2","z":"1"})");
}

TEST(MxpMessage, AnyOtherHeaderStringComesBackAsItWas) {
  for (const std::string headers :
       {"plain", R"({"a":1})", R"({"ph":"x"})", "[]", "{}", R"({"a":{"b":"c"}})"}) {
    const auto body = body_of_mxp_text(R"({"t":"a"})", headers);
    ASSERT_TRUE(body) << headers;
    EXPECT_EQ(mxp_text_of_body(*body)->headers, headers);
  }
}

TEST(MxpMessage, RefusesBodiesThatNoMessageHas) {
  EXPECT_FALSE(body_of_mxp_text("", std::nullopt));
  EXPECT_FALSE(body_of_mxp_text("{}", std::nullopt));
  EXPECT_FALSE(body_of_mxp_text(R"({"t":1})", std::nullopt));
  EXPECT_FALSE(body_of_mxp_text(R"({"t":""})", std::nullopt));
  EXPECT_EQ(body_of_mxp_text(R"({"t":")" + std::string(kMaxTextBytes + 1, 'a') + "\"}", {}).code(),
            ErrorCode::kMessageTooLarge);
}

TEST(MxpMessage, AttachmentsAreToldAsAddresses) {
  const auto text = mxp_text_of_body(
      R"("text":"look","attachments":[{"url":"https://a.example/1"},{"url":"https://a.example/2"}])");
  ASSERT_TRUE(text);
  EXPECT_EQ(text->bd, R"({"t":"look\nhttps://a.example/1\nhttps://a.example/2"})");
}

TEST(MxpMessage, ReadsWhatTheDesksAnswer) {
  EXPECT_EQ(error_of_reply(encode_error(3, ErrorCode::kBlocked)), ErrorCode::kBlocked);
  SendReply reply;
  reply.msg_id = "m";
  reply.conversation = "c-1";
  EXPECT_FALSE(error_of_reply(encode_send_reply(3, reply)));
  EXPECT_EQ(error_of_reply("?"), ErrorCode::kInternal);
}

TEST(MxpMessage, ReadsReceiptsOfMembersAndNoCounts) {
  const Identity bob{IdentityType::kUsername, "bob"};
  const auto receipt = read_receipts_push(encode_receipts_push("c-1", {&bob, 5, 2}));
  ASSERT_TRUE(receipt);
  EXPECT_EQ(receipt->conversation, "c-1");
  EXPECT_EQ(receipt->user, bob);
  EXPECT_EQ(receipt->delivered, 5);
  EXPECT_FALSE(read_receipts_push(encode_receipt_counts_push("g-1", 1, 1, 1, 2)));
  EXPECT_FALSE(read_receipts_push(encode_typing_push("c-1", bob, true)));
}

}  // namespace
}  // namespace countersign::protocol

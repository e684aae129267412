#include "protocol/server_messages.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace countersign::protocol {
namespace {

using std::chrono::milliseconds;

base::SystemTime at(long seconds, long ms) {
  return base::SystemTime(std::chrono::seconds(seconds) + milliseconds(ms));
}

TEST(ServerMessages, WritesTheReplyToConnect) {
  ConnectReply reply;
  reply.connection = "c";
  reply.node = "n";
  reply.user_type = IdentityType::kEmail;
  reply.user_endpoint = "a\"b@example.org";
  reply.device = "d";
  reply.server_time = at(1767225600, 7);
  reply.instance_expires_at = at(1767229200, 0);
  EXPECT_EQ(encode_connect_reply(1, reply),
            R"({"id":1,"connect":{"connection":"c","node":"n",)"
            R"("user":{"type":"email","endpoint":"a\"b@example.org"},"device":"d",)"
            R"("server_time":"2026-01-01T00:00:00.007Z",)"
            R"("instance_expires_at":"2026-01-01T01:00:00.000Z",)"
            R"("ping":{"interval":25000,"pong":true},)"
            R"("limits":{"max_frame_bytes":65536,"max_queued_bytes":262144,)"
            R"("commands_per_second":20,"command_burst":60}}})");
  reply.instance = "i";
  reply.secret = "s=";
  EXPECT_NE(encode_connect_reply(1, reply).find(R"(,"instance":"i","secret":"s="}})"),
            std::string::npos);
}

TEST(ServerMessages, WritesTheOtherReplies) {
  EXPECT_EQ(encode_refresh_reply(2, at(1767225600, 0)),
            R"({"id":2,"refresh":{"instance_expires_at":"2026-01-01T00:00:00.000Z"}})");
  EXPECT_EQ(encode_ping_reply(3), R"({"id":3,"ping":{}})");
  EXPECT_EQ(encode_terminate_reply(4), R"({"id":4,"terminate":{}})");
}

TEST(ServerMessages, WritesErrorsWithTheirPublicTextAndWhetherToTryAgain) {
  EXPECT_EQ(encode_error(5, ErrorCode::kUnauthorized),
            R"({"id":5,"error":{"code":101,"message":"The credential was not accepted.",)"
            R"("temporary":false}})");
  EXPECT_EQ(encode_error(6, ErrorCode::kTooManyRequests, milliseconds(250)),
            R"({"id":6,"error":{"code":111,"message":"Too many requests; wait and try again.",)"
            R"("temporary":true,"retry_after_ms":250}})");
}

TEST(ServerMessages, LetsNoInnerCodeOut) {
  EXPECT_EQ(gateway_code(ErrorCode::kBadSignature), ErrorCode::kUnauthorized);
  EXPECT_EQ(gateway_code(ErrorCode::kRevoked), ErrorCode::kUnauthorized);
  EXPECT_EQ(gateway_code(ErrorCode::kExpired), ErrorCode::kTicketExpired);
  EXPECT_EQ(gateway_code(ErrorCode::kStoreFull), ErrorCode::kOverloaded);
  EXPECT_EQ(gateway_code(ErrorCode::kStoreFailed), ErrorCode::kInternal);
  EXPECT_EQ(gateway_code(ErrorCode::kAbsent), ErrorCode::kInternal);
  EXPECT_EQ(gateway_code(ErrorCode::kBusFailed), ErrorCode::kInternal);
  for (const ErrorCode code : {ErrorCode::kUnrecoverablePosition, ErrorCode::kIdempotencyConflict,
                               ErrorCode::kMessageTooLarge, ErrorCode::kRecipientLimit,
                               ErrorCode::kMessageExpired, ErrorCode::kBlocked}) {
    EXPECT_EQ(gateway_code(code), code);
  }
  for (int number = 0; number < 2000; ++number) {
    const int wire = static_cast<int>(gateway_code(static_cast<ErrorCode>(number)));
    EXPECT_TRUE(wire >= 100 && wire < 400) << number;
  }
}

TEST(ServerMessages, WritesPushes) {
  EXPECT_EQ(encode_expiring(milliseconds(1500)), R"({"push":{"expiring":{"in_ms":1500}}})");
  EXPECT_EQ(encode_expiring(milliseconds(-1)), R"({"push":{"expiring":{"in_ms":0}}})");
  EXPECT_EQ(encode_bye(CloseCode::kRevoked, milliseconds(0)),
            R"({"push":{"bye":{"code":4503,"reason":"revoked","retry_after_ms":0}}})");
}

TEST(ServerMessages, AreAlwaysJsonWhateverTheNamesHold) {
  std::string hostile;
  for (int c = 0; c < 256; ++c) hostile.push_back(static_cast<char>(c));
  ConnectReply reply;
  reply.user_endpoint = hostile;
  reply.device = hostile;
  boost::json::error_code error;
  boost::json::parse(encode_connect_reply(1, reply), error);
  EXPECT_FALSE(error) << error.message();
}

}  // namespace
}  // namespace countersign::protocol

#include "gateway/callback_desk.h"

#include <gtest/gtest.h>

namespace countersign::gateway {
namespace {

using Kind = CallbackVerdict::Kind;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::SystemTime kThen{std::chrono::microseconds(1'700'000'000'000'000)};
constexpr std::uint32_t kMost = 65'535;

storage::Callback callback(std::uint32_t attempts = 0) {
  storage::Callback made;
  made.key = "k1";
  made.user = {"app", {IdentityType::kUsername, "ann \"x\""}};
  made.conversation = "c-1";
  made.seq = 7;
  made.message_id = "m1";
  made.time = kThen;
  made.attempts = attempts;
  return made;
}

CallbackVerdict judge(const storage::Callback& about, const CallbackAnswer& answer,
                      std::uint32_t jitter = kMost) {
  return judge_callback(about, answer, CallbackRules(), kThen, jitter);
}

TEST(CallbackDesk, TakesEvery2xx) {
  for (const int status : {200, 201, 204, 299}) {
    EXPECT_EQ(judge(callback(), {status, "", std::nullopt, false}).kind, Kind::kTaken) << status;
  }
}

TEST(CallbackDesk, GivesUpAtOnceOnWhatAnotherAttemptCannotChange) {
  for (const int status : {400, 401, 403, 404, 410, 422}) {
    const CallbackVerdict verdict = judge(callback(), {status, "", std::nullopt, false});
    EXPECT_EQ(verdict.kind, Kind::kDead) << status;
    EXPECT_EQ(verdict.error, std::to_string(status));
  }
}

TEST(CallbackDesk, GivesUpOnWhatCannotBePosted) {
  const CallbackVerdict verdict = judge(callback(), {0, "unknown_application", std::nullopt, true});
  EXPECT_EQ(verdict.kind, Kind::kDead);
  EXPECT_EQ(verdict.error, "unknown_application");
}

TEST(CallbackDesk, TriesTheRestAgainRedirectsIncluded) {
  for (const int status : {100, 301, 302, 307, 308, 408, 425, 429, 500, 502, 503, 504}) {
    EXPECT_EQ(judge(callback(), {status, "", std::nullopt, false}).kind, Kind::kRetry) << status;
  }
  const CallbackVerdict silent = judge(callback(), {0, "timeout", std::nullopt, false});
  EXPECT_EQ(silent.kind, Kind::kRetry);
  EXPECT_EQ(silent.error, "timeout");
}

TEST(CallbackDesk, PausesDoubleFromASecondToAnHourWithJitter) {
  const CallbackAnswer failed{500, "", std::nullopt, false};
  EXPECT_EQ(judge(callback(0), failed).next, kThen + seconds(1));
  EXPECT_EQ(judge(callback(0), failed, 0).next, kThen + milliseconds(500));
  EXPECT_EQ(judge(callback(3), failed).next, kThen + seconds(8));
  EXPECT_EQ(judge(callback(12), failed).next, kThen + hours(1));
  EXPECT_EQ(judge(callback(4'000'000'000U), failed).next, kThen + hours(1));
  EXPECT_EQ(judge(callback(4'000'000'000U), failed, 0).next, kThen + std::chrono::minutes(30));
}

TEST(CallbackDesk, ObeysRetryAfterUpToAnHour) {
  EXPECT_EQ(judge(callback(), {503, "", seconds(90), false}).next, kThen + seconds(90));
  EXPECT_EQ(judge(callback(), {503, "", hours(1'000), false}).next, kThen + hours(1));
  EXPECT_EQ(judge(callback(5), {503, "", seconds(1), false}).next, kThen + seconds(32));
}

TEST(CallbackDesk, GivesUpAfterAWeek) {
  storage::Callback old = callback(20);
  old.time = kThen - hours(24 * 7) + seconds(1);
  EXPECT_EQ(judge(old, {500, "", std::nullopt, false}).kind, Kind::kDead);
  old.time = kThen - hours(24 * 6);
  EXPECT_EQ(judge(old, {500, "", std::nullopt, false}).kind, Kind::kRetry);
}

TEST(CallbackDesk, WritesAMessageWithItsBodyAndRecipients) {
  CallbackMessage message;
  message.body = R"("text":"hello","headers":{"a":"b"})";
  message.to = {{IdentityType::kEmail, "bob@example.org"}};
  EXPECT_EQ(encode_callback(callback(), message),
            R"({"id":"k1","event":"message.sent","time":"2023-11-14T22:13:20.000Z",)"
            R"("application":"app","user":{"type":"username","endpoint":"ann \"x\""},)"
            R"("message":{"conv":"c-1","seq":7,"msg_id":"m1",)"
            R"("to":[{"type":"email","endpoint":"bob@example.org"}],)"
            R"("text":"hello","headers":{"a":"b"}}})");
}

TEST(CallbackDesk, SaysThatAMessageHasGone) {
  CallbackMessage message;
  message.gone = true;
  message.group = true;
  const std::string text = encode_callback(callback(), message);
  EXPECT_NE(text.find(R"("group":true,"gone":true}})"), std::string::npos) << text;
}

TEST(CallbackDesk, WritesReceiptsAndInstances) {
  storage::Callback about = callback();
  about.kind = storage::CallbackKind::kMessageDelivered;
  EXPECT_TRUE(
      encode_callback(about, std::nullopt).ends_with(R"("message":{"conv":"c-1","seq":7}})"));
  about.kind = storage::CallbackKind::kInstanceEnded;
  about.instance = "i1";
  EXPECT_TRUE(encode_callback(about, std::nullopt).ends_with(R"("instance":{"id":"i1"}})"));
}

}  // namespace
}  // namespace countersign::gateway

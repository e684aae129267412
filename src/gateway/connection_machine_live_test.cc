// Staying in: expiry, refresh, pings, limits, revocation, and the ways out.
#include <gtest/gtest.h>

#include "gateway/machine_fixture.h"

namespace countersign::gateway {
namespace {

using Phase = ConnectionMachine::Phase;

std::size_t count(const std::vector<std::string>& frames, std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      frames.begin(), frames.end(),
      [text](const std::string& frame) { return frame.find(text) != std::string::npos; }));
}

TEST_F(MachineTest, PingsWithinEveryIntervalAndClosesWith4112AfterTenSilentSeconds) {
  become_live();
  const auto first = *machine_->next_deadline();
  EXPECT_GE(first, now_.steady + config_.ping_interval / 2);
  EXPECT_LE(first, now_.steady + config_.ping_interval);
  const Actions ping = run_until(first);
  EXPECT_EQ(frames(ping), std::vector<std::string>{"{}"});
  EXPECT_TRUE(run_until(first + seconds(10) - milliseconds(1)).empty());
  expect_closed(run_until(first + seconds(10)), CloseCode::kNoPong);
}

TEST_F(MachineTest, ClosesWith4112AlsoWhenPingsComeFasterThanTheirTimeout) {
  config_.ping_interval = seconds(5);
  restart();
  become_live();
  const auto first = *machine_->next_deadline();
  expect_closed(run_until(first + seconds(10)), CloseCode::kNoPong);
}

TEST_F(MachineTest, TakesAPongAndAnyOtherFrameAsASignOfLife) {
  become_live();
  for (int round = 0; round < 20; ++round) {
    run_until(*machine_->next_deadline());
    if (round % 2 == 0) {
      EXPECT_TRUE(machine_->on_frame("{}", now_).empty());
    } else {
      command(protocol::Ping{});
    }
  }
  expect_open();
}

TEST_F(MachineTest, AnswersPing) {
  become_live();
  expect_pong(command(protocol::Ping{}));
}

TEST_F(MachineTest, AnnouncesTheEndAtFourFifthsOfLifeAndAMinuteBefore) {
  config_.ping_interval = hours(100);
  restart();
  become_live(seconds(3600));
  const auto start = now_.steady;
  EXPECT_TRUE(run_until(start + seconds(2880) - milliseconds(1)).empty());
  EXPECT_EQ(frames(run_until(start + seconds(2880))),
            std::vector<std::string>{R"({"push":{"expiring":{"in_ms":720000}}})"});
  EXPECT_TRUE(run_until(start + seconds(3540) - milliseconds(1)).empty());
  EXPECT_EQ(frames(run_until(start + seconds(3540))),
            std::vector<std::string>{R"({"push":{"expiring":{"in_ms":60000}}})"});
  EXPECT_TRUE(run_until(start + seconds(3600)).empty());
}

TEST_F(MachineTest, AnnouncesTheEndOnceWhereBothNoticesFallTogether) {
  config_.ping_interval = hours(100);
  restart();
  become_live(seconds(300));
  EXPECT_EQ(frames(run_until(now_.steady + seconds(299))).size(), 1U);
}

TEST_F(MachineTest, HoldsPushesWhileFenced) {
  config_.ping_interval = hours(100);
  restart();
  become_live(seconds(3600));
  now_.fenced = true;
  EXPECT_TRUE(run_until(now_.steady + seconds(2890)).empty());
  now_.fenced = false;
  EXPECT_EQ(count(frames(run_until(now_.steady + seconds(1))), "expiring"), 1U);
}

TEST_F(MachineTest, ServesUntilTheInstantOfExpiryAndNotAtIt) {
  become_live(seconds(100));
  now_.wall += seconds(100) - std::chrono::microseconds(1);
  expect_pong(command(protocol::Ping{}));
  now_.wall += std::chrono::microseconds(1);
  expect_error(command(protocol::Ping{}), ErrorCode::kInstanceExpired);
  expect_error(command(protocol::Terminate{}), ErrorCode::kInstanceExpired);
  EXPECT_EQ(machine_->phase(), Phase::kExpired);
}

TEST_F(MachineTest, ClosesWith4105TwentyFiveSecondsAfterExpiry) {
  config_.ping_interval = hours(100);
  restart();
  become_live(seconds(30));
  const auto end = now_.steady + seconds(30);
  run_until(end + seconds(25) - milliseconds(1));
  EXPECT_EQ(machine_->phase(), Phase::kExpired);
  expect_closed(run_until(end + seconds(25)), CloseCode::kInstanceExpired);
}

TEST_F(MachineTest, IsServedAgainAfterARefreshInTheGrace) {
  become_live(seconds(30));
  pass(seconds(40));
  const Actions asked = refresh_ticket(facts(seconds(600)));
  ASSERT_NE(find<RefreshInstance>(asked), nullptr);
  const Actions out = machine_->on_refreshed({}, now_);
  EXPECT_EQ(count(frames(out), R"("refresh":{"instance_expires_at":"2026-01-01T00:10:40.000Z"})"),
            1U);
  EXPECT_EQ(machine_->phase(), Phase::kLive);
  EXPECT_EQ(machine_->membership().expires(), now_.wall + seconds(600));
}

TEST_F(MachineTest, RefusesARefreshWhoseTicketEndsBeforeTheStoreAnswers) {
  become_live(seconds(100));
  refresh_ticket(facts(seconds(5)));
  pass(seconds(5));
  expect_error(machine_->on_refreshed({}, now_), ErrorCode::kTicketExpired);
  expect_open();
}

TEST_F(MachineTest, ExpiresByTheWallClockAlsoWhenItJumpsAhead) {
  become_live(hours(1));
  now_.wall += hours(2);
  expect_error(command(protocol::Ping{}), ErrorCode::kInstanceExpired);
  expect_open();  // the grace is real time
  pass(seconds(25));
  expect_closed(machine_->on_timer(now_), CloseCode::kInstanceExpired);
}

TEST_F(MachineTest, WaitsWithoutSpinningWhileTheWallClockStandsStill) {
  config_.ping_interval = hours(100);
  restart();
  become_live(seconds(60));
  now_.steady += seconds(60);
  for (int i = 0; i < 10; ++i) {
    machine_->on_timer(now_);
    ASSERT_GE(*machine_->next_deadline(), now_.steady + seconds(1));
    now_.steady = *machine_->next_deadline();
  }
}

TEST_F(MachineTest, RefusesARefreshForAnybodyElseAndChangesNothing) {
  become_live();
  const auto expires = machine_->membership().expires();
  TicketFacts other_app = facts(hours(2)), other_type = facts(hours(2)),
              other_name = facts(hours(2));
  other_app.application_key = "app-key2";
  other_type.identity.type = IdentityType::kEmail;
  other_name.identity.endpoint = "Ann";
  for (const TicketFacts& other : {other_app, other_type, other_name}) {
    const Actions out = refresh_ticket(other);
    expect_error(out, ErrorCode::kPermissionDenied);
    EXPECT_EQ(find<RefreshInstance>(out), nullptr);
    EXPECT_EQ(machine_->membership().expires(), expires);
    expect_open();
  }
}

TEST_F(MachineTest, KeepsTheConnectionWhenARefreshBringsABadTicket) {
  become_live();
  expect_error(refresh_ticket(fail(ErrorCode::kBadSignature)), ErrorCode::kUnauthorized);
  expect_error(refresh_ticket(fail(ErrorCode::kExpired)), ErrorCode::kTicketExpired);
  expect_open();
}

TEST_F(MachineTest, ClosesWith4503WhenARevokedSessionRefreshes) {
  become_live();
  refresh_ticket(facts());
  const Actions out = machine_->on_refreshed(fail(ErrorCode::kRevoked), now_);
  expect_error(out, ErrorCode::kUnauthorized);
  expect_closed(out, CloseCode::kRevoked);
}

TEST_F(MachineTest, TreatsAnInstanceThatEndedUnderItAsRevoked) {
  become_live();
  refresh_ticket(facts());
  expect_closed(machine_->on_refreshed(fail(ErrorCode::kAbsent), now_), CloseCode::kRevoked);
}

TEST_F(MachineTest, HearsOfBothSessionsWhileARefreshMovesFromOneToTheOther) {
  become_live();
  TicketFacts next = facts();
  next.session = base::SessionHandle("session-2");
  const Actions asked = refresh_ticket(next);
  ASSERT_NE(find<WatchSession>(asked), nullptr);
  EXPECT_EQ(find<WatchSession>(asked)->session.text(), "session-2");
  EXPECT_EQ(machine_->membership().session(), "session-1");
  EXPECT_NE(find<Enrol>(machine_->on_refreshed({}, now_)), nullptr);
  EXPECT_EQ(machine_->membership().session(), "session-2");
}

TEST_F(MachineTest, ForgetsTheOtherSessionWhenTheRefreshFails) {
  become_live();
  TicketFacts next = facts();
  next.session = base::SessionHandle("session-2");
  refresh_ticket(next);
  const Actions out = machine_->on_refreshed(fail(ErrorCode::kStoreFailed), now_);
  expect_error(out, ErrorCode::kInternal);
  EXPECT_NE(find<Enrol>(out), nullptr);
  EXPECT_EQ(machine_->membership().session(), "session-1");
  expect_open();
}

TEST_F(MachineTest, RefusesARefreshWhileAnotherIsUnderWayAndWhileFenced) {
  become_live();
  command(protocol::Refresh{"t"});
  expect_error(command(protocol::Refresh{"t"}), ErrorCode::kBadState);
  restart();
  become_live();
  now_.fenced = true;
  expect_error(command(protocol::Refresh{"t"}), ErrorCode::kOverloaded);
}

TEST_F(MachineTest, EndsTheInstanceBeforeItAnswersTerminateAndCloses) {
  become_live();
  const Actions asked = command(protocol::Terminate{});
  ASSERT_NE(find<EndInstance>(asked), nullptr);
  EXPECT_EQ(find<EndInstance>(asked)->id.text(), machine_->membership().instance());
  EXPECT_TRUE(frames(asked).empty());
  const Actions out = machine_->on_ended({}, now_);
  EXPECT_EQ(frames(out), std::vector<std::string>{protocol::encode_terminate_reply(id_)});
  EXPECT_NE(find<CloseNormally>(out), nullptr);
  EXPECT_EQ(machine_->phase(), Phase::kClosing);
}

TEST_F(MachineTest, StaysWhenTheInstanceCannotBeEnded) {
  become_live();
  command(protocol::Terminate{});
  expect_error(machine_->on_ended(fail(ErrorCode::kStoreFailed), now_), ErrorCode::kInternal);
  expect_open();
}

TEST_F(MachineTest, TerminatesAfterARefreshThatIsUnderWay) {
  become_live();
  refresh_ticket(facts());
  EXPECT_TRUE(command(protocol::Terminate{}).empty());
  const Actions refreshed = machine_->on_refreshed({}, now_);
  EXPECT_EQ(count(frames(refreshed), "\"refresh\""), 1U);
  EXPECT_NE(find<EndInstance>(refreshed), nullptr);
  EXPECT_EQ(first_frame(machine_->on_ended({}, now_)), protocol::encode_terminate_reply(id_));
}

TEST_F(MachineTest, ClosesWith4503WhenRevokedAndStaysClosed) {
  become_live();
  expect_closed(machine_->on_revoked(now_), CloseCode::kRevoked);
  EXPECT_TRUE(command(protocol::Ping{}).empty());
  EXPECT_TRUE(machine_->on_revoked(now_).empty());
  EXPECT_EQ(machine_->next_deadline(), std::nullopt);
}

TEST_F(MachineTest, AnswersTheCommandThatIsUnderWayBeforeItClosesAsRevoked) {
  become_live();
  refresh_ticket(facts());
  const std::uint32_t refresh = id_;
  command(protocol::Terminate{});
  const auto out = frames(machine_->on_revoked(now_));
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(out[0], protocol::encode_error(refresh, ErrorCode::kUnauthorized));
  EXPECT_EQ(out[1], protocol::encode_error(id_, ErrorCode::kUnauthorized));
}

TEST_F(MachineTest, ClosesTheOlderConnectionOfADeviceWith4508) {
  become_live();
  const Actions same = machine_->on_replaced(true, now_);
  expect_closed(same, CloseCode::kReplaced);
  EXPECT_EQ(find<EndInstance>(same), nullptr);

  restart();
  become_live();
  const Actions other = machine_->on_replaced(false, now_);
  expect_closed(other, CloseCode::kReplaced);
  ASSERT_NE(find<EndInstance>(other), nullptr);
  EXPECT_FALSE(find<EndInstance>(other)->answer);
}

TEST_F(MachineTest, LeavesAtItsMomentOfAShutdownAndSaysWhenToComeBack) {
  become_live();
  machine_->on_shutdown(now_.steady + seconds(3), milliseconds(1234), now_);
  EXPECT_TRUE(run_until(now_.steady + seconds(3) - milliseconds(1)).empty());
  const Actions out = run_until(now_.steady + milliseconds(1));
  expect_closed(out, CloseCode::kShutdown);
  EXPECT_EQ(first_frame(out),
            R"({"push":{"bye":{"code":4101,"reason":"shutdown","retry_after_ms":1234}}})");
}

TEST_F(MachineTest, SendsAwayWhoConnectsDuringAShutdown) {
  machine_->on_shutdown(now_.steady + seconds(3), milliseconds(500), now_);
  const Actions out = connect_with_ticket();
  expect_error(out, ErrorCode::kOverloaded);
  expect_closed(out, CloseCode::kShutdown);
}

TEST_F(MachineTest, SendsTheClientRoundThroughTheChecksWhenRevocationsMayHaveBeenMissed) {
  become_live();
  expect_closed(machine_->on_recheck(now_), CloseCode::kRebalance);
}

TEST_F(MachineTest, AnswersMoreThanTheBudgetWith111AndWhenToTryAgain) {
  become_live();
  pass(seconds(60));
  const auto burst = config_.limits.command_burst;
  for (std::uint32_t i = 0; i < burst; ++i) {
    expect_pong(command(protocol::Ping{}));
  }
  const std::string refused = first_frame(command(protocol::Ping{}));
  EXPECT_NE(refused.find("\"code\":111"), std::string::npos);
  EXPECT_NE(refused.find("\"temporary\":true,\"retry_after_ms\":51}"), std::string::npos);
  pass(milliseconds(51));
  expect_pong(command(protocol::Ping{}));
}

TEST_F(MachineTest, ClosesWith4113WhenTheClientNeverSlowsDown) {
  become_live();
  Actions out;
  std::size_t sent = 0;
  while (machine_->phase() != Phase::kClosing && sent < 1000) {
    out = command(protocol::Ping{});
    ++sent;
  }
  EXPECT_EQ(sent, config_.limits.command_burst - 1 + config_.max_refusals);
  expect_closed(out, CloseCode::kTooManyRequests);
}

TEST_F(MachineTest, CountsPongsThatNobodyAskedFor) {
  become_live();
  std::size_t sent = 0;
  while (machine_->phase() != Phase::kClosing && sent < 1000) {
    machine_->on_frame("{}", now_);
    ++sent;
  }
  EXPECT_LT(sent, 1000U);
}

TEST_F(MachineTest, LeavesTheHubWhenTheConnectionBreaks) {
  become_live();
  EXPECT_NE(find<Leave>(machine_->on_closed()), nullptr);
  EXPECT_TRUE(command(protocol::Ping{}).empty());
}

}  // namespace
}  // namespace countersign::gateway

// Getting in: the first seconds of a connection.
#include <gtest/gtest.h>

#include "gateway/machine_fixture.h"

namespace countersign::gateway {
namespace {

using Phase = ConnectionMachine::Phase;

TEST_F(MachineTest, ClosesWith4501WhenConnectDoesNotComeWithinFiveSeconds) {
  pass(seconds(5) - std::chrono::microseconds(1));
  EXPECT_TRUE(machine_->on_timer(now_).empty());
  pass(std::chrono::microseconds(1));
  expect_closed(machine_->on_timer(now_), CloseCode::kNoConnect);
}

TEST_F(MachineTest, AnswersACommandBeforeConnectWith105AndKeepsTheDeadline) {
  const auto deadline = machine_->next_deadline();
  pass(seconds(1));
  expect_error(command(protocol::Ping{}), ErrorCode::kBadState);
  expect_error(command(protocol::Terminate{}), ErrorCode::kBadState);
  expect_error(command(protocol::Refresh{"t"}), ErrorCode::kBadState);
  EXPECT_EQ(machine_->next_deadline(), deadline);
}

TEST_F(MachineTest, AnswersAnUnknownVerbWith104) {
  next_id();
  expect_error(machine_->on_frame(R"({"id":1,"sent":{}})", now_), ErrorCode::kUnknownVerb);
  expect_open();
}

TEST_F(MachineTest, ClosesWith4502OnGarbage) {
  expect_closed(machine_->on_frame("{\"id\":", now_), CloseCode::kBadFrame);
}

TEST_F(MachineTest, ClosesWith4502WhenIdsDoNotGrow) {
  machine_->on_frame(R"({"id":4,"ping":{}})", now_);
  expect_closed(machine_->on_frame(R"({"id":4,"ping":{}})", now_), CloseCode::kBadFrame);
}

TEST_F(MachineTest, ObeysEverythingBeforeGarbageInOneFrame) {
  become_live();
  const Actions out = machine_->on_frame("{\"id\":5,\"ping\":{}}\nnonsense\n{}", now_);
  EXPECT_EQ(first_frame(out), protocol::encode_ping_reply(5));
  expect_closed(out, CloseCode::kBadFrame);
}

TEST_F(MachineTest, EnrolsBeforeItAsksTheStoreSoThatNoRevocationFallsBetween) {
  const Actions asked = connect_with_ticket();
  EXPECT_EQ(find<VerifyTicket>(asked)->ticket, "ticket");
  const Actions verified = machine_->on_ticket(facts(), {"dev", 5}, now_);
  EXPECT_NE(find<Enrol>(verified), nullptr);
  EXPECT_EQ(find<CreateInstance>(verified), nullptr);
  EXPECT_EQ(machine_->membership().session(), "session-1");
  const Actions enrolled = machine_->on_enrolled({}, now_);
  ASSERT_NE(find<CreateInstance>(enrolled), nullptr);
  EXPECT_EQ(find<CreateInstance>(enrolled)->instance.generation, 5U);
}

TEST_F(MachineTest, AnswersConnectWithTheInstanceItsSecretAndItsExpiry) {
  const Actions out = become_live();
  const std::string id(machine_->membership().instance());
  const auto secret = keys_.secret("key-1", "app-key", id, 5);
  const std::string reply = first_frame(out);
  EXPECT_EQ(reply.find(R"({"id":1,"connect":{"connection":"0000000000001234","node":"local",)"),
            0U);
  EXPECT_NE(reply.find(R"("user":{"type":"username","endpoint":"ann"},"device":"tab-1",)"
                       R"("server_time":"2026-01-01T00:00:00.000Z",)"
                       R"("instance_expires_at":"2026-01-01T01:00:00.000Z",)"
                       R"("ping":{"interval":25000,"pong":true},"limits":{"max_frame_bytes":65536,)"
                       R"("max_queued_bytes":262144,)"),
            std::string::npos);
  EXPECT_NE(reply.find(R"("instance":")" + id + R"(","secret":")" + *secret + "\"}}"),
            std::string::npos);
  EXPECT_NE(find<Announce>(out), nullptr);
}

TEST_F(MachineTest, GivesOneDeviceOfOneUserTheSameInstanceId) {
  become_live();
  const std::string first(machine_->membership().instance());
  restart();
  become_live();
  EXPECT_EQ(machine_->membership().instance(), first);
  restart();
  connect_with_ticket("tab-2");
  machine_->on_ticket(facts(), {}, now_);
  EXPECT_NE(machine_->membership().instance(), first);
}

TEST_F(MachineTest, MakesUpADeviceForAClientThatNamesNone) {
  connect_with_ticket("");
  machine_->on_ticket(facts(), {"made-up", 1}, now_);
  EXPECT_EQ(machine_->membership().device(), "made-up");
}

TEST_F(MachineTest, AnswersASecondConnectWith105) {
  become_live();
  const Actions out = connect_with_ticket();
  expect_error(out, ErrorCode::kBadState);
  expect_open();
}

TEST_F(MachineTest, CapsTheInstanceAtADayAhead) {
  connect_with_ticket();
  machine_->on_ticket(facts(hours(30)), {}, now_);
  EXPECT_EQ(machine_->membership().expires(), now_.wall + hours(24));
}

TEST_F(MachineTest, RefusesATicketThatLivesOnlyByTheVerifiersSkew) {
  connect_with_ticket();
  TicketFacts old = facts();
  old.expires = now_.wall;
  const Actions out = machine_->on_ticket(old, {}, now_);
  expect_error(out, ErrorCode::kTicketExpired);
  expect_closed(out, CloseCode::kBadInstance);
}

// Every fault of a ticket is one answer outside; only expiry, which the MAC vouches for, is told.
class TicketFaultTest : public MachineTest, public testing::WithParamInterface<ErrorCode> {};

TEST_P(TicketFaultTest, IsAFlatAnswerOutsideAndTheExactReasonInside) {
  connect_with_ticket();
  const Actions out = machine_->on_ticket(fail(GetParam()), {}, now_);
  const bool expired = GetParam() == ErrorCode::kExpired;
  expect_error(out, expired ? ErrorCode::kTicketExpired : ErrorCode::kUnauthorized);
  EXPECT_EQ(find<Report>(out)->event, Report::Event::kTicketRefused);
  EXPECT_EQ(find<Report>(out)->reason, GetParam());
  expect_closed(out, CloseCode::kBadInstance);
}
INSTANTIATE_TEST_SUITE_P(Faults, TicketFaultTest,
                         testing::Values(ErrorCode::kTooLarge, ErrorCode::kBadLayout,
                                         ErrorCode::kBadSignature, ErrorCode::kUnknownKey,
                                         ErrorCode::kNotYetValid, ErrorCode::kExpired,
                                         ErrorCode::kBadIdentity, ErrorCode::kReplayed),
                         [](const auto& row) { return std::string(error_name(row.param)); });

TEST_F(MachineTest, RefusesATicketOfAnEndedSessionWith101And4503) {
  connect_with_ticket();
  machine_->on_ticket(facts(), {}, now_);
  machine_->on_enrolled({}, now_);
  const Actions out = machine_->on_created(fail(ErrorCode::kRevoked), now_);
  expect_error(out, ErrorCode::kUnauthorized);
  EXPECT_EQ(find<Report>(out)->reason, ErrorCode::kRevoked);
  expect_closed(out, CloseCode::kRevoked);
}

TEST_F(MachineTest, RefusesTooManyInstancesWith106And4504) {
  connect_with_ticket();
  machine_->on_ticket(facts(), {}, now_);
  const Actions out = machine_->on_enrolled(fail(ErrorCode::kLimitExceeded), now_);
  expect_error(out, ErrorCode::kLimitExceeded);
  expect_closed(out, CloseCode::kConnectionLimit);
}

TEST_F(MachineTest, AnswersATemporaryFailureOfTheStoreTemporarilyAndLetsTheClientComeBack) {
  connect_with_ticket();
  machine_->on_ticket(facts(), {}, now_);
  machine_->on_enrolled({}, now_);
  const Actions out = machine_->on_created(fail(ErrorCode::kStoreFailed), now_);
  expect_error(out, ErrorCode::kInternal);
  expect_closed(out, CloseCode::kServerError);
}

TEST_F(MachineTest, AnswersBusyWorkersAndAFullDiskWith113) {
  for (const ErrorCode code : {ErrorCode::kOverloaded, ErrorCode::kStoreFull}) {
    restart();
    id_ = 0;
    connect_with_ticket();
    machine_->on_ticket(facts(), {}, now_);
    machine_->on_enrolled({}, now_);
    expect_error(machine_->on_created(fail(code), now_), ErrorCode::kOverloaded);
  }
}

TEST_F(MachineTest, NotesATicketForOneDeviceUnderTheDevicesNameOrTheOneItIsGiven) {
  for (const std::string named : {"tab-1", ""}) {
    restart();
    id_ = 0;
    connect_with_ticket(named);
    TicketFacts once = facts();
    once.presented = storage::PresentedTicket{"digest", "", now_.wall, 5, 3};
    machine_->on_ticket(once, {"made-up", 5}, now_);
    const Actions enrolled = machine_->on_enrolled({}, now_);
    ASSERT_NE(find<CreateInstance>(enrolled), nullptr);
    const auto& presented = find<CreateInstance>(enrolled)->presented;
    ASSERT_TRUE(presented.has_value());
    EXPECT_EQ(presented->digest, "digest");
    EXPECT_EQ(presented->device, named.empty() ? "made-up" : named);
    EXPECT_EQ(presented->max_noted_of_identity, 3U);
  }
}

TEST_F(MachineTest, RefusesATicketThatAnotherDeviceHasShownWith101And4500) {
  connect_with_ticket();
  machine_->on_ticket(facts(), {}, now_);
  machine_->on_enrolled({}, now_);
  const Actions out = machine_->on_created(fail(ErrorCode::kReplayed), now_);
  expect_error(out, ErrorCode::kUnauthorized);
  EXPECT_EQ(find<Report>(out)->event, Report::Event::kTicketRefused);
  EXPECT_EQ(find<Report>(out)->reason, ErrorCode::kReplayed);
  expect_closed(out, CloseCode::kBadInstance);
}

TEST_F(MachineTest, AcceptsNobodyWhileFenced) {
  now_.fenced = true;
  const Actions out = connect_with_ticket();
  EXPECT_EQ(find<VerifyTicket>(out), nullptr);
  expect_error(out, ErrorCode::kOverloaded);
  expect_closed(out, CloseCode::kServerError);
}

TEST_F(MachineTest, AcceptsNobodyWhoseAnswerCameOnceFenced) {
  connect_with_ticket();
  machine_->on_ticket(facts(), {}, now_);
  const Actions enrolled = machine_->on_enrolled({}, now_);
  now_.fenced = true;
  const Actions out = machine_->on_created(find<CreateInstance>(enrolled)->instance, now_);
  expect_error(out, ErrorCode::kOverloaded);
  expect_closed(out, CloseCode::kServerError);
}

TEST_F(MachineTest, AnswersCommandsWhileConnectingWith105) {
  connect_with_ticket();
  expect_error(command(protocol::Ping{}), ErrorCode::kBadState);
  expect_error(connect_with_ticket(), ErrorCode::kBadState);
}

TEST_F(MachineTest, GivesUpAConnectThatTheStoreNeverAnswers) {
  connect_with_ticket();
  machine_->on_ticket(facts(), {}, now_);
  machine_->on_enrolled({}, now_);
  pass(config_.operation_timeout);
  const Actions out = machine_->on_timer(now_);
  expect_error(out, ErrorCode::kInternal);
  expect_closed(out, CloseCode::kServerError);
  EXPECT_TRUE(machine_->on_created(stored_instance(), now_).empty());
}

TEST_F(MachineTest, RefusesAConnectThatIsRevokedWhileTheStoreAnswers) {
  connect_with_ticket();
  machine_->on_ticket(facts(), {}, now_);
  machine_->on_enrolled({}, now_);
  const Actions out = machine_->on_revoked(now_);
  expect_error(out, ErrorCode::kUnauthorized);
  expect_closed(out, CloseCode::kRevoked);
  EXPECT_TRUE(machine_->on_created(stored_instance(), now_).empty());
}

TEST_F(MachineTest, ResumesAnInstanceWithItsSecretAndHandsOutNoneAgain) {
  const storage::Instance instance = stored_instance();
  const Actions asked = connect_with_instance(instance, secret_of(instance));
  EXPECT_EQ(find<FindInstance>(asked)->id, instance.id);
  EXPECT_NE(find<Enrol>(machine_->on_found(std::optional(instance), now_)), nullptr);
  EXPECT_NE(find<CheckInstance>(machine_->on_enrolled({}, now_)), nullptr);
  const Actions out = machine_->on_checked(instance, now_);
  EXPECT_EQ(machine_->phase(), Phase::kLive);
  EXPECT_NE(first_frame(out).find(R"("device":"tab-1")"), std::string::npos);
  EXPECT_EQ(first_frame(out).find("secret"), std::string::npos);
  EXPECT_EQ(first_frame(out).find(R"("instance":)"), std::string::npos);
}

TEST_F(MachineTest, AnswersUnknownInstanceWrongSecretAndOtherDeviceAlike) {
  const storage::Instance instance = stored_instance();
  std::string wrong = secret_of(instance);
  wrong[0] = wrong[0] == 'A' ? 'B' : 'A';
  storage::Instance unknown_key = instance;
  unknown_key.key_id = "key-0";

  std::vector<std::string> answers;
  const auto answer = [&](std::string secret, std::string device,
                          std::optional<storage::Instance> found) {
    restart();
    id_ = 0;
    connect_with_instance(instance, std::move(secret), std::move(device));
    const Actions out = machine_->on_found(std::move(found), now_);
    expect_closed(out, CloseCode::kBadInstance);
    EXPECT_EQ(find<Report>(out)->event, Report::Event::kInstanceRefused);
    answers.push_back(frames(out).at(0) + frames(out).at(1));
  };
  answer(secret_of(instance), "", std::nullopt);
  answer(wrong, "", instance);
  answer(secret_of(instance), "another-tab", instance);
  answer(secret_of(instance), "", unknown_key);
  for (const std::string& text : answers) EXPECT_EQ(text, answers.front());
}

TEST_F(MachineTest, RefusesAnExpiredInstanceWith110And4105) {
  const storage::Instance instance = stored_instance(seconds(60));
  pass(seconds(60));
  connect_with_instance(instance, secret_of(instance));
  const Actions out = machine_->on_found(std::optional(instance), now_);
  expect_error(out, ErrorCode::kInstanceExpired);
  expect_closed(out, CloseCode::kInstanceExpired);
}

TEST_F(MachineTest, EnrolsAndChecksAgainWhenTheInstanceMovedToAnotherSessionMeanwhile) {
  storage::Instance instance = stored_instance();
  connect_with_instance(instance, secret_of(instance));
  machine_->on_found(std::optional(instance), now_);
  machine_->on_enrolled({}, now_);
  instance.session = base::SessionHandle("session-2");
  const Actions moved = machine_->on_checked(instance, now_);
  EXPECT_NE(find<Enrol>(moved), nullptr);
  EXPECT_TRUE(frames(moved).empty());
  EXPECT_EQ(machine_->membership().session(), "session-2");
  EXPECT_NE(find<CheckInstance>(machine_->on_enrolled({}, now_)), nullptr);
  machine_->on_checked(instance, now_);
  EXPECT_EQ(machine_->phase(), Phase::kLive);
}

TEST_F(MachineTest, ChecksTheSessionAgainWhenAnInstanceComesBack) {
  const storage::Instance instance = stored_instance();
  connect_with_instance(instance, secret_of(instance));
  machine_->on_found(std::optional(instance), now_);
  machine_->on_enrolled({}, now_);
  expect_closed(machine_->on_checked(fail(ErrorCode::kRevoked), now_), CloseCode::kRevoked);
}

}  // namespace
}  // namespace countersign::gateway

// Who is let in, who is kept, and who is sent away.
#include <future>
#include <latch>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "bus/local/local_bus.h"
#include "gateway/gateway_fixture.h"

namespace countersign::gateway {
namespace {

TEST_F(GatewayTest, TurnsATicketIntoAnInstance) {
  FakeChannel& channel = open();
  const std::string reply = connect(channel, ticket());
  EXPECT_TRUE(accepted(reply)) << reply;
  EXPECT_EQ(text_in(reply, "endpoint"), "ann");
  const auto stored =
      store_->instances().find_instance(base::InstanceId(text_in(reply, "instance")));
  ASSERT_TRUE(stored.ok() && stored->has_value());
  EXPECT_EQ((*stored)->session->text(), "session-1");
  EXPECT_EQ(gateway_->hub().live(), 1U);
}

TEST_F(GatewayTest, RefusesForgedExpiredFutureForeignAndRevokedTicketsAlike) {
  const auto other_ring = make_ring("another secret of that name");
  ASSERT_TRUE(
      *store_->sessions().end_session(base::SessionHandle("session-1"), "sign_out", clock_.now()));
  const std::vector<std::pair<std::string, int>> rows = {
      {"no ticket at all", 101},         {ticket("", seconds(0), other_ring.get()), 101},
      {ticket("", seconds(-3600)), 101}, {ticket("", hours(3)), 109},
      {ticket("session-1"), 101},        {ticket("session-unknown"), 101},
  };
  for (const auto& [text, code] : rows) {
    FakeChannel& channel = open();
    EXPECT_EQ(error_in(connect(channel, text)), code);
    ASSERT_TRUE(channel.close_code.has_value());
    EXPECT_GE(static_cast<int>(*channel.close_code), 4500);
  }
}

TEST_F(GatewayTest, SurvivesAReconnectAndARestartWithItsSecret) {
  const std::string reply = connect(open(), ticket());
  channels_.back()->lose();
  EXPECT_TRUE(accepted(resume(open(1), reply)));
  restart();
  EXPECT_TRUE(accepted(resume(open(), reply)));
}

TEST_F(GatewayTest, GivesAReloadedPageTheInstanceItHad) {
  const std::string first = connect(open(), ticket());
  for (int reload = 0; reload < 10; ++reload) {  // far more than three instances
    channels_.back()->lose();
    pass(seconds(2));
    const std::string again = connect(open(), ticket());
    EXPECT_EQ(text_in(again, "instance"), text_in(first, "instance"));
    EXPECT_EQ(text_in(again, "secret"), text_in(first, "secret"));
  }
}

TEST_F(GatewayTest, EndsTheInstancesOfAnEndedSessionAtTheNextPoll) {
  FakeChannel& first = open(0);
  FakeChannel& second = open(1);
  const std::string reply = connect(first, ticket(), "tab-1");
  connect(second, ticket(), "tab-2");
  ASSERT_TRUE(
      *store_->sessions().end_session(base::SessionHandle("session-1"), "sign_out", clock_.now()));
  poll();
  EXPECT_EQ(first.close_code, CloseCode::kRevoked);
  EXPECT_EQ(second.close_code, CloseCode::kRevoked);
  EXPECT_EQ(error_in(resume(open(), reply)), 101);
  EXPECT_EQ(channels_.back()->close_code, CloseCode::kBadInstance);
}

TEST_F(GatewayTest, LeavesTheOldSecretDeadAfterTheSamePersonSignsInAgain) {
  const std::string old = connect(open(), ticket());
  ASSERT_TRUE(
      *store_->sessions().end_session(base::SessionHandle("session-1"), "sign_out", clock_.now()));
  poll();
  sign_in("session-2");
  const std::string fresh = connect(open(), ticket("session-2"));
  ASSERT_TRUE(accepted(fresh));
  EXPECT_NE(text_in(fresh, "secret"), text_in(old, "secret"));
  EXPECT_EQ(error_in(resume(open(), old)), 101);
}

TEST_F(GatewayTest, RefusesARefreshOfARevokedSessionBeforeAnyPoll) {
  FakeChannel& channel = open();
  connect(channel, ticket());
  const std::string next = ticket();
  ASSERT_TRUE(
      *store_->sessions().end_session(base::SessionHandle("session-1"), "sign_out", clock_.now()));
  EXPECT_EQ(error_in(command(channel, 2, protocol::Refresh{next})), 101);
  EXPECT_EQ(channel.close_code, CloseCode::kRevoked);
}

TEST_F(GatewayTest, ProlongsTheInstanceWithARefresh) {
  FakeChannel& channel = open();
  const std::string reply = connect(channel, ticket());
  pass(minutes(20));
  const std::string refreshed = command(channel, 2, protocol::Refresh{ticket()});
  EXPECT_EQ(text_in(refreshed, "instance_expires_at"), "2026-01-01T01:20:00.000Z");
  const auto stored =
      store_->instances().find_instance(base::InstanceId(text_in(reply, "instance")));
  EXPECT_EQ((*stored)->expires, clock_.now() + hours(1));
}

TEST_F(GatewayTest, RefusesTicketsOfAnIdleSession) {
  pass(minutes(30));
  FakeChannel& channel = open();
  EXPECT_EQ(error_in(connect(channel, ticket())), 101);
  EXPECT_EQ(channel.close_code, CloseCode::kRevoked);
}

TEST_F(GatewayTest, KeepsTheSessionOfAConnectedClientAliveUpToItsAbsoluteLimit) {
  FakeChannel& channel = open();
  connect(channel, ticket());
  std::uint32_t id = 1;
  for (int i = 0; i < 28; ++i) {
    pass(minutes(25));
    gateway_->housekeep();
    work();
    ASSERT_EQ(error_in(command(channel, ++id, protocol::Refresh{ticket()})), 0) << i;
  }
  pass(minutes(21));
  EXPECT_EQ(error_in(command(channel, ++id, protocol::Refresh{ticket()})), 101);
}

TEST_F(GatewayTest, EndsTicketsWithoutSessionByTheUsersWatermark) {
  FakeChannel& channel = open();
  const std::string reply = connect(channel, ticket(""));
  ASSERT_TRUE(accepted(reply));
  storage::Revocation row;
  row.scope = storage::RevocationScope::kIdentity;
  row.application_key = kApplication;
  row.identity = {IdentityType::kUsername, "ann"};
  row.time = clock_.now();
  ASSERT_TRUE(store_->revocations().add({&row, 1}));
  poll();
  EXPECT_EQ(channel.close_code, CloseCode::kRevoked);
  EXPECT_EQ(error_in(connect(open(), ticket(""))), 101);
  pass(seconds(1));
  EXPECT_TRUE(accepted(connect(open(), ticket(""))));
}

TEST_F(GatewayTest, EndsOneInstanceAlone) {
  FakeChannel& first = open(0);
  FakeChannel& second = open(1);
  const std::string reply = connect(first, ticket(), "tab-1");
  connect(second, ticket(), "tab-2");
  storage::Revocation row;
  row.scope = storage::RevocationScope::kInstance;
  row.instance = base::InstanceId(text_in(reply, "instance"));
  ASSERT_TRUE(store_->revocations().add({&row, 1}));
  poll();
  EXPECT_EQ(first.close_code, CloseCode::kRevoked);
  EXPECT_TRUE(second.is_open());
}

TEST_F(GatewayTest, ReplacesTheOlderConnectionOfADeviceOnAnotherShard) {
  FakeChannel& older = open(0);
  FakeChannel& newer = open(1);
  connect(older, ticket());
  pass(seconds(1));
  connect(newer, ticket());
  EXPECT_EQ(older.close_code, CloseCode::kReplaced);
  EXPECT_TRUE(newer.is_open());
  EXPECT_EQ(gateway_->hub().live(), 1U);
}

TEST_F(GatewayTest, BoundsTheInstancesOfAUser) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(accepted(
        connect(open(static_cast<std::size_t>(i % 2)), ticket(), "tab-" + std::to_string(i))));
  }
  FakeChannel& channel = open();
  EXPECT_EQ(error_in(connect(channel, ticket(), "tab-4")), 106);
  EXPECT_EQ(channel.close_code, CloseCode::kConnectionLimit);
}

TEST_F(GatewayTest, EndsTheInstanceOnTerminate) {
  FakeChannel& channel = open();
  const std::string reply = connect(channel, ticket());
  EXPECT_EQ(command(channel, 2, protocol::Terminate{}), protocol::encode_terminate_reply(2));
  EXPECT_TRUE(channel.closed_normally);
  EXPECT_EQ(error_in(resume(open(), reply)), 101);
}

TEST_F(GatewayTest, AcceptsNobodyWhileRevocationsCannotBeHeard) {
  clock_.advance(milliseconds(1'501));
  EXPECT_EQ(error_in(connect(open(), ticket())), 113);
  poll();
  EXPECT_TRUE(accepted(connect(open(), ticket())));
}

TEST_F(GatewayTest, SendsEverybodyAwayWithinTheSpreadOfAShutdown) {
  FakeChannel& first = open(0);
  FakeChannel& second = open(1);
  connect(first, ticket(), "tab-1");
  connect(second, ticket(), "tab-2");
  gateway_->hub().shut_down(seconds(2));
  work();
  clock_.advance(seconds(2));
  first.fire_timer(clock_.steady());
  second.fire_timer(clock_.steady());
  EXPECT_EQ(first.close_code, CloseCode::kShutdown);
  EXPECT_EQ(second.close_code, CloseCode::kShutdown);
  FakeChannel& late = open();
  EXPECT_EQ(error_in(connect(late, ticket())), 113);
  EXPECT_EQ(late.close_code, CloseCode::kShutdown);
}

TEST_F(GatewayTest, AnswersWith113WhenNoWorkerHasRoom) {
  std::promise<void> gate;
  const std::shared_future<void> opened = gate.get_future().share();
  // First every thread is at work, then the queue is filled: else a thread would make room again.
  std::latch at_work(static_cast<std::ptrdiff_t>(workers_->threads()));
  for (std::size_t i = 0; i < workers_->threads(); ++i) {
    ASSERT_TRUE(workers_->try_submit([opened, &at_work] {
      at_work.count_down();
      opened.wait();
    }));
  }
  at_work.wait();
  while (workers_->try_submit([] {})) {
  }
  FakeChannel& channel = open();
  channel.receive(protocol::encode_command({1, protocol::Connect{ticket(), "", "", "tab", {}}}));
  EXPECT_EQ(error_in(channel.frames.at(0)), 113);
  gate.set_value();
}

TEST_F(GatewayTest, DropsTheAnswerForAConnectionThatHasGone) {
  FakeChannel& channel = open();
  channel.receive(protocol::encode_command({1, protocol::Connect{ticket(), "", "", "tab", {}}}));
  channel.lose();
  work();
  EXPECT_TRUE(channel.frames.empty());
  EXPECT_EQ(gateway_->hub().connections(), 0U);
}

TEST_F(GatewayTest, HearsOfRevocationsByItselfOnceStarted) {
  ASSERT_TRUE(gateway_->start());
  FakeChannel& channel = open();
  connect(channel, ticket());
  ASSERT_TRUE(
      *store_->sessions().end_session(base::SessionHandle("session-1"), "sign_out", clock_.now()));
  const auto head = *store_->revocations().head();
  while (gateway_->poller().position() < head) std::this_thread::yield();
  gateway_->stop();
  work();
  EXPECT_EQ(channel.close_code, CloseCode::kRevoked);
}

TEST_F(GatewayTest, LooksForRevocationsAtOnceWhenAnyNodeSaysThatThereAreSome) {
  const auto bus = bus::make_local_bus(clock_, metrics_);
  const std::array<std::uint8_t, 32> master_key{};
  const MessagingSetup messaging{{}, *bus, nullptr, master_key};
  GatewayOptions options;
  options.poller.interval = hours(1);
  options.poller.fence_after = hours(2);
  const auto make = [&] {
    return std::make_unique<Gateway>(
        options, *store_, *workers_, wall_, random_, metrics_, [this] { return ring_; },
        Policy::default_policy(),
        InstanceKeys("key", base::as_bytes("0123456789abcdef0123456789abcdef")), &messaging);
  };
  const auto here = make();
  const auto there = make();
  ASSERT_TRUE(here->start());
  ASSERT_TRUE(there->start());
  ASSERT_TRUE(
      *store_->sessions().end_session(base::SessionHandle("session-1"), "sign_out", clock_.now()));
  const auto head = *store_->revocations().head();
  here->hasten_revocation();
  for (const auto* node : {&here, &there}) {
    while ((*node)->poller().position() < head) std::this_thread::yield();
  }
  here->stop();
  there->stop();
}

}  // namespace
}  // namespace countersign::gateway

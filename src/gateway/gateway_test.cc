// The gateway on the real store: tickets that are minted, sessions that end, a process that
// restarts. Channels and shards are fakes; workers are threads, and the tests wait for what they
// do.
#include "gateway/gateway.h"

#include <array>
#include <barrier>
#include <future>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "countersign/application_secret.h"
#include "countersign/user_ticket.h"

#include "base/fake_clock.h"
#include "base/log.h"
#include "gateway/fake_channel.h"
#include "protocol/client_messages.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::gateway {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr const char* kApplication = "test-application";

std::shared_ptr<const KeyRing> make_ring(std::string_view key_bytes) {
  auto ring = std::make_shared<KeyRing>();
  auto secret = ApplicationSecret::from_bytes(std::as_bytes(std::span(key_bytes)));
  EXPECT_TRUE(ring->add(kApplication, std::move(*secret)));
  return ring;
}

class GatewayTest : public testing::Test {
 protected:
  GatewayTest() {
    base::set_log_level(base::LogLevel::kError);
    restart();
    storage::Account account;
    account.id = base::AccountId("account-ann");
    account.user_name = account.user_name_key = "ann";
    account.created = clock_.now();
    EXPECT_TRUE(store_->accounts().create_account(account, "hash"));
    sign_in("session-1");
  }
  ~GatewayTest() override {
    channels_.clear();
    gateway_->stop();
    base::set_log_level(base::LogLevel::kInfo);
  }

  // A process ends, without a word to anybody, and another begins.
  void restart(std::size_t replay_capacity = 0, std::size_t replay_capacity_per_user = 1'000) {
    for (auto& channel : channels_) channel->lose();
    if (workers_) workers_->stop();
    gateway_.reset();
    store_.reset();
    store_ = std::move(*storage::open_sqlite_store(directory_.options()));
    workers_ = std::make_unique<base::WorkerPool>("store", 2, 16);
    GatewayOptions options;
    options.shards = 2;
    options.max_instances_per_user = 3;
    options.machine_clock = &clock_;
    options.replay_capacity = replay_capacity;
    options.replay_capacity_per_user = replay_capacity_per_user;
    gateway_ = std::make_unique<Gateway>(
        options, *store_, *workers_, wall_, random_, metrics_, [this] { return ring_; },
        Policy::default_policy(),
        InstanceKeys("key", base::as_bytes("0123456789abcdef0123456789abcdef")));
    ASSERT_TRUE(gateway_->poller().begin());
  }

  void sign_in(const std::string& handle) {
    storage::SignInSession session;
    session.id_hash = std::string(32 - handle.size(), 'h') + handle;
    session.handle = base::SessionHandle(handle);
    session.account = base::AccountId("account-ann");
    session.created = session.last_seen = session.authenticated = clock_.now();
    session.factors = "password";
    ASSERT_TRUE(store_->sessions().create_session(session, 10));
  }

  std::string ticket(const std::string& session = "session-1", seconds age = seconds(0),
                     const KeyRing* ring = nullptr, const std::string& name = "ann") {
    RawUserTicket raw{{IdentityType::kUsername, name},
                      kApplication,
                      std::chrono::floor<seconds>(clock_.now()) - age,
                      hours(1),
                      {}};
    if (!session.empty()) raw.session = session;
    return mint_user_ticket(ring == nullptr ? *ring_ : *ring, raw)->text();
  }

  FakeChannel& open(std::size_t shard = 0) {
    channels_.push_back(std::make_unique<FakeChannel>(shards_[shard]));
    channels_.back()->open(gateway_->open("192.0.2.1", shard));
    return *channels_.back();
  }
  std::string command(FakeChannel& channel, std::uint32_t id,
                      decltype(protocol::Command::verb) verb) {
    const std::size_t before = channel.frames.size();
    channel.receive(protocol::encode_command({id, std::move(verb)}));
    work();
    return channel.frames.size() > before ? channel.frames[before] : std::string();
  }
  std::string connect(FakeChannel& channel, const std::string& user_ticket,
                      const std::string& device = "tab-1") {
    return command(channel, 1, protocol::Connect{user_ticket, "", "", device, {}});
  }
  std::string resume(FakeChannel& channel, const std::string& reply) {
    return command(channel, 1,
                   protocol::Connect{"",
                                     text_in(reply, "instance"),
                                     text_in(reply, "secret"),
                                     text_in(reply, "device"),
                                     {}});
  }
  // Lets workers and shards finish what has been begun.
  void work() {
    for (int round = 0; round < 4; ++round) {
      // When both workers have come here, they are past everything submitted before.
      const auto meeting = std::make_shared<std::barrier<>>(3);
      for (int worker = 0; worker < 2; ++worker) {
        ASSERT_TRUE(workers_->try_submit([meeting] { meeting->arrive_and_wait(); }));
      }
      meeting->arrive_and_wait();
      for (FakeShard& shard : shards_) shard.run();
    }
  }
  void pass(std::chrono::microseconds by) {
    clock_.advance(by);
    poll();
  }
  void poll() {
    ASSERT_TRUE(gateway_->poller().tick());
    work();
  }
  static std::string text_in(const std::string& frame, const std::string& name) {
    const std::string key = "\"" + name + "\":\"";
    const std::size_t begin = frame.find(key);
    if (begin == std::string::npos) return {};
    return frame.substr(begin + key.size(),
                        frame.find('"', begin + key.size()) - begin - key.size());
  }
  static bool accepted(const std::string& frame) {
    return frame.find("\"connect\":{") != std::string::npos;
  }
  static int error_in(const std::string& frame) {
    const std::string key = "\"error\":{\"code\":";
    const std::size_t begin = frame.find(key);
    return begin == std::string::npos ? 0 : std::stoi(frame.substr(begin + key.size()));
  }

  storage::TestDirectory directory_;
  base::FakeClock clock_;
  base::MonotonicWallClock wall_{clock_};
  base::SeededRandom random_{7};
  base::Metrics metrics_;
  std::shared_ptr<const KeyRing> ring_ = make_ring("the secret of the application");
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<base::WorkerPool> workers_;
  std::array<FakeShard, 2> shards_;
  std::unique_ptr<Gateway> gateway_;
  std::vector<std::unique_ptr<FakeChannel>> channels_;
};

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

TEST_F(GatewayTest, TellsRepeatedTicketsApartByDeviceWhereThatIsSwitchedOn) {
  restart(100);
  const std::string once = ticket();
  const std::string first = connect(open(), once, "tab-1");
  channels_.back()->lose();
  const std::string again = connect(open(), once, "tab-1");
  EXPECT_TRUE(accepted(again));
  EXPECT_EQ(text_in(again, "instance"), text_in(first, "instance"));
  EXPECT_EQ(error_in(connect(open(), once, "tab-2")), 101);
  EXPECT_EQ(channels_.back()->close_code, CloseCode::kBadInstance);
}

TEST_F(GatewayTest, RemembersWhoShowedATicketAcrossARestart) {
  restart(100);
  const std::string once = ticket();
  const std::string first = connect(open(), once, "tab-1");
  restart(100);
  EXPECT_EQ(error_in(connect(open(), once, "tab-2")), 101);
  const std::string again = connect(open(), once, "tab-1");
  EXPECT_EQ(text_in(again, "secret"), text_in(first, "secret"));
  EXPECT_EQ(command(*channels_.back(), 2, protocol::Terminate{}),
            protocol::encode_terminate_reply(2));
  restart(100);
  EXPECT_EQ(error_in(connect(open(), once, "tab-2")), 101);
  EXPECT_TRUE(accepted(connect(open(), once, "tab-1")));
}

TEST_F(GatewayTest, RefusesEveryRepeatOfWhoNamesNoDevice) {
  restart(100);
  const std::string once = ticket();
  const std::string first = connect(open(), once, "");
  EXPECT_TRUE(accepted(first));
  EXPECT_EQ(error_in(connect(open(), once, "")), 101);
  // The name that was made up is one that only this client was told.
  EXPECT_TRUE(accepted(connect(open(), once, text_in(first, "device"))));
}

TEST_F(GatewayTest, UsesUpTheTicketOfARefreshToo) {
  restart(100);
  const std::string one = ticket("session-1", seconds(3));
  const std::string two = ticket("session-1", seconds(2));
  FakeChannel& first = open(0);
  FakeChannel& second = open(1);
  ASSERT_TRUE(accepted(connect(first, one, "tab-1")));
  ASSERT_TRUE(accepted(connect(second, two, "tab-2")));
  EXPECT_EQ(error_in(command(first, 2, protocol::Refresh{two})), 101);
  EXPECT_TRUE(first.is_open());

  const std::string three = ticket("session-1", seconds(1));
  EXPECT_EQ(error_in(command(first, 3, protocol::Refresh{three})), 0);
  EXPECT_EQ(error_in(command(first, 4, protocol::Refresh{three})), 0);
  EXPECT_EQ(error_in(connect(open(), three, "tab-3")), 101);
}

TEST_F(GatewayTest, RefusesTicketsThatItHasNoRoomToRememberUntilOthersHaveExpired) {
  restart(2);
  EXPECT_TRUE(accepted(connect(open(), ticket("session-1", seconds(2)), "tab-1")));
  EXPECT_TRUE(accepted(connect(open(), ticket("session-1", seconds(1)), "tab-2")));
  EXPECT_EQ(error_in(connect(open(), ticket("", seconds(0)), "tab-3")), 113);
  EXPECT_EQ(channels_.back()->close_code, CloseCode::kServerError);
  pass(hours(2));
  gateway_->housekeep();
  work();
  EXPECT_TRUE(accepted(connect(open(), ticket(""), "tab-3")));
}

TEST_F(GatewayTest, LetsNoUserTakeAllTheRoomForRememberedTickets) {
  restart(100, 1);
  EXPECT_TRUE(accepted(connect(open(), ticket("session-1", seconds(2)), "tab-1")));
  EXPECT_EQ(error_in(connect(open(), ticket("session-1", seconds(1)), "tab-2")), 106);
  EXPECT_EQ(channels_.back()->close_code, CloseCode::kConnectionLimit);
  EXPECT_TRUE(accepted(connect(open(), ticket("", seconds(0), nullptr, "bob"), "tab-3")));
}

TEST_F(GatewayTest, RemovesAllThatHasExpiredInOneRun) {
  const auto write_expired = [this](int from, int to) {
    storage::Instance instance;
    instance.application_key = kApplication;
    instance.key_id = "key";
    instance.ticket_created = instance.created = instance.expires = clock_.now();
    for (int i = from; i < to; ++i) {
      instance.id = base::InstanceId("instance-" + std::to_string(i));
      instance.identity = {IdentityType::kUsername, "user-" + std::to_string(i)};
      EXPECT_TRUE(store_->instances().create_instance(instance, 1));
    }
  };
  std::vector<std::future<void>> written;  // at once, so that they share commits
  for (int i = 0; i < 1'200; i += 75) {
    written.push_back(std::async(std::launch::async, write_expired, i, i + 75));
  }
  written.clear();
  pass(hours(1));
  gateway_->housekeep();
  work();
  EXPECT_EQ(store_->instances().remove_expired(clock_.now(), 2'000).value(), 0U);
}

TEST_F(GatewayTest, RemovesNothingAfterTheClockJumpedUntilTheNewTimeHasKeptPaceForAnHour) {
  const std::string reply = connect(open(), ticket());
  const base::InstanceId id(text_in(reply, "instance"));
  const auto kept_by = [&] {
    gateway_->housekeep();
    work();
    return store_->instances().find_instance(id).value().has_value();
  };
  clock_.jump(hours(24));
  EXPECT_TRUE(kept_by());
  for (int i = 0; i < 5; ++i) {
    pass(minutes(10));
    EXPECT_TRUE(kept_by()) << i;
  }
  pass(minutes(10));
  EXPECT_FALSE(kept_by());
}

TEST_F(GatewayTest, RemovesByTheMachinesClockSoThatAJumpThatWasTakenBackCostsNothing) {
  const std::string reply = connect(open(), ticket());
  const base::InstanceId id(text_in(reply, "instance"));
  const auto kept_for = [&](minutes time) {
    pass(time);
    gateway_->housekeep();
    work();
    return store_->instances().find_instance(id).value().has_value();
  };
  clock_.jump(hours(24));
  EXPECT_TRUE(kept_for(minutes(3)));
  clock_.jump(-hours(24));
  EXPECT_TRUE(kept_for(minutes(60)));
  EXPECT_EQ(wall_.now(), clock_.now() + hours(24));
  EXPECT_FALSE(kept_for(minutes(10)));
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

}  // namespace
}  // namespace countersign::gateway

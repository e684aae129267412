// What the tests of the gateway share: a gateway on the real store, people who sign in, tickets
// that are minted, and a process that can restart. Channels and shards are fakes; workers are
// threads, and the tests wait for what they do.
#ifndef COUNTERSIGN_GATEWAY_GATEWAY_FIXTURE_H_
#define COUNTERSIGN_GATEWAY_GATEWAY_FIXTURE_H_

#include <array>
#include <barrier>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "countersign/application_secret.h"
#include "countersign/user_ticket.h"

#include "base/fake_clock.h"
#include "base/log.h"
#include "gateway/fake_channel.h"
#include "gateway/gateway.h"
#include "protocol/client_messages.h"
#include "storage/sqlite/test_directory.h"

namespace countersign::gateway {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

inline constexpr const char* kApplication = "test-application";

inline std::shared_ptr<const KeyRing> make_ring(std::string_view key_bytes) {
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
    options.store_clock = &clock_;
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

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_GATEWAY_FIXTURE_H_

// What the tests of the connection machine share: a machine with a clock in the test's hand, and
// words for reading its actions.
#ifndef COUNTERSIGN_GATEWAY_MACHINE_FIXTURE_H_
#define COUNTERSIGN_GATEWAY_MACHINE_FIXTURE_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "gateway/connection_machine.h"
#include "protocol/client_messages.h"

namespace countersign::gateway {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

inline InstanceKeys test_keys() {
  return InstanceKeys("key-1", base::as_bytes("0123456789abcdef0123456789abcdef"));
}

class MachineTest : public testing::Test {
 protected:
  MachineTest() { restart(); }

  void restart() {
    machine_ = std::make_unique<ConnectionMachine>(config_, keys_, 0x1234, 0, now_);
  }
  void pass(std::chrono::microseconds by) {
    now_.steady += by;
    now_.wall += by;
  }

  std::uint32_t next_id() { return ++id_; }
  Actions command(decltype(protocol::Command::verb) verb) {
    return machine_->on_frame(protocol::encode_command({next_id(), std::move(verb)}), now_);
  }
  Actions connect_with_ticket(std::string device = "tab-1") {
    return command(protocol::Connect{"ticket", "", "", std::move(device), {}});
  }
  Actions connect_with_instance(const storage::Instance& instance, std::string secret,
                                std::string device = {}) {
    return command(
        protocol::Connect{"", instance.id.text(), std::move(secret), std::move(device), {}});
  }
  TicketFacts facts(std::chrono::seconds life = hours(1)) const {
    return {"app-key", Identity{IdentityType::kUsername, "ann"}, now_.wall, now_.wall + life,
            base::SessionHandle("session-1")};
  }
  storage::Instance stored_instance(std::chrono::seconds life = hours(1)) const {
    storage::Instance instance;
    instance.id = base::InstanceId("instance-1");
    instance.application_key = "app-key";
    instance.identity = {IdentityType::kUsername, "ann"};
    instance.device = "tab-1";
    instance.session = base::SessionHandle("session-1");
    instance.generation = 7;
    instance.key_id = "key-1";
    instance.ticket_created = now_.wall;
    instance.created = now_.wall;
    instance.expires = now_.wall + life;
    return instance;
  }
  std::string secret_of(const storage::Instance& instance) const {
    return *keys_.secret(instance.key_id, instance.application_key, instance.id.text(),
                         instance.generation);
  }

  // The whole way in; afterwards the machine is live.
  Actions become_live(std::chrono::seconds life = hours(1)) {
    connect_with_ticket();
    machine_->on_ticket(facts(life), {"dev", 5}, now_);
    const Actions enrolled = machine_->on_enrolled({}, now_);
    Actions out = machine_->on_created(find<CreateInstance>(enrolled)->instance, now_);
    EXPECT_EQ(machine_->phase(), ConnectionMachine::Phase::kLive);
    return out;
  }
  Actions refresh_ticket(Result<TicketFacts> ticket) {
    command(protocol::Refresh{"ticket"});
    return machine_->on_ticket(std::move(ticket), {}, now_);
  }
  // Lets the machine's own timers fire until `until`; everything it did.
  Actions run_until(base::SteadyTime until) {
    Actions all;
    while (true) {
      const auto due = machine_->next_deadline();
      if (!due || *due > until) break;
      if (*due > now_.steady) {
        pass(std::chrono::ceil<std::chrono::microseconds>(*due - now_.steady));
      }
      append(all, machine_->on_timer(now_));
    }
    if (until > now_.steady) {
      pass(std::chrono::ceil<std::chrono::microseconds>(until - now_.steady));
    }
    return all;
  }

  template <class T>
  static const T* find(const Actions& actions) {
    for (const Action& action : actions) {
      if (const T* found = std::get_if<T>(&action)) return found;
    }
    return nullptr;
  }
  static std::vector<std::string> frames(const Actions& actions) {
    std::vector<std::string> out;
    for (const Action& action : actions) {
      if (const auto* send = std::get_if<SendFrame>(&action)) out.push_back(send->frame);
    }
    return out;
  }
  static std::string first_frame(const Actions& actions) {
    const auto all = frames(actions);
    return all.empty() ? std::string() : all.front();
  }
  static void append(Actions& to, Actions from) {
    for (Action& action : from) to.push_back(std::move(action));
  }
  // The last command was answered, first of all, with this error.
  void expect_error(const Actions& actions, ErrorCode code) const {
    std::optional<milliseconds> retry_after;
    if (protocol::gateway_code(code) == ErrorCode::kOverloaded) retry_after = config_.retry_after;
    EXPECT_EQ(first_frame(actions), protocol::encode_error(id_, code, retry_after));
  }
  // The last command, a ping, was answered with that alone.
  void expect_pong(const Actions& actions) const {
    EXPECT_EQ(frames(actions), std::vector<std::string>{protocol::encode_ping_reply(id_)});
  }
  // Ends with `bye` and a close frame of this code, and nothing after.
  static void expect_closed(const Actions& actions, CloseCode code) {
    ASSERT_FALSE(actions.empty());
    const auto* close = std::get_if<CloseWith>(&actions.back());
    ASSERT_NE(close, nullptr);
    EXPECT_EQ(close->code, code);
    ASSERT_FALSE(frames(actions).empty());
    EXPECT_EQ(frames(actions).back().find(
                  "{\"push\":{\"bye\":{\"code\":" + std::to_string(static_cast<int>(code)) + ","),
              0U);
    EXPECT_NE(find<Leave>(actions), nullptr);
  }
  void expect_open() const { EXPECT_NE(machine_->phase(), ConnectionMachine::Phase::kClosing); }

  MachineConfig config_;
  InstanceKeys keys_ = test_keys();
  Moment now_{base::SteadyTime(hours(1)), base::SystemTime(seconds(1767225600)), false};
  std::uint32_t id_ = 0;
  std::unique_ptr<ConnectionMachine> machine_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_MACHINE_FIXTURE_H_

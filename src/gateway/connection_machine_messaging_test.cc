// How a connection comes to its inbox, and what its state forbids it.
#include <string>
#include <utility>

#include "gateway/machine_fixture.h"

namespace countersign::gateway {
namespace {

class MessagingMachineTest : public MachineTest {
 protected:
  // As far as the question where the device stands.
  Actions enter(std::optional<protocol::ClientPosition> resume = std::nullopt) {
    protocol::Connect connect{"ticket", "", "", "tab-1", {}};
    connect.messaging = true;
    connect.resume = std::move(resume);
    command(std::move(connect));
    machine_->on_ticket(facts(), {"dev", 5}, now_);
    const Actions enrolled = machine_->on_enrolled({}, now_);
    return machine_->on_created(find<CreateInstance>(enrolled)->instance, now_);
  }
  static storage::Attached attached(std::int64_t from = 0, std::int64_t top = 0) {
    storage::Attached attached;
    attached.epoch = "e1";
    attached.from = attached.cursor = from;
    attached.from_chain = std::string(8, '\0');
    attached.top = top;
    return attached;
  }
  Actions become_live_with_inbox(std::int64_t from = 0, std::int64_t top = 0) {
    enter();
    Actions out = machine_->on_attached(attached(from, top), now_);
    EXPECT_EQ(machine_->phase(), ConnectionMachine::Phase::kLive);
    return out;
  }
};

TEST_F(MessagingMachineTest, AttachesBetweenTheChecksAndTheReply) {
  const protocol::ClientPosition stands{"e1", 7, std::string(8, 'c')};
  const Actions entered = enter(stands);
  ASSERT_NE(find<AttachInbox>(entered), nullptr);
  EXPECT_EQ(find<AttachInbox>(entered)->resume, stands);
  EXPECT_TRUE(frames(entered).empty());
  const Actions live = machine_->on_attached(attached(7, 9), now_);
  EXPECT_NE(first_frame(live).find("\"inbox\":{\"epoch\":\"e1\""), std::string::npos);
  ASSERT_NE(find<ReadInbox>(live), nullptr);
  EXPECT_EQ(find<ReadInbox>(live)->after, 7);
}

TEST_F(MessagingMachineTest, HasNoInboxUnlessItAskedForOne) {
  const Actions live = become_live();
  EXPECT_EQ(find<AttachInbox>(live), nullptr);
  EXPECT_EQ(first_frame(live).find("\"inbox\""), std::string::npos);
  expect_error(command(protocol::ListBlocked{}), ErrorCode::kNotAvailable);
}

TEST_F(MessagingMachineTest, IsSentAwayForAWhileWhenTheStoreFails) {
  enter();
  const Actions out = machine_->on_attached(fail(ErrorCode::kStoreFailed, "test"), now_);
  expect_error(out, ErrorCode::kInternal);
  expect_closed(out, CloseCode::kServerError);
}

TEST_F(MessagingMachineTest, LetsNobodyInThatWasFencedWhileItAttached) {
  enter();
  now_.fenced = true;
  const Actions out = machine_->on_attached(attached(), now_);
  expect_error(out, ErrorCode::kOverloaded);
  expect_closed(out, CloseCode::kServerError);
}

TEST_F(MessagingMachineTest, ReadsAtOnceIfSomethingCameWhileItAttached) {
  enter();
  protocol::EntryEvent entry;
  entry.offset = 1;
  machine_->on_entry(entry, now_);
  EXPECT_NE(find<ReadInbox>(machine_->on_attached(attached(), now_)), nullptr);
}

TEST_F(MessagingMachineTest, RefusesMessagesBeforeConnect) {
  expect_error(command(protocol::ListBlocked{}), ErrorCode::kBadState);
}

TEST_F(MessagingMachineTest, RefusesMessagesOfAnExpiredInstanceWith110AndPushesNothing) {
  become_live_with_inbox();
  pass(hours(1));
  expect_error(command(protocol::ListBlocked{}), ErrorCode::kInstanceExpired);
  EXPECT_TRUE(frames(machine_->on_news(now_)).empty());
  EXPECT_EQ(find<ReadInbox>(machine_->on_news(now_)), nullptr);
}

TEST_F(MessagingMachineTest, AnswersEveryWaitingCommandBeforeItCloses) {
  become_live_with_inbox();
  EXPECT_NE(find<Ask>(command(protocol::ListBlocked{})), nullptr);
  const Actions out = machine_->on_revoked(now_);
  expect_error(out, ErrorCode::kUnauthorized);
  expect_closed(out, CloseCode::kRevoked);
  EXPECT_TRUE(machine_->on_answered(id_, std::string("late"), now_).empty());
}

TEST_F(MessagingMachineTest, TellsTheTopWithEveryFourthPing) {
  become_live_with_inbox();
  int tops = 0;
  const auto end = now_.steady + 8 * config_.ping_interval;
  while (now_.steady < end) {
    const Actions out = run_until(now_.steady + seconds(1));
    for (const std::string& frame : frames(out)) {
      if (frame == "{}") machine_->on_frame("{}", now_);
      if (frame.starts_with("{\"push\":{\"top\":")) ++tops;
    }
    machine_->on_page(storage::InboxPage{"e1", 0, 0, {}}, now_);
  }
  EXPECT_EQ(tops, 2);
}

TEST_F(MessagingMachineTest, CutsAClientThatLeavesTooMuchUnreadForTenSeconds) {
  become_live_with_inbox();
  now_.queued_bytes = config_.inbox.max_queued_bytes + 1;
  machine_->on_news(now_);
  const Actions out = run_until(now_.steady + config_.inbox.slow_after + milliseconds(200));
  expect_closed(out, CloseCode::kSlow);
}

}  // namespace
}  // namespace countersign::gateway

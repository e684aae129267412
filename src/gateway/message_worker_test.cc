#include "gateway/message_worker.h"

#include <deque>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/fake_clock.h"
#include "base/log.h"
#include "gateway/stub_message_store.h"

namespace countersign::gateway {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// A store whose background calls answer what a test has laid out; nothing else is asked of it.
class BackgroundStore final : public StubMessageStore {
 public:
  std::deque<storage::FanOut> jobs;
  std::size_t overdue = 0;  // messages, of which the first have notices
  std::deque<storage::Expired> notices;
  std::size_t old_rows = 0;
  bool failing = false;
  int fan_out_calls = 0;
  int expire_calls = 0;
  int remove_calls = 0;
  base::SystemTime removed_before;
  base::SystemTime removed_at;
  std::vector<storage::Expired> undelivered;  // of what the next portion removes
  std::function<void()> on_fan_out;

  Result<std::optional<storage::FanOut>> fan_out(std::size_t) override {
    ++fan_out_calls;
    if (on_fan_out) on_fan_out();
    if (failing) return fail(ErrorCode::kStoreFailed, "test");
    if (jobs.empty()) return std::optional<storage::FanOut>();
    const storage::FanOut job = jobs.front();
    jobs.pop_front();
    return std::optional(job);
  }
  Result<storage::Expiry> expire(base::SystemTime, std::size_t limit) override {
    ++expire_calls;
    if (failing) return fail(ErrorCode::kStoreFailed, "test");
    storage::Expiry portion;
    portion.found = std::min(limit, overdue);
    overdue -= portion.found;
    while (portion.notices.size() < portion.found && !notices.empty()) {
      portion.notices.push_back(notices.front());
      notices.pop_front();
    }
    return portion;
  }
  Result<storage::Removal> remove_old(base::SystemTime before, base::SystemTime now,
                                      std::size_t limit) override {
    ++remove_calls;
    removed_before = before;
    removed_at = now;
    if (failing) return fail(ErrorCode::kStoreFailed, "test");
    storage::Removal portion;
    portion.removed = std::min(limit, old_rows);
    old_rows -= portion.removed;
    portion.notices = std::exchange(undelivered, {});
    return portion;
  }
};

class RecordingSink final : public MessageSink {
 public:
  void on_fan_out(const storage::FanOut& entries) override {
    for (const auto& delivery : entries.deliveries) told.push_back(delivery.user.endpoint);
  }
  void on_expired(const storage::Expired& expired) override {
    told.push_back(expired.sender.identity.endpoint);
  }
  std::vector<std::string> told;
};

class MessageWorkerTest : public testing::Test {
 protected:
  MessageWorkerTest() {
    base::set_log_level(base::LogLevel::kError);
    restart();
  }
  ~MessageWorkerTest() override { base::set_log_level(base::LogLevel::kInfo); }

  void restart() {
    options_.remove_at_once = 10;
    worker_.emplace(options_, store_, sink_, clock_, metrics_);
  }
  /// Lets time pass as the worker's thread would.
  void pass(std::chrono::microseconds time) {
    const base::SteadyTime end = clock_.steady() + time;
    while (next_ <= end) {
      if (next_ > clock_.steady()) advance_to(next_);
      next_ = worker_->step();
    }
    advance_to(end);
  }
  void advance_to(base::SteadyTime when) {
    clock_.advance(std::chrono::duration_cast<std::chrono::microseconds>(when - clock_.steady()));
  }
  void job(const std::vector<std::string>& users) {
    storage::FanOut job;
    job.message.time = clock_.now();
    for (const std::string& user : users) {
      job.deliveries.push_back({{IdentityType::kUsername, user}, 1, "", {}});
    }
    store_.jobs.push_back(std::move(job));
  }
  static storage::Expired expired(const std::string& sender) {
    return {{"app", {IdentityType::kUsername, sender}}, {}};
  }
  bool exposes(const std::string& line) const {
    return metrics_.expose().find(line) != std::string::npos;
  }
  using Names = std::vector<std::string>;

  MessageWorkerOptions options_;
  base::FakeClock clock_;
  base::Metrics metrics_;
  BackgroundStore store_;
  RecordingSink sink_;
  std::optional<MessageWorker> worker_;
  base::SteadyTime next_ = base::SteadyTime::min();
};

TEST_F(MessageWorkerTest, WorksOffAllJobsThatWaitWhenItStarts) {
  job({"a", "b"});
  job({"c"});
  pass({});
  EXPECT_EQ(sink_.told, (Names{"a", "b", "c"}));
  EXPECT_TRUE(exposes("countersign_fan_out_entries_total 3"));
}

TEST_F(MessageWorkerTest, LooksForJobsOfOtherNodesEverySecond) {
  pass({});
  job({"a"});
  pass(milliseconds(999));
  EXPECT_EQ(sink_.told, Names());
  pass(milliseconds(1));
  EXPECT_EQ(sink_.told, Names{"a"});
}

TEST_F(MessageWorkerTest, WorksAtOnceWhenItIsWoken) {
  pass({});
  job({"a"});
  worker_->wake();
  worker_->step();
  EXPECT_EQ(sink_.told, Names{"a"});
}

TEST_F(MessageWorkerTest, MeasuresHowLongAJobHasWaited) {
  job({"a"});
  clock_.advance(seconds(7));
  worker_->step();
  EXPECT_TRUE(exposes("countersign_fan_out_age_seconds 7"));
  worker_->step();
  EXPECT_TRUE(exposes("countersign_fan_out_age_seconds 0"));
}

TEST_F(MessageWorkerTest, LetsMessagesExpireEveryFewSecondsUntilNoneIsLeft) {
  options_.expire_at_once = 2;
  next_ = base::SteadyTime::min();
  restart();
  pass(seconds(1));
  const int before = store_.expire_calls;
  store_.overdue = 3;
  store_.notices = {expired("a"), expired("b"), expired("c")};
  pass(seconds(5));
  EXPECT_EQ(sink_.told, (Names{"a", "b", "c"}));
  EXPECT_EQ(store_.expire_calls, before + 2);
  EXPECT_TRUE(exposes("countersign_expiry_notices_total 3"));
}

TEST_F(MessageWorkerTest, GoesOnWithoutAPauseWhileThePortionsAreFullThoughNobodyIsTold) {
  pass(seconds(1));
  const int before = store_.expire_calls;
  store_.overdue = 500;
  clock_.advance(seconds(5));
  while (worker_->step() <= clock_.steady()) {
  }
  EXPECT_EQ(store_.overdue, 0U);
  EXPECT_EQ(store_.expire_calls, before + 3);
  EXPECT_EQ(sink_.told, Names());
}

TEST_F(MessageWorkerTest, ExpiresMessagesBetweenThePortionsOfALongJob) {
  pass({});
  for (int i = 0; i < 100; ++i) job({"a"});
  store_.overdue = 1;
  store_.notices = {expired("b")};
  clock_.advance(seconds(5));
  worker_->step();
  EXPECT_EQ(sink_.told, (Names{"a", "b"}));
}

TEST_F(MessageWorkerTest, RemovesWhatIsOlderThanTheRetentionInPortions) {
  store_.old_rows = 25;
  pass(minutes(3));
  EXPECT_EQ(store_.remove_calls, 3);
  EXPECT_EQ(store_.old_rows, 0U);
  EXPECT_EQ(store_.removed_before, clock_.now() - hours(24 * 30));
  EXPECT_EQ(store_.removed_at, clock_.now());
  EXPECT_TRUE(exposes("countersign_removed_messages_total 25"));
}

TEST_F(MessageWorkerTest, TellsWhoseMessagesWereRemovedBeforeSomebodyGotThem) {
  store_.old_rows = 3;
  store_.undelivered = {expired("a"), expired("b")};
  pass(minutes(3));
  EXPECT_EQ(sink_.told, (Names{"a", "b"}));
  EXPECT_TRUE(exposes("countersign_expiry_notices_total 2"));
}

TEST_F(MessageWorkerTest, RemovesNothingAfterTheClockJumpedUntilTheNewTimeHasKeptPaceForAnHour) {
  pass(minutes(4));
  EXPECT_EQ(store_.remove_calls, 1);
  clock_.jump(hours(24));
  pass(minutes(50));
  EXPECT_EQ(store_.remove_calls, 1);
  pass(minutes(20));
  EXPECT_GT(store_.remove_calls, 1);
}

TEST_F(MessageWorkerTest, GoesByTheClockOfTheStoreWhenItRemoves) {
  base::FakeClock store_clock(clock_.now() - hours(24 * 40));  // ours is ahead of it
  options_.store_clock = &store_clock;
  next_ = base::SteadyTime::min();
  restart();
  pass(minutes(3));
  EXPECT_EQ(store_.removed_before, store_clock.now() - hours(24 * 30));
}

TEST_F(MessageWorkerTest, LetsNothingExpireWhileItsTimeIsNotTheStores) {
  bool agrees = false;
  options_.may_expire = [&agrees] { return agrees; };
  restart();
  store_.overdue = 1;
  store_.notices = {expired("a")};
  pass(minutes(1));
  EXPECT_EQ(store_.expire_calls, 0);
  agrees = true;
  pass(seconds(5));
  EXPECT_EQ(sink_.told, (Names{"a"}));
}

TEST_F(MessageWorkerTest, PausesLongerAndLongerWhileTheStoreFailsAndGoesOnAfterwards) {
  store_.failing = true;
  pass({});
  EXPECT_EQ(store_.fan_out_calls, 1);
  pass(milliseconds(300));  // after 100 and another 200
  EXPECT_EQ(store_.fan_out_calls, 3);
  pass(minutes(5));
  const int calls = store_.fan_out_calls;
  worker_->wake();  // a hint does not hasten it
  pass(seconds(100));
  EXPECT_LE(store_.fan_out_calls, calls + 11);
  store_.failing = false;
  job({"a"});
  pass(seconds(10));
  EXPECT_EQ(sink_.told, Names{"a"});
  job({"b"});
  pass(seconds(1));
  EXPECT_EQ(sink_.told, (Names{"a", "b"}));
}

TEST_F(MessageWorkerTest, GivesUpAJobOnlyWithTheStoresWord) {
  job({"a"});
  store_.failing = true;
  pass(seconds(1));
  EXPECT_EQ(store_.jobs.size(), 1U);
}

TEST_F(MessageWorkerTest, ItsThreadWorksWhenWokenAndStops) {
  std::promise<void> looked;
  std::promise<void> worked;
  int calls = 0;
  store_.on_fan_out = [&] {
    if (++calls == 1) looked.set_value();
    if (calls == 2) worked.set_value();
  };
  options_.look_interval = hours(1);
  restart();
  worker_->start();
  looked.get_future().get();
  worker_->wake();
  worked.get_future().get();
  worker_->stop();
  worker_->stop();
  EXPECT_GE(store_.fan_out_calls, 2);
}

}  // namespace
}  // namespace countersign::gateway

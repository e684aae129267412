#include "gateway/revocation_poller.h"

#include <gtest/gtest.h>

#include "base/fake_clock.h"
#include "base/log.h"
#include "gateway/model_store.h"

namespace countersign::gateway {
namespace {

using std::chrono::milliseconds;

class Listener final : public RevocationListener {
 public:
  void on_revocations(std::span<const storage::Revocation> revocations) override {
    for (const auto& row : revocations) heard.push_back(row.session.text());
  }
  void on_gap() override { ++gaps; }

  std::vector<std::string> heard;
  int gaps = 0;
};

class RevocationPollerTest : public testing::Test {
 protected:
  RevocationPollerTest() {
    base::set_log_level(base::LogLevel::kError);
    poller_.add_listener(listener_);
  }
  ~RevocationPollerTest() override { base::set_log_level(base::LogLevel::kInfo); }

  void end_session(const std::string& handle) {
    store_.begin_session(handle, clock_.now());
    ASSERT_TRUE(*store_.end_session(base::SessionHandle(handle), "sign_out", clock_.now()));
  }

  base::FakeClock clock_;
  ModelStore store_;
  Listener listener_;
  RevocationPoller poller_{{milliseconds(500), milliseconds(1'500), 3}, store_, clock_};
};

TEST_F(RevocationPollerTest, IsFencedUntilItHasBegun) {
  EXPECT_TRUE(poller_.fenced(clock_.steady()));
  store_.failing = true;
  EXPECT_EQ(poller_.begin().code(), ErrorCode::kStoreFailed);
  EXPECT_TRUE(poller_.fenced(clock_.steady()));
  store_.failing = false;
  ASSERT_TRUE(poller_.begin());
  EXPECT_FALSE(poller_.fenced(clock_.steady()));
}

TEST_F(RevocationPollerTest, HearsEveryRowAfterItsBeginningInOrderAcrossPages) {
  end_session("before");
  ASSERT_TRUE(poller_.begin());
  const std::vector<std::string> names = {"a", "b", "c", "d", "e", "f", "g"};
  for (const std::string& name : names) end_session(name);
  ASSERT_TRUE(poller_.tick());
  EXPECT_EQ(listener_.heard, names);
  EXPECT_EQ(listener_.gaps, 0);
  ASSERT_TRUE(poller_.tick());
  EXPECT_EQ(listener_.heard, names);
}

TEST_F(RevocationPollerTest, FencesWhenNoPollSucceededForLongerThanTheLimit) {
  ASSERT_TRUE(poller_.begin());
  store_.failing = true;
  clock_.advance(milliseconds(1'500));
  EXPECT_FALSE(poller_.tick());
  EXPECT_FALSE(poller_.fenced(clock_.steady()));
  clock_.advance(milliseconds(1));
  EXPECT_TRUE(poller_.fenced(clock_.steady()));
  store_.failing = false;
  ASSERT_TRUE(poller_.tick());
  EXPECT_FALSE(poller_.fenced(clock_.steady()));
}

TEST_F(RevocationPollerTest, MeasuresTheFenceByTheSteadyClock) {
  ASSERT_TRUE(poller_.begin());
  clock_.jump(std::chrono::hours(5));
  EXPECT_FALSE(poller_.fenced(clock_.steady()));
}

TEST_F(RevocationPollerTest, HearsWhatWasRevokedWhileTheStoreFailed) {
  ASSERT_TRUE(poller_.begin());
  end_session("a");
  store_.failing = true;
  EXPECT_FALSE(poller_.tick());
  store_.failing = false;
  ASSERT_TRUE(poller_.tick());
  EXPECT_EQ(listener_.heard, std::vector<std::string>{"a"});
}

TEST_F(RevocationPollerTest, ReportsAGapWhenRowsWerePrunedUnread) {
  ASSERT_TRUE(poller_.begin());
  end_session("a");
  clock_.advance(milliseconds(10));
  ASSERT_TRUE(store_.remove_older(clock_.now(), 10));
  ASSERT_TRUE(poller_.tick());
  EXPECT_EQ(listener_.gaps, 1);
  end_session("b");
  ASSERT_TRUE(poller_.tick());
  EXPECT_EQ(listener_.gaps, 1);
  EXPECT_EQ(listener_.heard, std::vector<std::string>{"b"});
}

TEST_F(RevocationPollerTest, ReportsAGapBeforeARowThatDoesNotFollow) {
  ASSERT_TRUE(poller_.begin());
  end_session("a");
  clock_.advance(milliseconds(10));
  ASSERT_TRUE(store_.remove_older(clock_.now(), 10));
  end_session("b");
  ASSERT_TRUE(poller_.tick());
  EXPECT_EQ(listener_.gaps, 1);
  EXPECT_EQ(listener_.heard, std::vector<std::string>{"b"});
}

TEST_F(RevocationPollerTest, ReportsAGapWhenTheStoreWasRestoredToAnEarlierState) {
  end_session("a");
  end_session("b");
  ASSERT_TRUE(poller_.begin());
  store_ = ModelStore();
  ASSERT_TRUE(poller_.tick());
  EXPECT_EQ(listener_.gaps, 1);
  end_session("c");
  ASSERT_TRUE(poller_.tick());
  EXPECT_EQ(listener_.heard, std::vector<std::string>{"c"});
}

}  // namespace
}  // namespace countersign::gateway

#include "gateway/node_lease.h"

#include <future>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/fake_clock.h"
#include "base/log.h"

namespace countersign::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The leases of one bucket, which all nodes of a test share.
struct Bucket {
  struct Row {
    std::string value;
    std::uint64_t revision = 0;
    base::SteadyTime ends;
  };
  std::map<std::string, Row> rows;
  std::uint64_t revision = 0;
  bool failing = false;
  bool loses_answers = false;  ///< writes happen, and are reported as failed
};

class FakeLeases final : public bus::Leases {
 public:
  FakeLeases(Bucket& bucket, const base::Clock& clock, milliseconds time_to_live)
      : bucket_(bucket), clock_(clock), time_to_live_(time_to_live) {}

  Result<std::uint64_t> acquire(std::string_view key, std::string_view value) override {
    if (bucket_.failing) return failure();
    drop_ended();
    if (bucket_.rows.contains(std::string(key))) return fail(ErrorCode::kAlreadyExists);
    return write(key, value);
  }
  Result<std::uint64_t> renew(std::string_view key, std::string_view value,
                              std::uint64_t revision) override {
    if (bucket_.failing) return failure();
    drop_ended();
    const auto row = bucket_.rows.find(std::string(key));
    if (row == bucket_.rows.end() || row->second.revision != revision) {
      return fail(ErrorCode::kAbsent);
    }
    return write(key, value);
  }
  Result<void> release(std::string_view key, std::uint64_t revision) override {
    if (bucket_.failing) return failure();
    const auto row = bucket_.rows.find(std::string(key));
    if (row != bucket_.rows.end() && row->second.revision == revision) bucket_.rows.erase(row);
    return {};
  }
  Result<std::map<std::string, std::string>> list() override {
    if (bucket_.failing) return failure();
    drop_ended();
    std::map<std::string, std::string> out;
    for (const auto& [key, row] : bucket_.rows) out[key] = row.value;
    return out;
  }

 private:
  static tl::unexpected<Error> failure() { return fail(ErrorCode::kBusFailed, "test"); }
  Result<std::uint64_t> write(std::string_view key, std::string_view value) {
    const std::uint64_t revision = ++bucket_.revision;
    bucket_.rows[std::string(key)] = {std::string(value), revision,
                                      clock_.steady() + time_to_live_};
    if (bucket_.loses_answers) return failure();
    return revision;
  }
  void drop_ended() {
    std::erase_if(bucket_.rows,
                  [this](const auto& row) { return row.second.ends <= clock_.steady(); });
  }

  Bucket& bucket_;
  const base::Clock& clock_;
  const milliseconds time_to_live_;
};

class FakeBus final : public bus::Bus {
 public:
  FakeBus(Bucket& bucket, const base::Clock& clock) : bucket_(bucket), clock_(clock) {}

  Result<void> publish(std::string_view, std::string) override { return {}; }
  Result<std::unique_ptr<bus::Subscription>> subscribe(std::string_view, bus::Handler) override {
    return fail(ErrorCode::kBusFailed);
  }
  void flush(std::function<void(Result<void>)> done) override { done({}); }
  void on_gap(std::function<void()>) override {}
  bool connected() const override { return !bucket_.failing; }
  Result<std::unique_ptr<bus::Leases>> leases(std::string_view bucket,
                                              milliseconds time_to_live) override {
    EXPECT_EQ(bucket, "nodes");
    if (bucket_.failing) return fail(ErrorCode::kBusFailed, "test");
    return std::unique_ptr<bus::Leases>(
        std::make_unique<FakeLeases>(bucket_, clock_, time_to_live));
  }

 private:
  Bucket& bucket_;
  const base::Clock& clock_;
};

class Listener final : public NodeListener {
 public:
  void on_node_back(const std::string& node) override { heard.push_back("back " + node); }
  void on_node_lost(const std::string& node) override { heard.push_back("lost " + node); }
  void on_bus_lost() override { heard.emplace_back("bus lost"); }
  void on_bus_back() override { heard.emplace_back("bus back"); }
  std::vector<std::string> take() { return std::exchange(heard, {}); }

  std::vector<std::string> heard;
};

class NodeLeaseTest : public testing::Test {
 protected:
  using Words = std::vector<std::string>;
  NodeLeaseTest() { base::set_log_level(base::LogLevel::kError); }
  ~NodeLeaseTest() override { base::set_log_level(base::LogLevel::kInfo); }

  static NodeLeaseOptions named(const std::string& node) {
    NodeLeaseOptions options;
    options.node = node;
    return options;
  }
  /// Steps both nodes as their threads would; a stopped one is left out.
  void pass(milliseconds time, bool south_runs = true) {
    const base::SteadyTime end = clock_.steady() + time;
    while (true) {
      base::SteadyTime next = next_north_;
      if (south_runs) next = std::min(next, next_south_);
      if (next > end) break;
      if (next > clock_.steady()) advance_to(next);
      if (next_north_ <= clock_.steady()) next_north_ = north_.step();
      if (south_runs && next_south_ <= clock_.steady()) next_south_ = south_.step();
    }
    advance_to(end);
  }
  void advance_to(base::SteadyTime when) {
    clock_.advance(std::chrono::duration_cast<std::chrono::microseconds>(when - clock_.steady()));
  }

  base::FakeClock clock_;
  Bucket bucket_;
  FakeBus bus_{bucket_, clock_};
  Listener hears_north_;
  Listener hears_south_;
  NodeLease north_{named("north.1"), bus_, hears_north_, clock_};
  NodeLease south_{named("South>*"), bus_, hears_south_, clock_};
  base::SteadyTime next_north_ = base::SteadyTime::min();
  base::SteadyTime next_south_ = base::SteadyTime::min();
};

TEST_F(NodeLeaseTest, IsAloneWithNobodyElse) {
  north_.step();
  EXPECT_EQ(hears_north_.heard, Words());
  EXPECT_EQ(north_.live_nodes(), 1U);
}

TEST_F(NodeLeaseTest, PutsNoNameIntoAKey) {
  south_.step();
  ASSERT_EQ(bucket_.rows.size(), 1U);
  EXPECT_EQ(bucket_.rows.begin()->first, "536f7574683e2a");
  EXPECT_EQ(bucket_.rows.begin()->second.value, "South>*");
}

TEST_F(NodeLeaseTest, HearsOfAnotherNodeAtTheNextReading) {
  pass(seconds(2));
  EXPECT_EQ(hears_north_.heard, Words{"back South>*"});
  EXPECT_EQ(hears_south_.heard, Words{"back north.1"});
  EXPECT_EQ(north_.live_nodes(), 2U);
}

TEST_F(NodeLeaseTest, StaysListedAsLongAsItIsRenewed) {
  pass(seconds(600));
  EXPECT_EQ(hears_north_.heard, Words{"back South>*"});
}

TEST_F(NodeLeaseTest, HearsOfANodeThatStoppedOnceItsLeaseHasEnded) {
  pass(seconds(20));
  hears_north_.take();
  pass(seconds(59), false);
  EXPECT_EQ(hears_north_.heard, Words());
  pass(seconds(21), false);
  EXPECT_EQ(hears_north_.take(), Words{"lost South>*"});
  EXPECT_EQ(north_.live_nodes(), 1U);
  pass(seconds(40));
  EXPECT_EQ(hears_north_.take(), Words{"back South>*"});
}

TEST_F(NodeLeaseTest, HearsSoonerOfANodeThatGaveItsLeaseUp) {
  pass(seconds(20));
  hears_north_.take();
  south_.release();
  pass(seconds(2), false);
  EXPECT_EQ(hears_north_.heard, Words{"lost South>*"});
}

TEST_F(NodeLeaseTest, SaysOnceThatTheBusIsLostAndOnceThatItIsBack) {
  pass(seconds(20));
  hears_north_.take();
  bucket_.failing = true;
  pass(seconds(50));
  EXPECT_EQ(hears_north_.take(), Words{"bus lost"});
  bucket_.failing = false;
  pass(seconds(2));
  EXPECT_EQ(hears_north_.take(), Words{"bus back"});
}

TEST_F(NodeLeaseTest, ComparesWithTheListFromBeforeTheBusWasLost) {
  pass(seconds(20));
  hears_north_.take();
  bucket_.failing = true;
  pass(seconds(100), false);
  bucket_.failing = false;
  pass(seconds(2), false);
  EXPECT_EQ(hears_north_.take(), (Words{"bus lost", "lost South>*", "bus back"}));
}

TEST_F(NodeLeaseTest, TakesItsLeaseAgainWhenItHasEnded) {
  pass(seconds(20));
  bucket_.rows.clear();
  pass(seconds(20));
  EXPECT_EQ(bucket_.rows.size(), 2U);
}

TEST_F(NodeLeaseTest, HoldsALeaseAgainAfterTheAnswerToARenewalWasLost) {
  pass(seconds(20));
  bucket_.loses_answers = true;
  pass(seconds(20));
  bucket_.loses_answers = false;
  // The lease that was renewed without our knowing stays until it ends, and then is ours again; the
  // others may miss us at one listing.
  pass(seconds(90));
  hears_north_.take();
  pass(seconds(300));
  EXPECT_EQ(bucket_.rows.size(), 2U);
  EXPECT_EQ(hears_north_.heard, Words());
}

TEST_F(NodeLeaseTest, NamesTheOthersWhileItCanReadTheList) {
  using Names = std::optional<std::set<std::string>>;
  EXPECT_EQ(north_.others(), std::nullopt);
  pass(seconds(2));
  EXPECT_EQ(north_.others(), Names({"South>*"}));
  bucket_.failing = true;
  pass(seconds(2));
  EXPECT_EQ(north_.others(), std::nullopt);
  bucket_.failing = false;
  pass(seconds(6));
  EXPECT_EQ(north_.others(), std::nullopt) << "others may still be missing";
  pass(seconds(4));
  EXPECT_EQ(north_.others(), Names({"South>*"}));
}

TEST_F(NodeLeaseTest, DoesNotBelieveThatItIsAloneWhenTheBusForgotTheLeases) {
  pass(seconds(4));
  bucket_.rows.clear();
  pass(seconds(2), false);
  EXPECT_EQ(north_.others(), std::nullopt);
  EXPECT_EQ(bucket_.rows.size(), 0U);
  pass(seconds(2), false);
  EXPECT_EQ(bucket_.rows.size(), 1U) << "taken again without waiting for the renewal";
  EXPECT_EQ(north_.others(), std::nullopt);
  pass(seconds(6), false);
  EXPECT_EQ(north_.others(), std::set<std::string>());
}

TEST_F(NodeLeaseTest, ReadsTheListMoreOftenThanItRenews) {
  pass(seconds(20));
  const std::uint64_t writes = bucket_.revision;
  pass(seconds(20));
  EXPECT_EQ(bucket_.revision, writes + 2);
}

TEST_F(NodeLeaseTest, ItsThreadTakesTheLeaseAndGivesItUpWhenItStops) {
  class Waiting final : public NodeListener {
   public:
    void on_node_back(const std::string&) override { met.set_value(); }
    void on_node_lost(const std::string&) override {}
    void on_bus_lost() override {}
    void on_bus_back() override {}
    std::promise<void> met;
  };
  south_.step();
  Waiting waiting;
  NodeLease west(named("west"), bus_, waiting, clock_);
  west.start();
  waiting.met.get_future().get();
  west.stop();
  EXPECT_EQ(bucket_.rows.size(), 1U);
  west.stop();
}

}  // namespace
}  // namespace countersign::gateway

#include "base/worker_pool.h"

#include <atomic>
#include <future>

#include <gtest/gtest.h>

#include "base/metrics.h"

namespace countersign::base {
namespace {

TEST(WorkerPool, RefusesPastItsQueueAndRunsWhatItTook) {
  WorkerPool pool("test", 1, 2);
  std::promise<void> open;
  std::promise<void> running;
  std::atomic<int> done = 0;
  ASSERT_TRUE(pool.try_submit([&] {
    running.set_value();
    open.get_future().wait();
  }));
  running.get_future().wait();
  EXPECT_TRUE(pool.try_submit([&] { ++done; }));
  EXPECT_TRUE(pool.try_submit([&] { ++done; }));
  EXPECT_FALSE(pool.try_submit([&] { ++done; }));
  EXPECT_EQ(pool.queued(), 2u);
  open.set_value();
  pool.stop();
  EXPECT_EQ(done, 2);
  EXPECT_FALSE(pool.try_submit([] {}));
}

TEST(Metrics, ExposeNamesLabelsAndValues) {
  Metrics metrics;
  metrics.counter("cs_things_total", "Things.", {{"kind", "a"}}).add(2);
  metrics.counter("cs_things_total", "Things.", {{"kind", "a"}}).add();
  metrics.gauge("cs_level", "Level.").set(4);
  const auto text = metrics.expose();
  EXPECT_NE(text.find("cs_things_total{kind=\"a\"} 3"), std::string::npos) << text;
  EXPECT_NE(text.find("cs_level 4"), std::string::npos) << text;
}

}  // namespace
}  // namespace countersign::base

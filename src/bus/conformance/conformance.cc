#include "bus/conformance/conformance.h"

#include <future>
#include <latch>
#include <thread>

namespace countersign::bus {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BusConformance);

void Heard::add(const std::string& text) {
  const std::lock_guard lock(mutex_);
  all_.push_back(text);
  changed_.notify_all();
}

bool Heard::wait_for(std::size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return all_.size() >= count; });
}

bool Heard::wait_for(const std::string& text) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return !all_.empty() && all_.back() == text; });
}

std::vector<std::string> Heard::all() const {
  const std::lock_guard lock(mutex_);
  return all_;
}

testing::AssertionResult flushed(Bus& bus) {
  // The promise may be kept by a thread of the bus after this function gave up waiting.
  const auto done = std::make_shared<std::promise<Result<void>>>();
  auto answer = done->get_future();
  bus.flush([done](const Result<void>& result) { done->set_value(result); });
  if (answer.wait_for(kPatience) != std::future_status::ready) {
    return testing::AssertionFailure() << "flush() does not answer";
  }
  return succeeded(answer.get());
}

std::unique_ptr<Subscription> subscribed(Bus& bus, const std::string& subject, Handler handler) {
  auto subscription = bus.subscribe(subject, std::move(handler));
  EXPECT_TRUE(succeeded(subscription));
  EXPECT_TRUE(flushed(bus));
  return subscription.ok() ? std::move(*subscription) : nullptr;
}

void in_parallel(int count, const std::function<void(int)>& work) {
  std::latch start(count);
  std::vector<std::thread> threads;
  for (int index = 0; index < count; ++index) {
    threads.emplace_back([&, index] {
      start.arrive_and_wait();
      work(index);
    });
  }
  for (auto& thread : threads) thread.join();
}

bool BusConformance::eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    harness_->tick();
  }
  return true;
}

}  // namespace countersign::bus

#include "bus/conformance/conformance.h"

#include <algorithm>
#include <future>
#include <latch>
#include <list>
#include <thread>
#include <utility>

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

std::string faults_of_naming(Bus& publisher, Bus& subscriber, const Naming& subject) {
  struct Person {
    std::string application;
    std::string name;
    Heard heard;
    std::unique_ptr<Subscription> subscription;
  };
  const std::pair<const char*, const char*> hostile[] = {{"app", ">"},
                                                         {"app", "*"},
                                                         {"app", "alice"},
                                                         {"app", "alice.username.bob"},
                                                         {"app.username.alice", "bob"}};
  std::string faults;
  std::list<Person> people;
  for (const auto& [application, name] : hostile) {
    Person& person = people.emplace_back();
    person.application = application;
    person.name = name;
    auto made = subscriber.subscribe(subject(application, name), person.heard.handler());
    if (made) {
      person.subscription = std::move(*made);
    } else {
      faults += person.name + " cannot be reached\n";
    }
  }
  EXPECT_TRUE(flushed(subscriber));
  const auto tell_all = [&](const std::string& what) {
    for (const Person& person : people) {
      if (!person.subscription) continue;
      EXPECT_TRUE(succeeded(publisher.publish(subject(person.application, person.name),
                                              what.empty() ? "for " + person.name : what)));
    }
  };
  tell_all({});
  tell_all("last");
  for (Person& person : people) {
    if (!person.subscription) continue;
    if (!person.heard.wait_for("last")) faults += person.name + " hears nothing\n";
    const std::string own = "for " + person.name;
    const std::vector<std::string> all = person.heard.all();
    if (std::count(all.begin(), all.end(), own) != 1) {
      faults += person.name + " does not hear their own once\n";
    }
    for (const std::string& text : all) {
      if (text != own && text != "last") faults += person.name + " hears what is " + text + "\n";
    }
  }
  return faults;
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

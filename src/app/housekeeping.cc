#include "app/housekeeping.h"

#include <algorithm>

#include "base/log.h"

namespace countersign::app {

Housekeeping::~Housekeeping() { stop(); }

void Housekeeping::add(std::string name, std::chrono::milliseconds interval, Job job) {
  entries_.push_back({std::move(name), interval, std::move(job), {}});
}

void Housekeeping::start() {
  const auto now = std::chrono::steady_clock::now();
  for (auto& entry : entries_) entry.next = now + entry.interval;
  if (!entries_.empty()) thread_ = std::thread([this] { run(); });
}

void Housekeeping::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Housekeeping::run_entry(Entry& entry) {
  const auto done = entry.job();
  if (done) {
    entry.failing = false;
  } else if (!entry.failing) {
    entry.failing = true;
    base::log_warning("housekeeping_failed", {{"job", entry.name},
                                              {"reason", error_name(done.code())},
                                              {"detail", done.error().detail}});
  }
}

void Housekeeping::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    auto& entry = *std::ranges::min_element(entries_, {}, &Entry::next);
    if (wake_.wait_until(lock, entry.next, [this] { return stopping_; })) return;
    lock.unlock();
    run_entry(entry);
    lock.lock();
    entry.next = std::chrono::steady_clock::now() + entry.interval;
  }
}

}  // namespace countersign::app

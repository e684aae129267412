#include "accounts/password_pool.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "accounts/hash_memory.h"

namespace countersign::accounts {
namespace {

/// Hashing takes all the CPU it gets. It yields to the shards, which need little and need it now.
/// Not SCHED_IDLE: beside a busy program of the same session a sign-in then takes seconds.
constexpr int kNiceness = 10;

/// How long a thread without work keeps its memory.
constexpr std::chrono::seconds kKeepMemory{10};

}  // namespace

PasswordPool::Slot::Slot(Slot&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      prefix_(std::move(other.prefix_)),
      known_device_(other.known_device_) {}

PasswordPool::Slot& PasswordPool::Slot::operator=(Slot&& other) noexcept {
  if (this == &other) return *this;
  if (pool_ != nullptr) pool_->give_back(*this);
  pool_ = std::exchange(other.pool_, nullptr);
  prefix_ = std::move(other.prefix_);
  known_device_ = other.known_device_;
  return *this;
}

PasswordPool::Slot::~Slot() {
  if (pool_ != nullptr) pool_->give_back(*this);
}

Result<void> PasswordPool::Slot::become_common() {
  if (!known_device_ || pool_ == nullptr) return {};
  {
    const std::lock_guard lock(pool_->mutex_);
    if (pool_->taken_ <= pool_->common_limit_) {  // this place among them
      known_device_ = false;
      return {};
    }
  }
  pool_->give_back(*this);
  return fail(ErrorCode::kBusy, "the hash pool's common part is full");
}

PasswordPool::PasswordPool(PasswordPoolOptions options)
    : limit_(options.threads * (1 + options.queue_per_thread)),
      common_limit_(limit_ - options.threads * options.queue_per_thread / 4) {
  threads_.reserve(options.threads);
  for (std::size_t i = 0; i < options.threads; ++i) {
    threads_.emplace_back([this] { run(); });
    pthread_setname_np(threads_.back().native_handle(), "hash");
  }
}

PasswordPool::~PasswordPool() { stop(); }

std::size_t PasswordPool::threads_for(std::size_t cores, std::size_t memory_budget,
                                      std::size_t memory_per_hash) {
  return std::max<std::size_t>(1, std::min(cores, memory_budget / memory_per_hash));
}

Result<PasswordPool::Slot> PasswordPool::reserve(const ClientPrefix& prefix, bool known_device) {
  std::optional<Task> pushed_out;
  std::optional<Slot> slot;
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      if (!has_room(known_device)) pushed_out = push_out(prefix, known_device);
      if (has_room(known_device)) {
        slot = Slot(this, prefix, known_device);
        count(*slot, true);
      }
    }
  }
  if (pushed_out) pushed_out->done(fail(ErrorCode::kBusy, "pushed out of the hash pool's queue"));
  if (!slot) return fail(ErrorCode::kBusy, "the hash pool is full");
  return *std::move(slot);
}

void PasswordPool::submit(Slot slot, std::function<void()> work,
                          std::function<void(Result<void>)> done) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      auto group = std::find_if(groups_.begin(), groups_.end(), [&](const Group& candidate) {
        return candidate.wide == slot.prefix_.wide;
      });
      if (group == groups_.end()) {
        group = groups_.insert(groups_.end(), Group{slot.prefix_.wide, {}});
      }
      auto lane = std::find_if(
          group->lanes.begin(), group->lanes.end(),
          [&](const Lane& candidate) { return candidate.narrow == slot.prefix_.narrow; });
      if (lane == group->lanes.end()) {
        lane = group->lanes.insert(group->lanes.end(), Lane{slot.prefix_.narrow, {}});
      }
      lane->tasks.push_back(Task{std::move(slot), std::move(work), std::move(done)});
      wake_.notify_one();
      return;
    }
  }
  done(fail(ErrorCode::kBusy, "the hash pool has stopped"));
}

void PasswordPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

std::size_t PasswordPool::taken() const {
  const std::lock_guard lock(mutex_);
  return taken_;
}

void PasswordPool::run() {
  // On Linux the "process" of this call is one thread. If it is refused, hashing is merely less
  // kind.
  static_cast<void>(setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness));
  HashMemory memory;
  for (;;) {
    std::optional<Task> task;
    {
      std::unique_lock lock(mutex_);
      const auto called = [this] { return stopping_ || !groups_.empty(); };
      if (!wake_.wait_for(lock, kKeepMemory, called)) {
        memory.release();
        wake_.wait(lock, called);
      }
      if (groups_.empty()) return;
      task = take_next();
    }
    task->work();
    give_back(task->slot);
    task->done({});
  }
}

PasswordPool::Task PasswordPool::take_next() {
  Group& group = groups_.front();
  Lane& lane = group.lanes.front();
  Task task = std::move(lane.tasks.front());
  lane.tasks.pop_front();
  // Whoever was served goes to the back of its line; who has nothing left leaves it.
  if (lane.tasks.empty()) {
    group.lanes.pop_front();
  } else {
    group.lanes.splice(group.lanes.end(), group.lanes, group.lanes.begin());
  }
  if (group.lanes.empty()) {
    groups_.pop_front();
  } else {
    groups_.splice(groups_.end(), groups_, groups_.begin());
  }
  return task;
}

std::optional<PasswordPool::Task> PasswordPool::push_out(const ClientPrefix& newcomer,
                                                         bool known_device) {
  if (!known_device && taken_ > common_limit_) return std::nullopt;  // one place less is no room
  const auto own = load_.find(newcomer.wide);
  std::size_t heaviest = (own == load_.end() ? 0 : own->second) + 1;  // it must be busier than that
  auto victim_group = groups_.end();
  for (auto group = groups_.begin(); group != groups_.end(); ++group) {
    if (const std::size_t load = load_[group->wide]; load > heaviest) {
      heaviest = load;
      victim_group = group;
    }
  }
  if (victim_group == groups_.end()) return std::nullopt;
  auto lane = std::max_element(
      victim_group->lanes.begin(), victim_group->lanes.end(),
      [](const Lane& a, const Lane& b) { return a.tasks.size() < b.tasks.size(); });
  // The newest stranger; a known device gives way to a known device only.
  const auto newest_common =
      std::find_if(lane->tasks.rbegin(), lane->tasks.rend(),
                   [](const Task& task) { return !task.slot.known_device_; });
  auto victim = lane->tasks.end();
  if (newest_common != lane->tasks.rend()) {
    victim = std::prev(newest_common.base());
  } else if (known_device) {
    victim = std::prev(lane->tasks.end());
  } else {
    return std::nullopt;
  }
  Task task = std::move(*victim);
  lane->tasks.erase(victim);
  if (lane->tasks.empty()) victim_group->lanes.erase(lane);
  if (victim_group->lanes.empty()) groups_.erase(victim_group);
  count(task.slot, false);
  task.slot.pool_ = nullptr;
  return task;
}

bool PasswordPool::has_room(bool known_device) const {
  return taken_ < (known_device ? limit_ : common_limit_);
}

void PasswordPool::count(const Slot& slot, bool add) {
  const auto load = load_.try_emplace(slot.prefix_.wide, 0).first;
  if (add) {
    ++taken_;
    ++load->second;
  } else {
    --taken_;
    if (--load->second == 0) load_.erase(load);
  }
}

void PasswordPool::give_back(Slot& slot) {
  const std::lock_guard lock(mutex_);
  count(slot, false);
  slot.pool_ = nullptr;
}

}  // namespace countersign::accounts

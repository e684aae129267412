// The gateway's surroundings for tests: channels, shards and workers without threads or sockets.
// The test decides when anything runs.
#ifndef COUNTERSIGN_GATEWAY_FAKE_CHANNEL_H_
#define COUNTERSIGN_GATEWAY_FAKE_CHANNEL_H_

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "gateway/channel.h"
#include "gateway/gateway_connection.h"

namespace countersign::gateway {

/// Runs its tasks when told to, in order of posting. Real workers may post while it runs.
class FakeShard final : public base::Executor {
 public:
  void post(std::function<void()> task) override {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  bool idle() const {
    const std::lock_guard lock(mutex_);
    return tasks_.empty();
  }
  void run_one() {
    std::unique_lock lock(mutex_);
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
  }
  void run() {
    while (!idle()) run_one();
  }

 private:
  mutable std::mutex mutex_;
  std::deque<std::function<void()>> tasks_;
};

/// A worker pool of that kind.
class FakeTasks final : public TaskQueue {
 public:
  explicit FakeTasks(std::size_t capacity = 64) : capacity_(capacity) {}

  bool try_submit(std::function<void()> task) override {
    if (tasks_.size() >= capacity_) return false;
    tasks_.push_back(std::move(task));
    return true;
  }
  std::size_t size() const { return tasks_.size(); }
  /// Runs the task at this place in the queue: workers overtake each other.
  void run(std::size_t index) {
    auto task = std::move(tasks_[index]);
    tasks_.erase(tasks_.begin() + static_cast<std::ptrdiff_t>(index));
    task();
  }
  void run_all() {
    while (!tasks_.empty()) run(0);
  }
  /// What a stop does to tasks that have not begun.
  void drop_all() { tasks_.clear(); }
  void set_capacity(std::size_t capacity) { capacity_ = capacity; }

 private:
  std::size_t capacity_;
  std::deque<std::function<void()>> tasks_;
};

/// A connection: what was sent lies in `frames`, how it was closed in `close_code`.
class FakeChannel final : public Channel {
 public:
  explicit FakeChannel(FakeShard& shard) : shard_(shard) {}
  ~FakeChannel() override { lose(); }

  void open(std::unique_ptr<ChannelHandler> handler) {
    handler_ = std::move(handler);
    handler_->on_open(*this);
  }
  /// A frame arrives, unless the connection is being closed.
  void receive(std::string_view frame) {
    if (is_open()) handler_->on_frame(frame);
  }
  /// Fires the timer if it is due.
  bool fire_timer(base::SteadyTime now) {
    if (!handler_ || !timer_ || *timer_ > now) return false;
    timer_.reset();
    handler_->on_timer();
    return true;
  }
  /// The connection is gone.
  void lose() {
    if (!handler_) return;
    const auto handler = std::move(handler_);
    handler->on_closed();
  }

  void send(std::string frame) override {
    if (closing()) sent_after_close = true;
    frames.push_back(std::move(frame));
  }
  void close(CloseCode code) override {
    if (!closing()) close_code = code;
  }
  void close_normally() override { closed_normally = true; }
  std::size_t queued_bytes() const override { return queued; }
  void set_timer(std::optional<base::SteadyTime> when) override { timer_ = when; }
  base::Executor& shard() override { return shard_; }

  bool closing() const { return close_code.has_value() || closed_normally; }
  /// Neither lost nor closing.
  bool is_open() const { return handler_ != nullptr && !closing(); }
  bool is_lost() const { return handler_ == nullptr; }
  std::optional<base::SteadyTime> timer() const { return timer_; }

  std::vector<std::string> frames;
  std::size_t queued = 0;  // what the client has left unread
  std::optional<CloseCode> close_code;
  bool closed_normally = false;
  bool sent_after_close = false;

 private:
  FakeShard& shard_;
  std::unique_ptr<ChannelHandler> handler_;
  std::optional<base::SteadyTime> timer_;
};

/// The text of member `name` in a frame; empty if there is none.
inline std::string text_in(const std::string& frame, const std::string& name) {
  const std::string key = "\"" + name + "\":\"";
  const std::size_t begin = frame.find(key);
  if (begin == std::string::npos) return {};
  const std::size_t start = begin + key.size();
  return frame.substr(start, frame.find('"', start) - start);
}

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_FAKE_CHANNEL_H_

// MessageLanes: the queues of the hot path. Each lane is a thread that takes what waits in its
// queue and commits it as one batch; several lanes commit side by side.
//
// Batches of two lanes that write the same inbox wait for each other's locks. So a request goes to
// the lane where requests with one of its keys already are, and first of all where those with its
// first key are: requests of one sender keep their order, and everything around a hot user gathers
// in one lane, while the others go on. A request whose keys nobody uses goes to the shortest lane.
//
// Thread-safety: submit() may be called from any thread and never blocks on the database. Callbacks
// run on the lanes' threads.
#ifndef COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_LANES_H_
#define COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_LANES_H_

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "countersign/result.h"

namespace countersign::storage::postgres {

/// The bounds of each lane.
struct LaneLimits {
  std::size_t max_queue = 4'096;  ///< requests that may wait; further ones are kOverloaded
  std::size_t max_queue_bytes = std::size_t{32} << 20;  ///< the same for what they hold
  std::size_t max_batch = 128;
  std::size_t max_batch_bytes = std::size_t{4} << 20;  ///< but for a first request alone
};

template <class Request, class Answer>
class MessageLanes {
 public:
  using Done = std::function<void(Result<Answer>)>;
  /// Commits a batch; an answer for each request.
  using Commit =
      std::function<std::vector<Result<Answer>>(std::span<const Request* const> requests)>;
  using Keys = std::vector<std::size_t>;

  MessageLanes(std::size_t lanes, Commit commit, LaneLimits limits = {})
      : commit_(std::move(commit)), limits_(limits), lanes_(std::max<std::size_t>(lanes, 1)) {
    for (Lane& lane : lanes_) lane.thread = std::thread([this, &lane] { work(lane); });
  }
  /// Commits what waits, then stops.
  ~MessageLanes() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    for (Lane& lane : lanes_) lane.filled.notify_one();
    for (Lane& lane : lanes_) lane.thread.join();
  }
  MessageLanes(const MessageLanes&) = delete;
  MessageLanes& operator=(const MessageLanes&) = delete;

  /// @param keys  hashes of what the request writes, that of its sender first.
  /// @param bytes  what the request takes up while it waits, about.
  /// kOverloaded at once, on the caller's thread, if its lane is full.
  void submit(Request request, Keys keys, std::size_t bytes, Done done) {
    std::unique_lock lock(mutex_);
    Lane& lane = lanes_[choose(keys)];
    if (lane.queue.size() >= limits_.max_queue ||
        (lane.bytes + bytes > limits_.max_queue_bytes && lane.bytes > 0)) {
      lock.unlock();
      done(fail(ErrorCode::kOverloaded, "too many messages wait for the store"));
      return;
    }
    const std::size_t number = static_cast<std::size_t>(&lane - lanes_.data());
    for (const std::size_t key : keys) {
      ++places_.try_emplace(key, Place{number, 0}).first->second.requests;
    }
    lane.bytes += bytes;
    lane.queue.push_back({std::move(request), std::move(keys), bytes, std::move(done)});
    lock.unlock();
    lane.filled.notify_one();
  }

 private:
  struct Waiting {
    Request request;
    Keys keys;
    std::size_t bytes;
    Done done;
  };
  struct Lane {
    std::deque<Waiting> queue;
    std::size_t bytes = 0;    ///< in the queue
    std::size_t in_hand = 0;  ///< being committed
    std::condition_variable filled;
    std::thread thread;
  };
  /// Where requests with a key are, and how many wait or are being committed.
  struct Place {
    std::size_t lane;
    std::size_t requests;
  };

  std::size_t choose(const Keys& keys) const {
    for (const std::size_t key : keys) {
      if (const auto place = places_.find(key); place != places_.end()) return place->second.lane;
    }
    const auto load = [](const Lane& lane) { return lane.queue.size() + lane.in_hand; };
    const auto shortest =
        std::min_element(lanes_.begin(), lanes_.end(),
                         [&](const Lane& a, const Lane& b) { return load(a) < load(b); });
    return static_cast<std::size_t>(shortest - lanes_.begin());
  }

  std::vector<Waiting> take(Lane& lane) {
    std::vector<Waiting> batch;
    std::size_t bytes = 0;
    while (!lane.queue.empty() && batch.size() < limits_.max_batch) {
      bytes += lane.queue.front().bytes;
      if (bytes > limits_.max_batch_bytes && !batch.empty()) break;
      lane.bytes -= lane.queue.front().bytes;
      batch.push_back(std::move(lane.queue.front()));
      lane.queue.pop_front();
    }
    lane.in_hand = batch.size();
    return batch;
  }

  void release(const std::vector<Waiting>& batch) {
    for (const Waiting& one : batch) {
      for (const std::size_t key : one.keys) {
        const auto place = places_.find(key);
        if (--place->second.requests == 0) places_.erase(place);
      }
    }
  }

  void work(Lane& lane) {
    std::unique_lock lock(mutex_);
    for (;;) {
      lane.filled.wait(lock, [&] { return stopping_ || !lane.queue.empty(); });
      if (lane.queue.empty()) return;
      const std::vector<Waiting> batch = take(lane);
      lock.unlock();
      std::vector<const Request*> requests;
      requests.reserve(batch.size());
      for (const Waiting& one : batch) requests.push_back(&one.request);
      std::vector<Result<Answer>> answers = commit_(requests);
      lock.lock();
      release(batch);
      lane.in_hand = 0;
      lock.unlock();
      for (std::size_t i = 0; i < batch.size(); ++i) batch[i].done(std::move(answers[i]));
      lock.lock();
    }
  }

  const Commit commit_;
  const LaneLimits limits_;
  std::mutex mutex_;
  bool stopping_ = false;
  std::unordered_map<std::size_t, Place> places_;
  std::vector<Lane> lanes_;
};

}  // namespace countersign::storage::postgres

#endif  // COUNTERSIGN_STORAGE_POSTGRES_MESSAGE_LANES_H_

// The poll hub: the held polls of one shard.
//
// A poll reads the log once when it comes, and again whenever something may have happened to its
// user, until there is something to tell or its time is over. Its user's follower hears of news; it
// stays a while when the last poll has gone, because the client comes again at once.
//
// While the node is fenced nothing is read or told: polls wait. A poll whose instance ends is
// refused late, so that its client, which asks again every second for ever, does not spin.
//
// Thread-safety: everything on the shard. What is read comes back there as a task; the shards stop
// before the hub goes. Source: docs/reference/classic-door.md, "Delivery".
#ifndef COUNTERSIGN_GATEWAY_CLASSIC_POLL_HUB_H_
#define COUNTERSIGN_GATEWAY_CLASSIC_POLL_HUB_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "countersign/result.h"

#include "base/executor.h"
#include "gateway/classic/classic_context.h"

namespace countersign::gateway::classic {

class PollHub {
 public:
  using Done = std::function<void(Result<Polled>)>;

  /// @param total  polls of all shards, for everybody to read.
  PollHub(ClassicContext& context, std::size_t shard, std::atomic<std::size_t>& total);
  ~PollHub();
  PollHub(const PollHub&) = delete;
  PollHub& operator=(const PollHub&) = delete;

  /// `done` runs once, later.
  PollId subscribe(base::Executor& executor, protocol::ClassicSubscribe request, Done done);
  /// `done` will not run.
  void cancel(PollId id);
  /// Runs `task` when `delay` has passed, or soon if too many such tasks wait.
  void later(base::Executor& executor, std::chrono::milliseconds delay, std::function<void()> task);

  /// What these rows end.
  void on_revocations(std::span<const storage::Revocation> revocations);
  /// Answers every held poll: its client comes again, through the checks.
  void release();
  /// Deadlines, and what could not be read before.
  void sweep();

  /// The shard's executor; null before the first request. Any thread.
  base::Executor* executor() const { return executor_.load(std::memory_order_acquire); }

 private:
  struct Poll;
  struct Reading;
  class Follower;

  void know(base::Executor& executor);
  void judge(Poll& poll);
  void on_judged(PollId id, const Result<LiveInstance>& judged);
  void admit(Poll& poll, LiveInstance instance);
  Follower& follow(const LiveInstance& instance);
  void unfollow(Poll& poll);

  void read(Poll& poll);
  void read_log(const std::shared_ptr<Reading>& reading);
  void read_place(const std::shared_ptr<Reading>& reading, bool join);
  void come_back(const std::shared_ptr<Reading>& reading, Result<LogPage> page);
  void on_read(const Reading& reading, Result<LogPage> page);
  void put_off(Poll& poll);

  void refuse_late(Poll& poll, ErrorCode code);
  void set_deadline(Poll& poll, std::chrono::milliseconds delay);
  void let_go(Poll& poll);
  void answer(Poll& poll, Result<Polled> polled);
  void answer_idle(Poll& poll);
  std::vector<PollId> ids() const;

  ClassicContext& context_;
  const std::size_t shard_;
  std::atomic<std::size_t>& total_;
  std::atomic<base::Executor*> executor_{nullptr};
  PollId next_ = 1;
  std::unordered_map<PollId, std::unique_ptr<Poll>> polls_;
  std::set<std::pair<base::SteadyTime, PollId>> deadlines_;
  std::unordered_map<base::InstanceId, std::size_t> of_instance_;
  std::unordered_map<std::string, std::unique_ptr<Follower>> followers_;  // by transport channel
  std::deque<std::pair<base::SteadyTime, std::string>> idle_;             // followers to look at
  std::multimap<base::SteadyTime, std::function<void()>> late_;
  bool put_off_ = false;  // some poll has to be read when that is possible again
};

}  // namespace countersign::gateway::classic

#endif  // COUNTERSIGN_GATEWAY_CLASSIC_POLL_HUB_H_

// TaskQueue: somewhere to run a blocking task. The gateway's own word for a worker pool.
// Thread-safety: every call may be made from any thread.
#ifndef COUNTERSIGN_GATEWAY_TASK_QUEUE_H_
#define COUNTERSIGN_GATEWAY_TASK_QUEUE_H_

#include <functional>

namespace countersign::gateway {

class TaskQueue {
 public:
  virtual ~TaskQueue() = default;
  /// False if there is no room; then the task will not run.
  virtual bool try_submit(std::function<void()> task) = 0;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_TASK_QUEUE_H_

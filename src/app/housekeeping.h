// Housekeeping: one thread that does now and then what nobody waits for.
// Thread-safety: start and stop from one thread. Jobs run one after the other on its thread.
#ifndef COUNTERSIGN_APP_HOUSEKEEPING_H_
#define COUNTERSIGN_APP_HOUSEKEEPING_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "countersign/result.h"

namespace countersign::app {

class Housekeeping {
 public:
  using Job = std::function<Result<void>()>;

  Housekeeping() = default;
  ~Housekeeping();
  Housekeeping(const Housekeeping&) = delete;
  Housekeeping& operator=(const Housekeeping&) = delete;

  /// Runs `job` every `interval`, the first time after one. A failure is logged under `name`, once
  /// until the job has succeeded again. Before start().
  void add(std::string name, std::chrono::milliseconds interval, Job job);
  void start();
  /// Waits for the job under way. Idempotent.
  void stop();

 private:
  struct Entry {
    std::string name;
    std::chrono::milliseconds interval;
    Job job;
    std::chrono::steady_clock::time_point next;
    bool failing = false;
  };

  void run();
  static void run_entry(Entry& entry);

  std::vector<Entry> entries_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace countersign::app

#endif  // COUNTERSIGN_APP_HOUSEKEEPING_H_

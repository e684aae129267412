#include "base/burst.h"

#include <algorithm>

namespace countersign::base {
namespace {

thread_local Burst* outermost = nullptr;

}  // namespace

Burst::Burst() : outer_(outermost) {
  if (outer_ == nullptr) outermost = this;
}

Burst::~Burst() {
  if (outer_ != nullptr) return;
  outermost = nullptr;
  for (Executor* executor : executors_) executor->wake();
}

bool Burst::defer_wake(Executor& executor) {
  if (outermost == nullptr) return false;
  std::vector<Executor*>& executors = outermost->executors_;
  if (std::find(executors.begin(), executors.end(), &executor) == executors.end()) {
    executors.push_back(&executor);
  }
  return true;
}

}  // namespace countersign::base

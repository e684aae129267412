#include "accounts/answer_floor.h"

#include <algorithm>

namespace countersign::accounts {

AnswerFloor::AnswerFloor(AnswerFloorOptions options, base::Random& random)
    : options_(options), random_(random) {
  work_.reserve(options_.samples);
}

void AnswerFloor::note_work(std::chrono::nanoseconds work) {
  const auto sample = std::chrono::duration_cast<std::chrono::microseconds>(work);
  const std::lock_guard lock(mutex_);
  if (work_.size() < options_.samples) {
    work_.push_back(sample);
  } else if (!work_.empty()) {
    sum_ -= work_[next_];
    work_[next_] = sample;
    next_ = (next_ + 1) % work_.size();
  } else {
    return;
  }
  sum_ += sample;
}

base::SteadyTime AnswerFloor::deadline(base::SteadyTime start) {
  std::chrono::microseconds floor = options_.minimum;
  if (options_.jitter.count() > 0) {
    floor += std::chrono::microseconds(
        random_.below(static_cast<std::uint32_t>(options_.jitter.count()) + 1));
  }
  const std::lock_guard lock(mutex_);
  if (!work_.empty()) {
    const auto mean = sum_ / static_cast<std::chrono::microseconds::rep>(work_.size());
    floor = std::max(floor, std::min(mean, options_.cap));
  }
  return start + floor;
}

}  // namespace countersign::accounts

#include "app/store_clock.h"

#include "base/log.h"

namespace countersign::app {

using std::chrono::milliseconds;

Result<milliseconds> StoreClock::measure(storage::Store& store) const {
  const auto before = machine_.now();
  const auto there = store.now();
  if (!there) return there.failure();
  const auto after = machine_.now();
  if (*there < before) return std::chrono::duration_cast<milliseconds>(before - *there);
  if (*there > after) return std::chrono::duration_cast<milliseconds>(after - *there);
  return milliseconds(0);
}

Result<void> StoreClock::check(storage::Store& store) {
  const auto offset = measure(store);
  if (!offset) return offset.failure();
  const bool agreed = agrees();
  offset_ms_ = offset->count();
  if (agreed && !agrees()) {
    base::log_error("clock_off_the_store",
                    {{"milliseconds", offset->count()},
                     {"what_it_means", "a node is not ready until the two clocks agree"}});
  } else if (!agreed && agrees()) {
    base::log_info("clock_agrees_with_the_store");
  }
  return {};
}

}  // namespace countersign::app

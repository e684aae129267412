#include "gateway/message_worker.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace countersign::gateway {
namespace {

constexpr const char* kChoreNames[] = {"fan_out", "expire", "remove_old"};

}  // namespace

MessageWorker::MessageWorker(MessageWorkerOptions options, storage::MessageStore& store,
                             MessageSink& sink, const base::Clock& clock, base::Metrics& metrics)
    : options_(options),
      store_(store),
      sink_(sink),
      clock_(clock),
      jump_guard_(store_clock().now(), store_clock().steady()),
      fanned_out_(metrics.counter("countersign_fan_out_entries_total",
                                  "Inbox entries written in the background.")),
      expired_(metrics.counter("countersign_expiry_notices_total",
                               "Entries that tell a sender of a message that expired, or that "
                               "retention took, before somebody got it.")),
      removed_(metrics.counter("countersign_removed_messages_total",
                               "Rows of messages removed because they were kept long enough.")),
      failures_(metrics.counter("countersign_message_worker_failures_total",
                                "Background transactions of messages that failed.")),
      fan_out_age_(metrics.gauge("countersign_fan_out_age_seconds",
                                 "Age of the message whose entries were written last in the "
                                 "background; 0 when none waits.")) {
  const base::SteadyTime now = clock.steady();
  for (Schedule& schedule : schedule_) schedule.next = now;
  schedule_[kRemove].next += options_.removal_interval;
}

MessageWorker::~MessageWorker() { stop(); }

void MessageWorker::start() {
  thread_ = std::thread([this] { follow(); });
}

void MessageWorker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void MessageWorker::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  wake_.notify_all();
}

void MessageWorker::follow() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const base::SteadyTime next = step();
    lock.lock();
    wake_.wait_for(lock, next - clock_.steady(), [this] { return stopping_ || woken_; });
  }
}

base::SteadyTime MessageWorker::step() {
  {
    const std::lock_guard lock(mutex_);
    Schedule& jobs = schedule_[kFanOut];
    // A hint does not shorten the pause after a failure.
    if (std::exchange(woken_, false) && jobs.pause.count() == 0) jobs.next = clock_.steady();
  }
  for (const Chore chore : {kFanOut, kExpire, kRemove}) {
    if (schedule_[chore].next <= clock_.steady()) run(chore);
  }
  return std::ranges::min_element(schedule_, {}, &Schedule::next)->next;
}

void MessageWorker::run(Chore chore) {
  Schedule& schedule = schedule_[chore];
  const Result<bool> more = chore == kFanOut   ? fan_out()
                            : chore == kExpire ? expire()
                                               : remove_old();
  const base::SteadyTime now = clock_.steady();
  if (more) {
    if (schedule.pause.count() > 0) {
      base::log_info("message_worker_recovered", {{"chore", kChoreNames[chore]}});
    }
    schedule.pause = {};
    schedule.next = *more ? now : now + interval(chore);
    return;
  }
  failures_.add();
  if (schedule.pause.count() == 0) {
    base::log_warning("message_worker_failed", {{"chore", kChoreNames[chore]},
                                                {"reason", error_name(more.code())},
                                                {"detail", more.error().detail}});
  }
  schedule.pause = std::clamp(schedule.pause * 2, options_.first_pause, options_.longest_pause);
  schedule.next = now + schedule.pause;
}

std::chrono::milliseconds MessageWorker::interval(Chore chore) const {
  switch (chore) {
    case kFanOut:
      return options_.look_interval;
    case kExpire:
      return options_.expire_interval;
    default:
      return options_.removal_interval;
  }
}

Result<bool> MessageWorker::fan_out() {
  const auto written = store_.fan_out(options_.fan_out_at_once);
  if (!written) return written.failure();
  if (!*written) {
    fan_out_age_.set(0);
    return false;
  }
  const storage::FanOut& entries = **written;
  fanned_out_.add(static_cast<double>(entries.deliveries.size()));
  const std::chrono::duration<double> age = clock_.now() - entries.message.time;
  fan_out_age_.set(std::max(0.0, age.count()));
  sink_.on_fan_out(entries);
  return true;
}

Result<bool> MessageWorker::expire() {
  if (options_.may_expire && !options_.may_expire()) return false;
  const auto expired = store_.expire(clock_.now(), options_.expire_at_once);
  if (!expired) return expired.failure();
  tell(expired->notices);
  // Messages of groups, and those that everybody got, expire without a notice.
  return expired->found >= options_.expire_at_once;
}

Result<bool> MessageWorker::remove_old() {
  const base::SystemTime now = store_clock().now();
  if (!may_remove(now)) return false;
  const auto removal = store_.remove_old(now - options_.retention, now, options_.remove_at_once);
  if (!removal) return removal.failure();
  tell(removal->notices);
  removed_.add(static_cast<double>(removal->removed));
  return removal->removed >= options_.remove_at_once;
}

void MessageWorker::tell(const std::vector<storage::Expired>& notices) {
  for (const storage::Expired& notice : notices) sink_.on_expired(notice);
  expired_.add(static_cast<double>(notices.size()));
}

bool MessageWorker::may_remove(base::SystemTime now) {
  const auto verdict = jump_guard_.check(now, store_clock().steady());
  if (verdict.jumped) {
    base::log_error("clock_jumped", {{"seconds", verdict.jumped->count()},
                                     {"action", "no messages are removed for now"}});
  }
  return verdict.may_run;
}

}  // namespace countersign::gateway

// The connection machine and time: expiry by the wall clock, deadlines by the steady one.
#include <algorithm>
#include <string>

#include "gateway/connection_machine.h"

namespace countersign::gateway {
namespace {

using std::chrono::milliseconds;

// While an expected wall-clock instant does not come, because the machine's clock was set back.
constexpr milliseconds kWallRecheck{1'000};
// While pushes are held.
constexpr milliseconds kFencedRecheck{500};
// So that a client notices within so many intervals that it has missed something.
constexpr int kPingsPerTop = 4;
// Two notices closer than this are one.
constexpr milliseconds kNoticeApart{1'000};

}  // namespace

void ConnectionMachine::expire_if_due(Moment now) {
  if (phase_ != Phase::kLive || now.wall < membership_.expires()) return;
  phase_ = Phase::kExpired;
  phase_deadline_ = now.steady + config_.expiry_grace;
  wall_check_ = base::SteadyTime::max();
}

base::SystemTime ConnectionMachine::capped_expiry(base::SystemTime expires, Moment now) const {
  return std::min(expires, now.wall + config_.max_instance_life);
}

// Sets next_notice_ to the first notice later than `after`, and the next look at the wall clock.
void ConnectionMachine::plan_notice(base::SystemTime after, Moment now) {
  const base::SystemTime end = membership_.expires();
  const auto life = end - membership_.ticket_created();
  next_notice_ = base::SystemTime::max();
  for (const base::SystemTime at : {end - life / 5, end - config_.final_notice}) {
    if (at > after) next_notice_ = std::min(next_notice_, at);
  }
  const auto left = std::min(next_notice_, end) - now.wall;
  wall_check_ = now.steady + std::max<base::SystemTime::duration>(left, milliseconds{0});
}

void ConnectionMachine::watch_wall(Moment now, Actions& out) {
  if (phase_ != Phase::kLive || now.steady < wall_check_) return;
  if (now.wall < next_notice_) {
    plan_notice(now.wall, now);
    wall_check_ = std::max(wall_check_, now.steady + kWallRecheck);
  } else if (now.fenced) {
    wall_check_ = now.steady + kFencedRecheck;
  } else {
    const auto left = std::chrono::duration_cast<milliseconds>(membership_.expires() - now.wall);
    out.push_back(SendFrame{protocol::encode_expiring(left)});
    plan_notice(now.wall + kNoticeApart, now);
  }
}

void ConnectionMachine::keep_alive(Moment now, Actions& out) {
  if (now.steady < next_ping_) return;
  out.push_back(SendFrame{std::string(protocol::kPing)});
  if (inbox_ && ++pings_ % kPingsPerTop == 0) inbox_->tell_top(for_inbox(now), out);
  next_ping_ = now.steady + config_.ping_interval;
  // A later ping must not put off the deadline of an unanswered one.
  pong_deadline_ = std::min(pong_deadline_, now.steady + config_.pong_timeout);
}

std::optional<base::SteadyTime> ConnectionMachine::next_deadline() const {
  if (closing()) return std::nullopt;
  auto next = std::min({next_ping_, pong_deadline_, wall_check_, shutdown_at_});
  if (phase_ == Phase::kNew || phase_ == Phase::kExpired) next = std::min(next, phase_deadline_);
  if (pending_) next = std::min(next, pending_->deadline);
  if (inbox_) next = std::min(next, inbox_->next_deadline());
  return next;
}

}  // namespace countersign::gateway

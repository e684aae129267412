#include "gateway/classic/poll_hub.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <variant>

#include "base/log.h"
#include "protocol/mxp_message.h"
#include "protocol/user_event.h"

namespace countersign::gateway::classic {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// How long a user is followed after the last poll.
constexpr seconds kLinger{15};
/// How old what is known of others' receipts may be when a poll comes.
constexpr seconds kHorizonsFresh{240};
/// The same while polls are held: the sweep of the mailroom sees to it.
constexpr seconds kHorizonsSwept{120};
constexpr std::size_t kMaxLate = 4'096;
/// What JSON carries exactly, as for all positions of this project.
constexpr std::uint64_t kMaxPosition = (1ULL << 53) - 1;

std::uint64_t token_of(std::int64_t position) {
  return protocol::kTimetokenBase + static_cast<std::uint64_t>(position);
}

/// Errors that pass: the poll stays, and reads again.
bool passes(ErrorCode code) {
  return code == ErrorCode::kOverloaded || code == ErrorCode::kTooManyRequests;
}

}  // namespace

struct PollHub::Poll {
  PollId id = 0;
  Done done;
  std::unique_ptr<protocol::ClassicSubscribe> request;  // until it is judged
  LiveInstance instance;                                // since then
  Follower* follower = nullptr;
  base::SteadyTime deadline;
  std::int64_t position = 0;
  std::int64_t offset = 0;  // the inbox's part of it, once read
  std::optional<ErrorCode> refusal;
  bool placed = false;   // it named a position
  bool listens = false;  // to the transport channel
  bool first = true;     // nothing has been read for it
  bool reading = false;
  bool again = false;  // something happened since the reading began, or it could not begin
};

/// One look at the log, as the poll stood when it began.
struct PollHub::Reading {
  PollId poll = 0;
  LiveInstance instance;
  std::int64_t position = 0;
  bool first = false;
  bool join = false;
  bool placed = false;  ///< false: only the device's place is wanted
  bool horizons = false;
  std::shared_ptr<void> call;
};

/// Hears what happens to a user, for all their polls here.
class PollHub::Follower final : public MailroomMember {
 public:
  Follower(PollHub& hub, storage::UserKey user) : hub_(hub), user_(std::move(user)) {}

  void on_user_event(const protocol::UserEvent& event) override {
    if (std::holds_alternative<protocol::EntryEvent>(event.what)) return tell();
    const auto* const loose = std::get_if<protocol::LooseEvent>(&event.what);
    if (loose == nullptr || loose->kind != protocol::LooseEvent::Kind::kReceipt) return;
    if (const auto receipt = protocol::read_receipts_push(loose->push)) return note(*receipt);
    on_news();
  }
  void on_news() override {
    horizons.reset();
    tell();
  }
  // Receipts of others are no entries: nobody sweeps for them.
  void on_gap() override { on_news(); }
  void on_top(std::int64_t top) override {
    const bool stale = !horizons || hub_.context_.clock.steady() - *horizons > kHorizonsSwept;
    if (stale) return on_news();
    for (Poll* poll : std::vector<Poll*>(polls)) {
      if (poll->offset < top) hub_.read(*poll);
    }
  }
  std::int64_t pushed() const override {
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (const Poll* poll : polls) least = std::min(least, poll->offset);
    return least;
  }

  std::vector<Poll*> polls;                  // those that listen
  bool flushed = false;                      // the bus has confirmed that we hear
  std::optional<base::SteadyTime> horizons;  // when they were noted last
  base::SteadyTime idle_since;

  /// Has all polls look at the log but this one. Reading ends no poll inside the call, but what is
  /// walked over is kept apart all the same.
  void tell(PollId except = 0) {
    for (Poll* poll : std::vector<Poll*>(polls)) {
      if (poll->id != except) hub_.read(*poll);
    }
  }

 private:
  void note(const protocol::ReceiptsPush& receipt) {
    if (receipt.user == user_.identity) return;
    ClassicContext& context = hub_.context_;
    storage::ClassicHorizon horizon{receipt.conversation, receipt.user, receipt.delivered};
    const bool submitted = context.tasks.try_submit(
        [&hub = hub_, call = context.calls.begin(), user = user_, horizon = std::move(horizon),
         channel = context.keys.transport_channel(user_)] {
          const auto noted =
              hub.context_.classic.note_horizons(user, {&horizon, 1}, hub.context_.clock.now());
          hub.executor()->post([&hub, channel, failed = !noted] {
            const auto found = hub.followers_.find(channel);
            if (found == hub.followers_.end()) return;
            if (failed) found->second->horizons.reset();
            found->second->tell();
          });
        });
    if (!submitted) on_news();
  }

  PollHub& hub_;
  const storage::UserKey user_;
};

PollHub::PollHub(ClassicContext& context, std::size_t shard, std::atomic<std::size_t>& total)
    : context_(context), shard_(shard), total_(total) {}

PollHub::~PollHub() {
  for (auto& [channel, follower] : followers_) {
    context_.messaging.mailroom(shard_).leave(*follower);
  }
}

void PollHub::know(base::Executor& executor) {
  if (executor_.load(std::memory_order_relaxed) == &executor) return;
  executor_.store(&executor, std::memory_order_release);
  context_.messaging.know_shard(shard_, executor);
}

PollId PollHub::subscribe(base::Executor& executor, protocol::ClassicSubscribe request, Done done) {
  know(executor);
  const PollId id = next_++;
  Poll& poll = *polls_.emplace(id, std::make_unique<Poll>()).first->second;
  total_.fetch_add(1, std::memory_order_relaxed);
  context_.polls_gauge.add(1);
  poll.id = id;
  poll.done = std::move(done);
  poll.request = std::make_unique<protocol::ClassicSubscribe>(std::move(request));
  // A token from before the first one is from somewhere else: the device's place is told anew.
  poll.placed = poll.request->timetoken >= protocol::kTimetokenBase &&
                poll.request->timetoken - protocol::kTimetokenBase <= kMaxPosition;
  if (poll.placed) {
    poll.position = static_cast<std::int64_t>(poll.request->timetoken - protocol::kTimetokenBase);
  }
  const bool leaving = context_.shutting_down.load(std::memory_order_acquire);
  if (leaving || polls_.size() > context_.options.max_polls) {
    set_deadline(poll, context_.options.hold);
    if (!leaving) poll.refusal = ErrorCode::kOverloaded;
    executor.post([this, id] {
      const auto found = polls_.find(id);
      if (found != polls_.end()) answer_idle(*found->second);
    });
    return id;
  }
  set_deadline(poll, context_.options.hold);
  judge(poll);
  return id;
}

void PollHub::cancel(PollId id) {
  const auto found = polls_.find(id);
  if (found != polls_.end()) let_go(*found->second);
}

void PollHub::later(base::Executor& executor, milliseconds delay, std::function<void()> task) {
  know(executor);
  if (late_.size() >= kMaxLate || context_.shutting_down.load(std::memory_order_acquire)) {
    return executor.post(std::move(task));
  }
  late_.emplace(context_.clock.steady() + delay, std::move(task));
}

// Whose poll it is. A revocation may be heard between the store's answer and ours: what counts is
// what the book says here, on the shard, where the next revocation will find the poll.
void PollHub::judge(Poll& poll) {
  const auto id = context_.keys.subscriber(poll.request->key);
  if (!id) return refuse_late(poll, ErrorCode::kUnauthorized);
  auto known = context_.book.peek(*id);
  if (!known) return refuse_late(poll, plane_code(known.code()));
  if (*known) return admit(poll, *std::move(known));
  const bool submitted =
      context_.tasks.try_submit([this, call = context_.calls.begin(), poll = poll.id, id = *id] {
        auto judged = context_.book.find(id);
        executor()->post([this, poll, judged = std::move(judged)] { on_judged(poll, judged); });
      });
  if (!submitted) put_off(poll);
}

void PollHub::on_judged(PollId id, const Result<LiveInstance>& judged) {
  const auto found = polls_.find(id);
  if (found == polls_.end() || found->second->refusal) return;
  Poll& poll = *found->second;
  if (!judged && passes(judged.code())) return put_off(poll);
  if (!judged) return refuse_late(poll, plane_code(judged.code()));
  judge(poll);
}

void PollHub::admit(Poll& poll, LiveInstance instance) {
  const std::string transport = context_.keys.transport_channel(ClassicContext::user(*instance));
  // A page that calls a group adds the group's name to the poll that brings its messages. Nothing
  // comes on it here, but the messages have to go on coming.
  bool own = false;
  for (const std::string& channel : poll.request->channels) {
    if (channel == transport) {
      poll.listens = own = true;
    } else if (channel == context_.keys.broadcast_channel(instance->id) ||
               channel == context_.keys.signal_channel(instance->id)) {
      own = true;
    } else if (ClassicKeys::is_channel(channel)) {
      return refuse_late(poll, ErrorCode::kPermissionDenied);
    }
  }
  if (!own) return refuse_late(poll, ErrorCode::kPermissionDenied);
  if (context_.requests.take(instance->id.text(), 1, context_.clock.steady())) {
    return refuse_late(poll, ErrorCode::kTooManyRequests);
  }
  std::size_t& count = of_instance_[instance->id];
  if (count >= context_.options.max_polls_per_instance) {
    return refuse_late(poll, ErrorCode::kTooManyRequests);
  }
  ++count;
  poll.request.reset();
  poll.instance = std::move(instance);
  if (!poll.listens && poll.placed) return;  // nothing comes on the other channels yet
  poll.follower = &follow(poll.instance);
  poll.follower->polls.push_back(&poll);
  read(poll);
}

PollHub::Follower& PollHub::follow(const LiveInstance& instance) {
  const storage::UserKey user = ClassicContext::user(*instance);
  auto& follower = followers_[context_.keys.transport_channel(user)];
  if (!follower) {
    follower = std::make_unique<Follower>(*this, user);
    context_.messaging.mailroom(shard_).join(*follower, user, *executor());
  }
  return *follower;
}

void PollHub::unfollow(Poll& poll) {
  Follower* const follower = std::exchange(poll.follower, nullptr);
  if (follower == nullptr) return;
  std::erase(follower->polls, &poll);
  if (!follower->polls.empty()) return;
  follower->idle_since = context_.clock.steady();
  idle_.emplace_back(follower->idle_since,
                     context_.keys.transport_channel(ClassicContext::user(*poll.instance)));
}

// Something may be there that could not be looked for: the sweep begins anew.
void PollHub::put_off(Poll& poll) {
  poll.again = true;
  put_off_ = true;
}

void PollHub::read(Poll& poll) {
  if (poll.refusal || poll.reading) {
    poll.again = true;
    return;
  }
  if (context_.fenced()) return put_off(poll);
  const base::SteadyTime now = context_.clock.steady();
  Follower& follower = *poll.follower;
  auto reading = std::make_shared<Reading>();
  reading->poll = poll.id;
  reading->instance = poll.instance;
  reading->position = poll.position;
  reading->first = poll.first;
  reading->placed = poll.placed;
  reading->join = !follower.flushed;
  reading->horizons =
      !follower.horizons || (poll.first && now - *follower.horizons > kHorizonsFresh);
  reading->call = context_.calls.begin();
  poll.reading = true;
  poll.again = false;
  // What happens from here on is noted again.
  if (reading->horizons) follower.horizons = now;
  const bool device =
      reading->join || !reading->placed || !context_.receipts.knows(poll.instance->id);
  if (device) return read_place(reading, reading->join);
  if (!context_.tasks.try_submit([this, reading] { read_log(reading); })) {
    come_back(reading, fail(ErrorCode::kOverloaded, "workers are busy"));
  }
}

// Makes sure of the device, then reads; or tells its place, if it has none.
void PollHub::read_place(const std::shared_ptr<Reading>& reading, bool join) {
  context_.open_device(
      reading->instance, join, [this, reading](const Result<storage::Attached>& attached) {
        if (!attached) return come_back(reading, attached.failure());
        if (reading->placed) return read_log(reading);
        if (reading->horizons) {
          auto noted = context_.note_horizons(ClassicContext::user(*reading->instance));
          if (!noted) return come_back(reading, noted.failure());
        }
        const auto position =
            context_.classic.position_of(ClassicContext::user(*reading->instance), attached->from);
        if (!position) return come_back(reading, position.failure());
        LogPage page;
        page.position = *position;
        page.offset = attached->from;
        come_back(reading, std::move(page));
      });
}

void PollHub::read_log(const std::shared_ptr<Reading>& reading) {
  const storage::UserKey user = ClassicContext::user(*reading->instance);
  if (reading->horizons) {
    auto noted = context_.note_horizons(user);
    if (!noted) return come_back(reading, noted.failure());
  }
  auto page = context_.reader.read(user, reading->position);
  if (!page) return come_back(reading, page.failure());
  if (page->astray) {  // told its place, as if it had never had one
    reading->placed = false;
    context_.receipts.forget(reading->instance->id);
    return read_place(reading, false);
  }
  if (reading->first) {
    const auto move =
        context_.receipts.polled(reading->instance->id, page->start, context_.clock.steady());
    // If it cannot be stored the device is forgotten, and begins where the store has it.
    if (move) context_.store(reading->instance, *move, [](const Result<void>&) {});
  }
  come_back(reading, std::move(page));
}

void PollHub::come_back(const std::shared_ptr<Reading>& reading, Result<LogPage> page) {
  // The call ends here: a shard that has stopped may keep the task and never run it.
  const auto call = std::exchange(reading->call, nullptr);
  executor()->post(
      [this, reading, page = std::move(page)]() mutable { on_read(*reading, std::move(page)); });
}

void PollHub::on_read(const Reading& reading, Result<LogPage> page) {
  const auto found = polls_.find(reading.poll);
  const auto follower =
      followers_.find(context_.keys.transport_channel(ClassicContext::user(*reading.instance)));
  if (follower != followers_.end()) {
    if (page && reading.join) follower->second->flushed = true;
    if (!page && reading.horizons) follower->second->horizons.reset();
    // The user's other polls have read without waiting for what this one has noted.
    if (page && reading.horizons) follower->second->tell(reading.poll);
  }
  if (found == polls_.end() || found->second->refusal) return;
  Poll& poll = *found->second;
  poll.reading = false;
  if (!page && passes(page.code())) return put_off(poll);
  if (!page) return refuse_late(poll, plane_code(page.code()));
  if (context_.fenced()) return put_off(poll);
  if (poll.instance->expires <= context_.clock.now()) {
    return refuse_late(poll, ErrorCode::kUnauthorized);
  }
  poll.first = false;
  poll.position = page->position;
  poll.offset = page->offset;
  if (!reading.placed) return answer(poll, Polled{{}, token_of(poll.position)});
  if (!poll.listens || page->items.empty()) {
    if (page->more || poll.again) read(poll);
    return;
  }
  context_.receipts.delivered(poll.instance->id, page->unreceipted, page->offset,
                              context_.clock.steady());
  answer(poll, Polled{std::move(page->items), token_of(page->position)});
}

void PollHub::refuse_late(Poll& poll, ErrorCode code) {
  poll.refusal = code;
  poll.request.reset();
  unfollow(poll);
  set_deadline(poll, context_.options.refusal_hold);
}

void PollHub::set_deadline(Poll& poll, milliseconds delay) {
  deadlines_.erase({poll.deadline, poll.id});
  poll.deadline = context_.clock.steady() + delay;
  deadlines_.emplace(poll.deadline, poll.id);
}

// The poll is gone afterwards.
void PollHub::let_go(Poll& poll) {
  unfollow(poll);
  if (poll.instance) {
    const auto count = of_instance_.find(poll.instance->id);
    if (--count->second == 0) of_instance_.erase(count);
  }
  deadlines_.erase({poll.deadline, poll.id});
  total_.fetch_sub(1, std::memory_order_relaxed);
  context_.polls_gauge.add(-1);
  polls_.erase(poll.id);
}

void PollHub::answer(Poll& poll, Result<Polled> polled) {
  const Done done = std::move(poll.done);
  (polled ? context_.polled : context_.refused).add();
  let_go(poll);
  done(std::move(polled));
}

// There is nothing to tell, or nobody to tell it to.
void PollHub::answer_idle(Poll& poll) {
  if (poll.refusal) return answer(poll, fail(*poll.refusal, "refused"));
  if (!poll.placed) return answer(poll, fail(ErrorCode::kOverloaded, "no place yet"));
  answer(poll, Polled{{}, token_of(poll.position)});
}

std::vector<PollId> PollHub::ids() const {
  std::vector<PollId> all;
  all.reserve(polls_.size());
  for (const auto& [id, poll] : polls_) all.push_back(id);
  return all;
}

void PollHub::on_revocations(std::span<const storage::Revocation> revocations) {
  for (const auto& row : polls_) {
    Poll& poll = *row.second;
    if (!poll.instance || poll.refusal) continue;
    const bool over = std::any_of(
        revocations.begin(), revocations.end(),
        [&](const storage::Revocation& revocation) { return ends(revocation, *poll.instance); });
    if (over) refuse_late(poll, ErrorCode::kUnauthorized);
  }
}

void PollHub::release() {
  for (const PollId id : ids()) {
    const auto found = polls_.find(id);
    if (found != polls_.end()) answer_idle(*found->second);
  }
  if (!context_.shutting_down.load(std::memory_order_acquire)) return;
  for (auto& [time, task] : std::exchange(late_, {})) task();
}

void PollHub::sweep() {
  const base::SteadyTime now = context_.clock.steady();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    answer_idle(*polls_.at(deadlines_.begin()->second));
  }
  while (!late_.empty() && late_.begin()->first <= now) {
    const auto task = std::move(late_.begin()->second);
    late_.erase(late_.begin());
    task();
  }
  while (!idle_.empty() && idle_.front().first + kLinger <= now) {
    const auto found = followers_.find(idle_.front().second);
    if (found != followers_.end() && found->second->polls.empty() &&
        found->second->idle_since == idle_.front().first) {
      context_.messaging.mailroom(shard_).leave(*found->second);
      followers_.erase(found);
    }
    idle_.pop_front();
  }
  if (!put_off_ || context_.fenced()) return;
  put_off_ = false;
  for (const PollId id : ids()) {
    const auto found = polls_.find(id);
    if (found == polls_.end() || !found->second->again || found->second->refusal) continue;
    Poll& poll = *found->second;
    if (poll.request) {
      poll.again = false;
      judge(poll);
    } else if (!poll.reading) {
      read(poll);
    }
  }
}

}  // namespace countersign::gateway::classic

#include "gateway/classic/classic_gateway.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/encoding.h"
#include "base/jump_guard.h"
#include "base/log.h"
#include "gateway/classic/classic_context.h"
#include "gateway/classic/poll_hub.h"
#include "gateway/classic/publish_desk.h"

namespace countersign::gateway::classic {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr milliseconds kTick{250};
constexpr minutes kHousekeeping{1};
constexpr seconds kPartsIdle{30};
constexpr std::size_t kRemoveAtOnce = 500;

/// What is refused because the client is not who it has to be, or cannot be obeyed: asking again
/// will not help, so the answer takes its time.
bool is_refusal(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUnauthorized:
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kBadRequest:
      return true;
    default:
      return false;
  }
}

std::string base64(std::string_view raw) { return base::base64_encode(base::as_bytes(raw)); }

}  // namespace

class ClassicGateway::Parts final : public RevocationListener {
 public:
  explicit Parts(const ClassicSetup& setup)
      : context(setup),
        publishing(context),
        guard_(setup.store_clock.now(), setup.store_clock.steady()),
        store_clock_(setup.store_clock) {
    for (std::size_t i = 0; i < setup.shards; ++i) {
      hubs.push_back(std::make_unique<PollHub>(context, i, polls));
    }
    setup.poller.add_listener(*this);
  }

  void on_revocations(std::span<const storage::Revocation> revocations) override {
    context.book.strike(revocations);
    const auto rows = std::make_shared<const std::vector<storage::Revocation>>(revocations.begin(),
                                                                               revocations.end());
    on_hubs([rows](PollHub& hub) { hub.on_revocations(*rows); });
  }
  void on_gap() override {
    context.book.strike_all();
    on_hubs([](PollHub& hub) { hub.release(); });
  }

  template <class Task>
  void on_hubs(Task task) {
    for (const auto& hub : hubs) {
      base::Executor* const executor = hub->executor();
      if (executor == nullptr) continue;
      executor->post([hub = hub.get(), task] { task(*hub); });
    }
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kTick, [this] { return stopping_; })) {
      lock.unlock();
      tick();
      lock.lock();
    }
  }
  void tick() {
    on_hubs([](PollHub& hub) { hub.sweep(); });
    const base::SteadyTime now = context.clock.steady();
    if (now < housekeeping_) return;
    housekeeping_ = now + kHousekeeping;
    remove_old();
  }

  void start() {
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
    context.calls.wait();
  }

  /// `people` are members.
  static TransportView view(const Transport& transport, const std::vector<Identity>& people) {
    TransportView view{transport.id, base64(transport.key), {}};
    for (const Identity& person : people) {
      view.participants.push_back({transport.channel_of(person), person});
    }
    return view;
  }

  ClassicContext context;
  PublishDesk publishing;
  std::vector<std::unique_ptr<PollHub>> hubs;
  std::atomic<std::size_t> polls{0};

 private:
  void remove_old() {
    const base::SystemTime now = store_clock_.now();
    if (guard_.check(now, store_clock_.steady()).may_run) remove_before(now);
  }
  // Round by round, in tasks of their own, until nothing old is left: a round each minute would
  // fall behind where much is written, and what is removed last would stay for ever.
  void remove_before(base::SystemTime now) {
    (void)context.tasks.try_submit([this, now, call = context.calls.begin()] {
      const auto removed = context.classic.remove_old(now - context.options.retention,
                                                      now - kPartsIdle, kRemoveAtOnce);
      if (!removed) return base::log_warning("classic_housekeeping_failed");
      if (*removed >= kRemoveAtOnce) remove_before(now);
    });
  }

  base::JumpGuard guard_;  // tick()'s
  const base::Clock& store_clock_;
  base::SteadyTime housekeeping_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

ClassicGateway::ClassicGateway(const ClassicSetup& setup)
    : parts_(std::make_unique<Parts>(setup)) {}
ClassicGateway::~ClassicGateway() { stop(); }

void ClassicGateway::start() { parts_->start(); }
void ClassicGateway::stop() { parts_->stop(); }
void ClassicGateway::tick() { parts_->tick(); }

void ClassicGateway::shut_down() {
  parts_->context.shutting_down.store(true, std::memory_order_release);
  parts_->on_hubs([](PollHub& hub) { hub.release(); });
}

Configuration ClassicGateway::configuration(const storage::Instance& instance) const {
  const ClassicKeys& keys = parts_->context.keys;
  return {
      keys.publish_key(instance.id),       keys.subscribe_key(instance.id),
      keys.broadcast_channel(instance.id), keys.transport_channel(ClassicContext::user(instance)),
      keys.signal_channel(instance.id),    base64(keys.instance_key(instance.id))};
}

Result<TransportView> ClassicGateway::open_transport(const storage::Instance& instance,
                                                     std::vector<Identity> recipients) {
  ClassicContext& context = parts_->context;
  const storage::UserKey user = ClassicContext::user(instance);
  if (context.openings.take(context.keys.transport_channel(user), 1, context.clock.steady())) {
    return fail(ErrorCode::kTooManyRequests, "transports");
  }
  auto opened = context.transports.open(user, recipients);
  if (!opened) return opened.failure();
  // Of people nobody knows there is no transport; the client sees that somebody is missing.
  if (!opened->transport) return TransportView{};
  return Parts::view(*opened->transport, opened->recipients);
}

Result<TransportView> ClassicGateway::find_transport(const storage::Instance& instance,
                                                     std::string_view id) {
  const auto found = parts_->context.transports.find(ClassicContext::user(instance), id);
  if (!found) return found.failure();
  return Parts::view(**found, (*found)->members);
}

Result<storage::Instance> ClassicGateway::live_instance(const base::InstanceId& id) {
  if (parts_->context.fenced()) return fail(ErrorCode::kNotReady, "cut off from the store");
  auto found = parts_->context.book.find(id);
  if (!found) return found.failure();
  return **found;
}

PollId ClassicGateway::subscribe(std::size_t shard, base::Executor& executor,
                                 protocol::ClassicSubscribe request,
                                 std::function<void(Result<Polled>)> done) {
  return parts_->hubs[shard]->subscribe(executor, std::move(request), std::move(done));
}

void ClassicGateway::cancel(std::size_t shard, PollId poll) { parts_->hubs[shard]->cancel(poll); }

void ClassicGateway::publish(std::size_t shard, base::Executor& executor,
                             protocol::ClassicPublish request,
                             std::function<void(Result<std::uint64_t>)> done) {
  ClassicContext& context = parts_->context;
  PollHub& hub = *parts_->hubs[shard];
  auto reply = [this, &context, &hub, &executor, call = context.calls.begin(),
                done = std::move(done)](const Result<void>& taken) {
    executor.post([this, &context, &hub, &executor, done, taken] {
      if (taken) return done(time());
      context.refused.add();
      auto refuse = [done, code = taken.code()] { done(fail(code, "publish")); };
      if (!is_refusal(taken.code())) return refuse();
      hub.later(executor, context.options.publish_refusal_hold, std::move(refuse));
    });
  };
  const auto publisher = context.keys.publisher(request.publish_key);
  if (!publisher || context.keys.subscriber(request.subscribe_key) != publisher) {
    return reply(fail(ErrorCode::kUnauthorized, "keys"));
  }
  const bool submitted =
      context.tasks.try_submit([this, publisher = *publisher, request = std::move(request), reply] {
        parts_->publishing.publish(publisher, request, reply);
      });
  if (!submitted) reply(fail(ErrorCode::kOverloaded, "workers are busy"));
}

void ClassicGateway::leave(const protocol::ClassicLeave&) {}

std::uint64_t ClassicGateway::time() const {
  const auto now = parts_->context.clock.now().time_since_epoch();
  return protocol::kTimetokenBase + static_cast<std::uint64_t>(now.count());
}

std::size_t ClassicGateway::polls() const { return parts_->polls.load(std::memory_order_relaxed); }

}  // namespace countersign::gateway::classic

#include "gateway/callback_worker.h"

#include <utility>

#include <pthread.h>

#include "countersign/signed_request.h"

#include "base/log.h"

namespace countersign::gateway {
namespace {

constexpr std::string_view kContentType = "application/json";
constexpr std::size_t kRemoveAtOnce = 1'000;
constexpr std::uint32_t kJitterSteps = 65'536;

base::Counter& counter(base::Metrics& metrics, const char* result) {
  return metrics.counter("countersign_callbacks_total",
                         "Callbacks to the backend, by what became of an attempt.",
                         {{"result", result}});
}

}  // namespace

CallbackWorker::CallbackWorker(CallbackWorkerOptions options, storage::CallbackStore& callbacks,
                               storage::MessageStore& messages,
                               std::function<std::shared_ptr<const KeyRing>()> ring,
                               CallbackPoster poster, const base::Clock& clock,
                               base::Random& random, base::Metrics& metrics)
    : options_(std::move(options)),
      callbacks_(callbacks),
      messages_(messages),
      ring_(std::move(ring)),
      poster_(std::move(poster)),
      clock_(clock),
      store_clock_(options_.store_clock != nullptr ? *options_.store_clock : clock),
      random_(random),
      jump_guard_(store_clock_.now(), store_clock_.steady()),
      taken_(counter(metrics, "taken")),
      retried_(counter(metrics, "retried")),
      dead_(counter(metrics, "dead")),
      waiting_gauge_(metrics.gauge("countersign_callbacks_waiting", "Callbacks that wait.")),
      dead_gauge_(metrics.gauge("countersign_callbacks_dead", "Callbacks in the dead letters.")),
      given_up_gauge_(metrics.gauge("countersign_callbacks_given_up",
                                    "Callbacks that were given up for want of room, ever.")),
      age_gauge_(metrics.gauge("countersign_callbacks_oldest_seconds",
                               "Age of the oldest callback that waits.")) {}

CallbackWorker::~CallbackWorker() { stop(); }

void CallbackWorker::start() {
  thread_ = std::thread([this] { follow(); });
  pthread_setname_np(thread_.native_handle(), "callbacks");
}

void CallbackWorker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void CallbackWorker::follow() {
  base::SteadyTime remove_at = clock_.steady();
  bool failing = false;
  for (;;) {
    Result<void> settled = settle();
    Result<bool> posted = settled ? post_due() : settled.failure();
    Result<void> removed;
    if (posted && clock_.steady() >= remove_at) {
      removed = remove_old();
      remove_at = clock_.steady() + options_.removal_interval;
    }
    const bool failed = !posted || !removed;
    if (failed && !failing) {
      const Error& error = posted ? removed.error() : posted.error();
      base::log_error("callbacks_stopped",
                      {{"reason", error_name(error.code)}, {"detail", error.detail}});
    }
    failing = failed;

    std::unique_lock lock(mutex_);
    if (stopping_) break;
    if (!failed && *posted) continue;
    const auto pause = failed ? options_.failure_pause : options_.look_interval;
    wake_.wait_for(lock, pause, [&] { return stopping_ || (!failed && !answered_.empty()); });
  }
}

void CallbackWorker::finish() {
  if (Result<void> settled = settle(); !settled) {
    base::log_warning("callbacks_left_leased", {{"reason", error_name(settled.code())}});
  }
}

Result<bool> CallbackWorker::post_due() {
  std::size_t room = 0;
  {
    const std::lock_guard lock(mutex_);
    room = options_.at_once - under_way_;
  }
  if (room == 0) return false;
  const base::SystemTime now = clock_.now();
  const auto due = callbacks_.lease(now, now + options_.lease, room);
  if (!due) return due.failure();
  for (const storage::Callback& callback : *due) post(callback);
  return due->size() == room;
}

void CallbackWorker::post(const storage::Callback& callback) {
  {
    const std::lock_guard lock(mutex_);
    ++under_way_;
  }
  std::optional<CallbackMessage> message;
  if (callback.kind == storage::CallbackKind::kMessageSent) {
    Result<CallbackMessage> found = find_message(callback);
    if (!found) return on_answer(callback, {0, "store_failed", std::nullopt, false});
    message = *std::move(found);
  }
  CallbackPost post;
  post.content_type = kContentType;
  post.body = encode_callback(callback, message);
  RequestToSign request;
  request.method = "POST";
  request.resource = options_.target;
  request.content_type = post.content_type;
  request.body = post.body;
  request.timestamp = std::chrono::floor<std::chrono::seconds>(clock_.now());
  Result<RequestSignature> signature =
      sign_request(*ring_(), RequestScheme::kApplication, callback.user.application, request);
  if (!signature) return on_answer(callback, {0, "unknown_application", std::nullopt, true});
  post.authorization = std::move(signature->authorization);
  post.x_timestamp = std::move(signature->x_timestamp);
  poster_(std::move(post),
          [this, callback](CallbackAnswer answer) { on_answer(callback, std::move(answer)); });
}

Result<CallbackMessage> CallbackWorker::find_message(const storage::Callback& callback) {
  CallbackMessage message;
  message.gone = true;
  const auto gone = [](ErrorCode code) {
    return code == ErrorCode::kAbsent || code == ErrorCode::kPermissionDenied;
  };
  auto found =
      messages_.history(callback.user, callback.conversation, callback.seq + 1, std::size_t{1});
  if (!found && !gone(found.code())) return found.failure();
  if (found && !found->empty() && found->front().seq == callback.seq) {
    message.gone = found->front().gone;
    message.body = std::move(found->front().body);
  }
  auto conversation = messages_.find_conversation(callback.user, callback.conversation);
  if (!conversation && !gone(conversation.code())) return conversation.failure();
  if (!conversation) return message;
  message.group = conversation->group;
  if (message.group) return message;
  // In conversations of more than two people the body names them all: once is enough.
  if (message.body.find(",\"to\":[") != std::string::npos && conversation->members.size() > 2) {
    return message;
  }
  for (storage::Horizon& member : conversation->members) {
    if (member.member != callback.user.identity) message.to.push_back(std::move(member.member));
  }
  return message;
}

void CallbackWorker::on_answer(const storage::Callback& callback, CallbackAnswer answer) {
  {
    const std::lock_guard lock(mutex_);
    answered_.emplace_back(callback, std::move(answer));
  }
  wake_.notify_all();
}

Result<void> CallbackWorker::settle() {
  for (;;) {
    Settled next;
    {
      const std::lock_guard lock(mutex_);
      if (answered_.empty()) return {};
      next = answered_.front();
    }
    const auto& [callback, answer] = next;
    const CallbackVerdict verdict =
        judge_callback(callback, answer, options_.rules, clock_.now(), random_.below(kJitterSteps));
    const bool dead = verdict.kind == CallbackVerdict::Kind::kDead;
    Result<void> written = verdict.kind == CallbackVerdict::Kind::kTaken
                               ? callbacks_.complete(callback.id)
                               : callbacks_.fail(callback.id, verdict.next, dead, verdict.error);
    if (!written) return written;
    (verdict.kind == CallbackVerdict::Kind::kTaken ? taken_ : dead ? dead_ : retried_).add();
    if (dead) {
      base::log_warning("callback_dead", {{"id", callback.id},
                                          {"what", callback_event(callback.kind)},
                                          {"attempts", callback.attempts + 1},
                                          {"error", verdict.error}});
    } else if (verdict.kind == CallbackVerdict::Kind::kRetry) {
      base::log_info(
          "callback_failed",
          {{"id", callback.id}, {"attempts", callback.attempts + 1}, {"error", verdict.error}});
    }
    const std::lock_guard lock(mutex_);
    answered_.erase(answered_.begin());
    --under_way_;
  }
}

Result<void> CallbackWorker::remove_old() {
  const base::SystemTime now = store_clock_.now();
  const auto verdict = jump_guard_.check(now, store_clock_.steady());
  if (verdict.may_run) {
    for (;;) {
      const auto gone = callbacks_.remove_old(now - options_.rules.give_up_after,
                                              now - options_.keep_dead, kRemoveAtOnce);
      if (!gone) return gone.failure();
      if (*gone < kRemoveAtOnce) break;
    }
  }
  const auto counts = callbacks_.count();
  if (!counts) return counts.failure();
  waiting_gauge_.set(static_cast<double>(counts->waiting));
  dead_gauge_.set(static_cast<double>(counts->dead));
  given_up_gauge_.set(static_cast<double>(counts->given_up));
  const auto age = counts->oldest ? clock_.now() - *counts->oldest : base::SystemTime::duration{0};
  age_gauge_.set(std::chrono::duration<double>(age).count());
  return {};
}

}  // namespace countersign::gateway

#include "bus/nats/nats_core.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace countersign::bus {
namespace {

constexpr std::chrono::seconds kPulsePause{1};
constexpr std::chrono::milliseconds kConnectPause{1500};
constexpr std::uint32_t kConnectJitterMs = 1000;
/// A publication's share of the queue besides its bytes.
constexpr std::size_t kQueueRowBytes = 128;
/// No subject of a caller's: is_subject() is false.
constexpr std::string_view kPulseSubject = "_pulse";

tl::unexpected<Error> away() { return fail(ErrorCode::kBusFailed, "the bus is away"); }

bool is_write_failure(natsStatus status) {
  return status == NATS_TIMEOUT || status == NATS_IO_ERROR || status == NATS_SSL_ERROR ||
         status == NATS_SYS_ERROR;
}

}  // namespace

/// Leads the events of one connection to the core, as long as it is there.
class NatsCore::Link final : public ConnectionEvents {
 public:
  Link(std::weak_ptr<NatsCore> core, std::uint64_t generation)
      : core_(std::move(core)), generation_(generation) {}

  void on_connected(natsConnection* connection) override {
    if (const auto core = core_.lock()) core->connected(generation_, connection);
  }
  void on_disconnected() override {
    if (const auto core = core_.lock()) core->disconnected(generation_);
  }
  void on_closed() override {
    if (const auto core = core_.lock()) core->closed(generation_);
  }
  void on_error(natsStatus status) override {
    if (const auto core = core_.lock()) core->failed(generation_, status);
  }

 private:
  const std::weak_ptr<NatsCore> core_;
  const std::uint64_t generation_;
};

NatsCore::NatsCore(NatsOptions options, base::Random& random, base::Metrics& metrics)
    : options_(std::move(options)),
      random_(random),
      metrics_(metrics),
      token_(subject_token({"installation", options_.installation}).substr(0, 16)),
      prefix_("countersign." + token_ + "."),
      voice_(random.token(12)),
      ear_(std::chrono::steady_clock::now()) {}

NatsCore::~NatsCore() { stop(); }

Result<void> NatsCore::start() {
  const Time deadline = std::chrono::steady_clock::now() + kBusPatience;
  const auto first = connect();
  if (!first && (options_.wait || first.code() != ErrorCode::kBusFailed)) return first.failure();
  if (options_.wait) {
    std::unique_lock lock(mutex_);
    answered_.wait_until(lock, deadline, [this] { return connected_ || want_connection_; });
    if (!connected_) {
      lock.unlock();
      stop();
      return fail(ErrorCode::kBusFailed, "no NATS server of bus.url takes us: " + why_away_);
    }
  }
  {
    const std::lock_guard lock(mutex_);
    starting_ = false;
  }
  pulse_slot_ =
      std::make_shared<HandlerSlot>([this](const Payload& payload) { hear_pulse(payload); });
  own_ear_ = listen_to(kPulseSubject, pulse_slot_);
  sender_ = std::thread([this] { send(); });
  watcher_ = std::thread([this] { watch(); });
  return {};
}

void NatsCore::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  if (pulse_slot_) unlisten(own_ear_);
  sender_wake_.notify_all();
  watcher_wake_.notify_all();
  if (sender_.joinable()) sender_.join();  // it has sent what waited
  give_up_connection();                    // ends a flush that the watcher waits for
  if (watcher_.joinable()) watcher_.join();
  if (pulse_slot_) pulse_slot_->close();
  listening_.clear();
  for (auto& flush : flushes_) flush.done(away());
  gap_.set(nullptr);
}

Connection NatsCore::connection() const {
  const std::lock_guard lock(mutex_);
  return connection_;
}

std::string NatsCore::bucket_name(std::string_view bucket) const {
  return "countersign_" + token_ + "_" + std::string(bucket);
}

// ---- what callers ask for

Result<void> NatsCore::publish(std::string_view subject, std::string payload) {
  if (!connected_) {
    metrics_.away.add();
    failed_publications_ = true;
    return away();
  }
  if (static_cast<std::int64_t>(payload.size()) > server_max_payload_) {
    metrics_.lost.add();
    failed_publications_ = true;
    return fail(ErrorCode::kBusFailed, "the NATS server takes payloads of " +
                                           std::to_string(server_max_payload_) + " bytes");
  }
  const std::size_t size = payload.size() + kQueueRowBytes;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return away();
    if (pending_bytes_ + size > options_.max_pending_bytes) {
      metrics_.overloaded.add();
      failed_publications_ = true;
      return fail(ErrorCode::kOverloaded, "too much waits to be sent");
    }
    pending_bytes_ += size;
    queue_.emplace_back(Publication{wire_subject(subject), std::move(payload)});
  }
  sender_wake_.notify_one();
  metrics_.published.add();
  return {};
}

NatsCore::Ear NatsCore::listen_to(std::string_view subject, std::shared_ptr<HandlerSlot> slot) {
  Ear ear;
  ear.inlet = Inlets::add(std::move(slot));
  {
    const std::lock_guard lock(mutex_);
    ear.id = ++last_ear_;
    queue_.emplace_back(Listen{ear, wire_subject(subject)});
  }
  sender_wake_.notify_one();
  return ear;
}

void NatsCore::unlisten(const Ear& ear) {
  Inlets::remove(ear.inlet);
  {
    const std::lock_guard lock(mutex_);
    queue_.emplace_back(Unlisten{ear.id});
  }
  sender_wake_.notify_one();
}

void NatsCore::flush(std::function<void(Result<void>)> done) {
  std::unique_lock lock(mutex_);
  if (!connected_ || stopping_) {
    lock.unlock();
    return done(away());
  }
  queue_.emplace_back(Flush{std::move(done), std::chrono::steady_clock::now() + kBusPatience});
  lock.unlock();
  sender_wake_.notify_one();
}

// ---- what libnats tells

void NatsCore::set_connected(bool truth) {
  connected_ = truth;
  metrics_.connected.set(truth ? 1 : 0);
}

void NatsCore::connected(std::uint64_t generation, natsConnection* connection) {
  char server[256] = "";
  natsConnection_GetConnectedUrl(connection, server, sizeof(server));
  {
    const std::lock_guard lock(mutex_);
    if (generation != generation_ || stopping_) return;
    server_max_payload_ = natsConnection_GetMaxPayload(connection);
    set_connected(true);
    answered_.notify_all();
    if (!starting_) {
      returned_ = true;
      metrics_.gaps_returned.add();
    }
  }
  base::log_info("bus_connected", {{"server", server}});
  watcher_wake_.notify_one();
}

void NatsCore::disconnected(std::uint64_t generation) {
  {
    const std::lock_guard lock(mutex_);
    if (generation != generation_ || stopping_) return;
    set_connected(false);
    failed_publications_ = true;  // what was on its way
  }
  base::log_warning("bus_away");
}

void NatsCore::closed(std::uint64_t generation) {
  {
    const std::lock_guard lock(mutex_);
    if (generation != generation_ || stopping_) return;
    set_connected(false);
    want_connection_ = true;
    connect_at_ = std::chrono::steady_clock::now();
    answered_.notify_all();
  }
  sender_wake_.notify_one();
}

void NatsCore::failed(std::uint64_t generation, natsStatus status) {
  bool there = false;
  {
    const std::lock_guard lock(mutex_);
    if (generation != generation_ || stopping_) return;
    there = connected_;
    missed_ = missed_ || there;
  }
  if (!there) {  // the way back is a gap anyway
    base::log_warning("bus_refused", {{"reason", natsStatus_GetText(status)}});
    return;
  }
  (status == NATS_SLOW_CONSUMER ? metrics_.gaps_slow : metrics_.gaps_error).add();
  base::log_warning("bus_gap", {{"reason", natsStatus_GetText(status)}});
  watcher_wake_.notify_one();
}

// ---- the sender

void NatsCore::send() {
  free_nats_memory_at_thread_end();
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto ready = [this] { return stopping_ || !queue_.empty(); };
    if (want_connection_ && !stopping_) {
      sender_wake_.wait_until(lock, connect_at_, ready);
    } else {
      sender_wake_.wait(lock, [&] { return ready() || want_connection_; });
    }
    if (want_connection_ && !stopping_ && std::chrono::steady_clock::now() >= connect_at_) {
      lock.unlock();
      static_cast<void>(connect());
      lock.lock();
      continue;
    }
    if (queue_.empty() && stopping_) return;
    std::deque<Command> batch;
    batch.swap(queue_);
    lock.unlock();
    for (auto& command : batch) perform(command);
    check_writes();
    lock.lock();
  }
}

void NatsCore::perform(Command& command) {
  if (const auto* publication = std::get_if<Publication>(&command)) {
    send_publication(*publication);
    pending_bytes_ -= publication->payload.size() + kQueueRowBytes;
  } else if (const auto* to = std::get_if<Listen>(&command)) {
    auto& row = listening_[to->ear.id];
    row = {to->subject, to->ear.inlet, nullptr};
    if (connection_) row.subscription = listen(connection_.get(), row.subject, row.inlet, options_);
  } else if (const auto* gone = std::get_if<Unlisten>(&command)) {
    listening_.erase(gone->id);
  } else {
    {
      const std::lock_guard lock(mutex_);
      flushes_.push_back(std::move(std::get<Flush>(command)));
    }
    watcher_wake_.notify_one();
  }
}

void NatsCore::send_publication(const Publication& publication) {
  natsStatus status = NATS_CONNECTION_DISCONNECTED;
  if (connected_ && connection_) {
    status = natsConnection_Publish(connection_.get(), publication.subject.c_str(),
                                    publication.payload.data(),
                                    static_cast<int>(publication.payload.size()));
  }
  if (status == NATS_OK) return;
  metrics_.lost.add();
  failed_publications_ = true;
  if (is_write_failure(status)) give_up_connection();
}

/// libnats's own thread may have failed to write; a stream that was cut within a message is of no
/// more use, and libnats would go on with it.
void NatsCore::check_writes() {
  if (!connected_ || !connection_) return;
  const char* text = nullptr;
  if (is_write_failure(natsConnection_GetLastError(connection_.get(), &text))) give_up_connection();
}

/// By the sender, or after its end.
void NatsCore::give_up_connection() {
  for (auto& [id, row] : listening_) row.subscription.reset();
  Connection old;
  bool was_there = false;
  {
    const std::lock_guard lock(mutex_);
    was_there = connected_ && !stopping_;
    old = std::move(connection_);
    connection_ = nullptr;
    ++generation_;
    set_connected(false);
    if (old) failed_publications_ = true;
    want_connection_ = true;
    connect_at_ = std::chrono::steady_clock::now();
  }
  if (was_there) base::log_warning("bus_away", {{"reason", "the server takes nothing"}});
  if (old) natsConnection_Close(old.get());  // others may hold it, and are to hear that it is over
}

/// At the start; then by the sender.
Result<void> NatsCore::connect() {
  give_up_connection();
  auto opened = open_connection(options_, std::make_shared<Link>(weak_from_this(), generation_));
  if (!opened) {
    if (opened.error().detail != last_connect_error_) {
      base::log_error("bus_connect_failed", {{"detail", opened.error().detail}});
      last_connect_error_ = opened.error().detail;
    }
    const std::lock_guard lock(mutex_);
    connect_at_ = std::chrono::steady_clock::now() + kConnectPause +
                  std::chrono::milliseconds(random_.below(kConnectJitterMs));
    return opened.failure();
  }
  last_connect_error_.clear();
  for (auto& [id, row] : listening_) {
    row.subscription = listen(opened->connection.get(), row.subject, row.inlet, options_);
  }
  const bool there = natsConnection_Status(opened->connection.get()) == NATS_CONN_STATUS_CONNECTED;
  {
    const std::lock_guard lock(mutex_);
    connection_ = opened->connection;
    want_connection_ = natsConnection_IsClosed(connection_.get());
  }
  // Said here too, because now the subscriptions are made: the event may have come before.
  if (there) connected(generation_, opened->connection.get());
  if (!opened->connected) {
    why_away_ = why_not_connected(options_);
    base::log_warning("bus_away", {{"reason", why_away_}});
  }
  return {};
}

// ---- the watcher

void NatsCore::watch() {
  free_nats_memory_at_thread_end();
  Time next_pulse = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  for (;;) {
    watcher_wake_.wait_until(lock, next_pulse, [this] {
      return stopping_ || returned_ || missed_ || !flushes_.empty();
    });
    if (stopping_) return;
    const bool missed = std::exchange(missed_, false);
    const bool returned = std::exchange(returned_, false);
    std::vector<Flush> flushes;
    flushes.swap(flushes_);
    lock.unlock();
    if (missed) gap_.call();
    if (returned || !flushes.empty()) answer(std::move(flushes), returned);
    if (const auto now = std::chrono::steady_clock::now(); now >= next_pulse) {
      next_pulse = now + kPulsePause;
      pulse();
    }
    lock.lock();
  }
}

/// One question to the server answers all that waited when it was asked.
void NatsCore::answer(std::vector<Flush> flushes, bool returned) {
  Time deadline = std::chrono::steady_clock::now() + kBusPatience;
  for (const auto& flush : flushes) deadline = std::min(deadline, flush.deadline);
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  natsStatus status = NATS_CONNECTION_DISCONNECTED;
  if (const auto current = connection(); current && connected_) {
    status = natsConnection_FlushTimeout(current.get(), std::max<std::int64_t>(left.count(), 1));
  }
  for (auto& flush : flushes) {
    if (status == NATS_OK) {
      flush.done({});
    } else {
      flush.done(tl::make_unexpected(nats_error("the NATS server does not answer", status)));
    }
  }
  if (!returned) return;
  if (status == NATS_OK) {
    base::log_info("bus_gap", {{"reason", "returned"}});
    gap_.call();
  } else if (connected_) {  // else the next connection says so again
    const std::lock_guard lock(mutex_);
    returned_ = true;
  }
}

void NatsCore::pulse() {
  if (!connected_) return;
  const bool had_failed = failed_publications_.exchange(false);
  const Pulse& next = voice_.next(had_failed, std::chrono::steady_clock::now());
  const bool sent = publish(kPulseSubject, next.encode()).ok();
  if (!sent || (had_failed && !voice_.skipped())) failed_publications_ = true;
}

void NatsCore::hear_pulse(const Payload& payload) {
  const auto heard = Pulse::decode(*payload);
  if (!heard) return;
  const auto now = std::chrono::steady_clock::now();
  const bool missed = ear_.hear(*heard, now);
  metrics_.nodes.set(static_cast<double>(ear_.present(now)));
  if (!missed) return;
  metrics_.gaps_missed.add();
  base::log_info("bus_gap", {{"reason", "missed"}});
  {
    const std::lock_guard lock(mutex_);
    missed_ = true;
  }
  watcher_wake_.notify_one();
}

}  // namespace countersign::bus

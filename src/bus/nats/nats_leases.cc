#include "bus/nats/nats_leases.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "bus/rules.h"

namespace countersign::bus {
namespace {

constexpr int kReplicas = 3;
constexpr std::int64_t kStepMs = 2000;
/// The next lease of a list follows the last one at once.
constexpr std::int64_t kNextMs = 300;
constexpr const char* kOperation = "KV-Operation";
constexpr const char* kDeleted = "DEL";

using Time = std::chrono::steady_clock::time_point;
using Context = NatsHandle<jsCtx, jsCtx_Destroy>;
using StreamInfo = NatsHandle<jsStreamInfo, jsStreamInfo_Destroy>;
using Message = NatsHandle<natsMsg, natsMsg_Destroy>;
using Ack = NatsHandle<jsPubAck, jsPubAck_Destroy>;
using Store = NatsHandle<kvStore, kvStore_Destroy>;
using Watcher = NatsHandle<kvWatcher, kvWatcher_Destroy>;
using Entry = NatsHandle<kvEntry, kvEntry_Destroy>;

/// What came of one question to JetStream.
struct Answer {
  natsStatus status = NATS_OK;
  jsErrCode code{};

  bool ok() const { return status == NATS_OK; }
  /// Somebody else changed the key.
  bool stale() const { return code == JSStreamWrongLastSequenceErr; }
  bool no_stream() const {
    return code == JSStreamNotFoundErr || status == NATS_NO_RESPONDERS || status == NATS_NOT_FOUND;
  }
};

/// One call on leases: its JetStream context and its share of the 5 s.
class Call {
 public:
  Call(Connection connection, Time deadline)
      : connection_(std::move(connection)), deadline_(deadline) {
    jsOptions options;
    jsOptions_Init(&options);
    options.Wait = step_ms();
    jsCtx* raw = nullptr;
    if (natsConnection_JetStream(&raw, connection_.get(), &options) == NATS_OK) context_.reset(raw);
  }

  jsCtx* context() const { return context_.get(); }

  /// Milliseconds for the next question.
  std::int64_t step_ms() const {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline_ - std::chrono::steady_clock::now());
    return std::clamp<std::int64_t>(left.count(), 1, kStepMs);
  }
  bool has_time() const { return std::chrono::steady_clock::now() < deadline_; }
  jsOptions options() const {
    jsOptions options;
    jsOptions_Init(&options);
    options.Wait = step_ms();
    return options;
  }

 private:
  const Connection connection_;
  const Time deadline_;
  Context context_;
};

Error lease_error(const std::string& what, const Answer& answer) {
  Error error = nats_error(what, answer.status);
  if (answer.code != 0) error.detail += " [JetStream " + std::to_string(answer.code) + "]";
  if (answer.code == JSNotEnabledErr || answer.code == JSNotEnabledForAccountErr ||
      answer.status == NATS_NO_RESPONDERS) {
    error.detail += "; leases want a NATS server with JetStream on, for our account";
  }
  return error;
}

class NatsLeases final : public Leases {
 public:
  NatsLeases(std::shared_ptr<NatsCore> core, std::string bucket,
             std::chrono::milliseconds time_to_live)
      : core_(std::move(core)),
        bucket_(core_->bucket_name(bucket)),
        stream_("KV_" + bucket_),
        subject_prefix_("$KV." + bucket_ + "."),
        time_to_live_(std::chrono::nanoseconds(time_to_live).count()) {}

  Result<void> open() {
    auto call = begin();
    if (!call) return call.failure();
    return make_bucket(*call);
  }

  Result<std::uint64_t> acquire(std::string_view key, std::string_view value) override {
    return change(
        key,
        [&](const Call& call, const std::string& subject, std::uint64_t& revision) {
          Answer answer = put(call, subject, value, 0, revision);
          if (!answer.stale()) return answer;
          std::uint64_t ended = 0;
          const Answer seen = find_ended(call, subject, ended);
          if (seen.code == JSNoMessageFoundErr) return put(call, subject, value, 0, revision);
          if (!seen.ok()) return seen;
          return ended == 0 ? answer : put(call, subject, value, ended, revision);
        },
        ErrorCode::kAlreadyExists);
  }

  Result<std::uint64_t> renew(std::string_view key, std::string_view value,
                              std::uint64_t revision) override {
    if (revision == 0) return fail(ErrorCode::kAbsent, "the lease has ended");
    return change(
        key,
        [&](const Call& call, const std::string& subject, std::uint64_t& next) {
          return put(call, subject, value, revision, next);
        },
        ErrorCode::kAbsent);
  }

  Result<void> release(std::string_view key, std::uint64_t revision) override {
    const auto done = change(
        key,
        [&](const Call& call, const std::string& subject, std::uint64_t& next) {
          return remove(call, subject, revision, next);
        },
        ErrorCode::kAbsent);
    if (done.ok() || done.code() == ErrorCode::kAbsent) return {};
    return done.failure();
  }

  Result<std::map<std::string, std::string>> list() override {
    auto call = begin();
    if (!call) return call.failure();
    std::map<std::string, std::string> held;
    Answer answer = read_all(*call, held);
    if (answer.no_stream()) {
      if (const auto made = make_bucket(*call); !made) return made.failure();
      answer = read_all(*call, held);
    }
    // A lease that ends between libnats's counting and the server's sending is waited for in vain.
    while (answer.status == NATS_TIMEOUT && call->has_time()) answer = read_all(*call, held);
    if (!answer.ok()) return tl::make_unexpected(lease_error("cannot list leases", answer));
    return held;
  }

 private:
  Result<Call> begin() {
    free_nats_memory_at_thread_end();
    auto connection = core_->connection();
    if (!connection || !core_->connected()) return fail(ErrorCode::kBusFailed, "the bus is away");
    Call call(std::move(connection), std::chrono::steady_clock::now() + kBusPatience);
    if (call.context() == nullptr) return fail(ErrorCode::kBusFailed, "the bus is away");
    return call;
  }

  /// Runs a change that is refused with `stale_code` if somebody else was faster; if the bucket is
  /// gone, makes it and tries again.
  template <class Change>
  Result<std::uint64_t> change(std::string_view key, const Change& once, ErrorCode stale_code) {
    if (const auto good = check_key(key); !good) return good.failure();
    auto call = begin();
    if (!call) return call.failure();
    const std::string subject = subject_prefix_ + std::string(key);
    std::uint64_t revision = 0;
    Answer answer = once(*call, subject, revision);
    if (answer.no_stream()) {
      if (const auto made = make_bucket(*call); !made) return made.failure();
      answer = once(*call, subject, revision);
    }
    if (answer.ok()) return revision;
    if (answer.stale()) return fail(stale_code, "the lease is held otherwise");
    return tl::make_unexpected(lease_error("cannot change a lease", answer));
  }

  /// Stores the value if the key's last message is `expected` (0: if there is none).
  Answer put(const Call& call, const std::string& subject, std::string_view value,
             std::uint64_t expected, std::uint64_t& revision) const {
    natsMsg* raw = nullptr;
    Answer answer;
    answer.status = natsMsg_Create(&raw, subject.c_str(), nullptr, value.data(),
                                   static_cast<int>(value.size()));
    if (!answer.ok()) return answer;
    return publish(call, Message(raw), expected, revision);
  }

  Answer remove(const Call& call, const std::string& subject, std::uint64_t expected,
                std::uint64_t& revision) const {
    natsMsg* raw = nullptr;
    Answer answer;
    answer.status = natsMsg_Create(&raw, subject.c_str(), nullptr, nullptr, 0);
    if (!answer.ok()) return answer;
    Message message(raw);
    answer.status = natsMsgHeader_Set(raw, kOperation, kDeleted);
    if (!answer.ok()) return answer;
    return publish(call, std::move(message), expected, revision);
  }

  Answer publish(const Call& call, Message message, std::uint64_t expected,
                 std::uint64_t& revision) const {
    jsPubOptions options;
    jsPubOptions_Init(&options);
    options.MaxWait = call.step_ms();
    options.ExpectLastSubjectSeq = expected;
    options.ExpectNoMessage = expected == 0;
    jsPubAck* raw = nullptr;
    Answer answer;
    answer.status = js_PublishMsg(&raw, call.context(), message.get(), &options, &answer.code);
    const Ack ack(raw);
    if (answer.ok()) revision = ack->Sequence;
    return answer;
  }

  /// The sequence of the key's last message if that says it was released; 0 if it is held.
  Answer find_ended(const Call& call, const std::string& subject, std::uint64_t& ended) const {
    jsOptions options = call.options();
    natsMsg* raw = nullptr;
    Answer answer;
    answer.status = js_GetLastMsg(&raw, call.context(), stream_.c_str(), subject.c_str(), &options,
                                  &answer.code);
    const Message message(raw);
    if (!answer.ok()) return answer;
    const char* operation = nullptr;
    if (natsMsgHeader_Get(raw, kOperation, &operation) == NATS_OK && operation != nullptr) {
      ended = natsMsg_GetSequence(raw);
    }
    return answer;
  }

  Answer read_all(const Call& call, std::map<std::string, std::string>& held) const {
    held.clear();
    Answer answer;
    kvStore* raw_store = nullptr;
    answer.status = js_KeyValue(&raw_store, call.context(), bucket_.c_str());
    const Store store(raw_store);
    if (!answer.ok()) return answer;
    kvWatchOptions options;
    kvWatchOptions_Init(&options);
    options.IgnoreDeletes = true;
    options.Timeout = call.step_ms();
    kvWatcher* raw_watcher = nullptr;
    answer.status = kvStore_WatchAll(&raw_watcher, store.get(), &options);
    const Watcher watcher(raw_watcher);
    while (answer.ok()) {
      kvEntry* raw_entry = nullptr;
      answer.status = kvWatcher_Next(&raw_entry, watcher.get(), std::min(call.step_ms(), kNextMs));
      const Entry entry(raw_entry);
      if (!answer.ok() || !entry) break;  // no entry: these were all
      held.insert_or_assign(kvEntry_Key(raw_entry),
                            std::string(static_cast<const char*>(kvEntry_Value(raw_entry)),
                                        static_cast<std::size_t>(kvEntry_ValueLen(raw_entry))));
    }
    return answer;
  }

  /// Makes the bucket, or corrects its time to live and, in a cluster, its replicas.
  Result<void> make_bucket(const Call& call) {
    const std::lock_guard lock(making_);
    Answer answer = correct_bucket(call);
    if (!answer.ok() && answer.no_stream() && answer.status != NATS_NO_RESPONDERS) {
      for (const int replicas : {kReplicas, 1}) {
        answer = create_bucket(call, replicas);
        if (answer.ok()) return {};
      }
      answer = correct_bucket(call);  // another node may have been faster
    }
    if (answer.ok()) return {};
    return tl::make_unexpected(lease_error("cannot make the bucket of leases " + bucket_, answer));
  }

  Answer create_bucket(const Call& call, int replicas) const {
    kvConfig config;
    kvConfig_Init(&config);
    config.Bucket = bucket_.c_str();
    config.History = 1;
    config.TTL = time_to_live_;
    config.StorageType = js_MemoryStorage;
    config.Replicas = replicas;
    kvStore* raw = nullptr;
    Answer answer;
    answer.status = js_CreateKeyValue(&raw, call.context(), &config);
    const Store store(raw);
    return answer;
  }

  Answer correct_bucket(const Call& call) const {
    jsOptions options = call.options();
    jsStreamInfo* raw = nullptr;
    Answer answer;
    answer.status = js_GetStreamInfo(&raw, call.context(), stream_.c_str(), &options, &answer.code);
    const StreamInfo info(raw);
    if (!answer.ok()) return answer;
    jsStreamConfig& config = *info->Config;
    const bool clustered = info->Cluster != nullptr && info->Cluster->Name != nullptr;
    const std::int64_t replicas = clustered ? kReplicas : config.Replicas;
    if (config.MaxAge == time_to_live_ && config.Replicas == replicas) return answer;
    const std::int64_t had = config.Replicas;
    config.MaxAge = time_to_live_;
    config.Duplicates = std::min<std::int64_t>(time_to_live_, 120'000'000'000);
    config.Replicas = replicas;
    answer.status = js_UpdateStream(nullptr, call.context(), &config, &options, &answer.code);
    if (!answer.ok() && replicas != had) {  // fewer servers than that are there
      config.Replicas = had;
      answer = {};
      answer.status = js_UpdateStream(nullptr, call.context(), &config, &options, &answer.code);
    }
    return answer;
  }

  const std::shared_ptr<NatsCore> core_;
  const std::string bucket_;
  const std::string stream_;
  const std::string subject_prefix_;
  const std::int64_t time_to_live_;  ///< in nanoseconds
  std::mutex making_;
};

}  // namespace

Result<std::unique_ptr<Leases>> open_nats_leases(std::shared_ptr<NatsCore> core, std::string bucket,
                                                 std::chrono::milliseconds time_to_live) {
  auto leases = std::make_unique<NatsLeases>(std::move(core), std::move(bucket), time_to_live);
  if (const auto opened = leases->open(); !opened) return opened.failure();
  return leases;
}

}  // namespace countersign::bus

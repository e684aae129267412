#include "bus/nats/connection.h"

#include <mutex>
#include <utility>
#include <vector>

#include "bus/nats/closure_table.h"
#include "bus/nats/nats_address.h"

namespace countersign::bus {
namespace {

constexpr int kHandlerThreads = 2;
constexpr std::int64_t kConnectMs = 2000;
/// A server that takes nothing for so long is given up; libnats holds its lock meanwhile.
constexpr std::int64_t kWriteMs = 3000;
/// A server that answers no ping for two of these is gone.
constexpr std::int64_t kPingMs = 2000;
constexpr int kMaxPingsOut = 2;
constexpr std::int64_t kReconnectMs = 200;
constexpr std::int64_t kReconnectJitterMs = 600;
constexpr int kReconnectBufferBytes = 1 << 20;

ClosureTable<ConnectionEvents>& events_table() {
  static auto* table = new ClosureTable<ConnectionEvents>;  // callbacks may outlive main()
  return *table;
}

ClosureTable<HandlerSlot>& inlet_table() {
  static auto* table = new ClosureTable<HandlerSlot>;
  return *table;
}

void connected(natsConnection* connection, void* closure) {
  if (const auto events = events_table().find(closure)) events->on_connected(connection);
}
void disconnected(natsConnection*, void* closure) {
  if (const auto events = events_table().find(closure)) events->on_disconnected();
}
void closed(natsConnection*, void* closure) {
  if (const auto events = events_table().find(closure)) events->on_closed();
}
void failed(natsConnection*, natsSubscription*, natsStatus status, void* closure) {
  if (const auto events = events_table().find(closure)) events->on_error(status);
}

void received(natsConnection*, natsSubscription*, natsMsg* raw, void* closure) {
  const NatsHandle<natsMsg, natsMsg_Destroy> message(raw);
  const auto slot = inlet_table().find(closure);
  if (!slot) return;
  slot->deliver(std::make_shared<const std::string>(
      natsMsg_GetData(raw), static_cast<std::size_t>(natsMsg_GetDataLength(raw))));
}

/// Remembers the first call that failed.
class Steps {
 public:
  void operator()(natsStatus status) {
    if (status_ == NATS_OK) status_ = status;
  }
  natsStatus status() const { return status_; }

 private:
  natsStatus status_ = NATS_OK;
};

/// Without a closure the connection has no events and is tried only once.
Result<void> set_options(natsOptions* to, const NatsOptions& options, void* closure) {
  const auto address = read_nats_address(options);
  if (!address) return address.failure();
  std::vector<const char*> servers;
  for (const auto& server : address->servers) servers.push_back(server.c_str());
  Steps step;
  step(natsOptions_SetServers(to, servers.data(), static_cast<int>(servers.size())));
  step(natsOptions_SetName(to, options.name.c_str()));
  if (!address->user.empty()) {
    step(natsOptions_SetUserInfo(to, address->user.c_str(), address->password.c_str()));
  }
  if (!address->token.empty()) step(natsOptions_SetToken(to, address->token.c_str()));
  step(natsOptions_SetTimeout(to, kConnectMs));
  step(natsOptions_SetWriteDeadline(to, kWriteMs));
  step(natsOptions_SetPingInterval(to, kPingMs));
  step(natsOptions_SetMaxPingsOut(to, kMaxPingsOut));
  step(natsOptions_SetMaxReconnect(to, -1));
  step(natsOptions_SetReconnectWait(to, kReconnectMs));
  step(natsOptions_SetReconnectJitter(to, kReconnectJitterMs, kReconnectJitterMs));
  step(natsOptions_SetReconnectBufSize(to, kReconnectBufferBytes));
  step(natsOptions_SetFailRequestsOnDisconnect(to, true));
  step(natsOptions_UseGlobalMessageDelivery(to, true));
  if (closure != nullptr) step(natsOptions_SetRetryOnFailedConnect(to, true, connected, closure));
  step(natsOptions_SetReconnectedCB(to, connected, closure));
  step(natsOptions_SetDisconnectedCB(to, disconnected, closure));
  step(natsOptions_SetClosedCB(to, closed, closure));
  step(natsOptions_SetErrorHandler(to, failed, closure));
  if (step.status() != NATS_OK) {
    return fail(ErrorCode::kBadSetting, nats_error("bus.url", step.status()).detail);
  }
  if (!address->tls) return {};
  step(natsOptions_SetSecure(to, true));
  if (!options.ca_file.empty()) {
    step(natsOptions_LoadCATrustedCertificates(to, options.ca_file.c_str()));
  }
  if (step.status() != NATS_OK) {
    return fail(ErrorCode::kUnreadableFile,
                nats_error("bus.ca_file: " + options.ca_file, step.status()).detail);
  }
  return {};
}

}  // namespace

Result<OpenedConnection> open_connection(const NatsOptions& options,
                                         std::shared_ptr<ConnectionEvents> events) {
  natsOptions* raw_options = nullptr;
  if (const auto status = natsOptions_Create(&raw_options); status != NATS_OK) {
    return tl::make_unexpected(nats_error("libnats does not start", status));
  }
  const NatsHandle<natsOptions, natsOptions_Destroy> to(raw_options);
  static std::once_flag once;
  std::call_once(once, [] { nats_SetMessageDeliveryPoolSize(kHandlerThreads); });

  void* closure = events_table().add(std::move(events));
  const auto set = set_options(to.get(), options, closure);
  natsConnection* raw = nullptr;
  const natsStatus status = set.ok() ? natsConnection_Connect(&raw, to.get()) : NATS_ERR;
  OpenedConnection opened;
  opened.connection = Connection(raw, [closure](natsConnection* connection) {
    if (connection != nullptr) natsConnection_Destroy(connection);
    events_table().remove(closure);
  });
  if (!set) return set.failure();
  if (status != NATS_OK && status != NATS_NOT_YET_CONNECTED) {
    return tl::make_unexpected(nats_error("cannot connect to the NATS servers", status));
  }
  opened.connected = status == NATS_OK;
  return opened;
}

std::string why_not_connected(const NatsOptions& options) {
  natsOptions* raw_options = nullptr;
  if (natsOptions_Create(&raw_options) != NATS_OK) return "libnats does not start";
  const NatsHandle<natsOptions, natsOptions_Destroy> to(raw_options);
  if (const auto set = set_options(to.get(), options, nullptr); !set) return set.error().detail;
  natsConnection* raw = nullptr;
  const natsStatus status = natsConnection_Connect(&raw, to.get());
  const NatsHandle<natsConnection, natsConnection_Destroy> connection(raw);
  return status == NATS_OK ? "it was too slow" : nats_error("cannot connect", status).detail;
}

void* Inlets::add(std::shared_ptr<HandlerSlot> slot) { return inlet_table().add(std::move(slot)); }

void Inlets::remove(void* closure) { inlet_table().remove(closure); }

NatsSubscription listen(natsConnection* connection, const std::string& subject, void* inlet,
                        const NatsOptions& options) {
  natsSubscription* raw = nullptr;
  if (natsConnection_Subscribe(&raw, connection, subject.c_str(), received, inlet) != NATS_OK) {
    return nullptr;
  }
  natsSubscription_SetPendingLimits(raw, options.max_unhandled, options.max_unhandled_bytes);
  return NatsSubscription(raw);
}

Error nats_error(const std::string& what, natsStatus status) {
  std::string detail = what + ": " + natsStatus_GetText(status);
  natsStatus last = NATS_OK;
  if (const char* text = nats_GetLastError(&last); text != nullptr && last == status) {
    detail += std::string(" (") + text + ")";
  }
  return {ErrorCode::kBusFailed, detail};
}

void free_nats_memory_at_thread_end() {
  struct Guard {
    ~Guard() { nats_ReleaseThreadMemory(); }
    bool armed = false;
  };
  thread_local Guard guard;
  guard.armed = true;
}

}  // namespace countersign::bus

// Connection: libnats's connection with our options, handles that free themselves, and events.
//
// Thread-safety: a connection may be used from any thread; events come on a thread of libnats, one
// at a time.
// Source: nats.h of libnats 3.4.
#ifndef COUNTERSIGN_BUS_NATS_CONNECTION_H_
#define COUNTERSIGN_BUS_NATS_CONNECTION_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include <nats/nats.h>

#include "countersign/result.h"

#include "bus/handler_slot.h"
#include "bus/nats/nats_bus.h"

namespace countersign::bus {

/// How long a bus waits for an answer before it says kBusFailed.
inline constexpr std::chrono::seconds kBusPatience{5};

/// Frees what libnats made.
template <auto Destroy>
struct NatsDeleter {
  template <class T>
  void operator()(T* object) const {
    Destroy(object);
  }
};
template <class T, auto Destroy>
using NatsHandle = std::unique_ptr<T, NatsDeleter<Destroy>>;

/// Shared: leases and flushes use it on their own threads, while another may be replacing it.
using Connection = std::shared_ptr<natsConnection>;

/// What happens to a connection. The first argument of what libnats calls leads here.
class ConnectionEvents {
 public:
  virtual ~ConnectionEvents() = default;
  /// It is there, at first or again; all subscriptions are sent.
  virtual void on_connected(natsConnection* connection) = 0;
  virtual void on_disconnected() = 0;
  /// libnats has given it up and looks for no other server.
  virtual void on_closed() = 0;
  virtual void on_error(natsStatus status) = 0;
};

/// A connection, and whether a server has answered; libnats looks for one if not.
struct OpenedConnection {
  Connection connection;
  bool connected = false;
};

/// Tries each server once. `events` is held until the connection is destroyed.
/// kBadSetting, kUnreadableFile; kBusFailed if libnats does not go on by itself, for example
/// because the credentials were refused.
Result<OpenedConnection> open_connection(const NatsOptions& options,
                                         std::shared_ptr<ConnectionEvents> events);

/// Tries once more to connect, for the reason: libnats keeps it to itself while it goes on trying.
std::string why_not_connected(const NatsOptions& options);

using NatsSubscription = NatsHandle<natsSubscription, natsSubscription_Destroy>;

/// The table through which messages find their slots; of the whole process.
class Inlets {
 public:
  /// @return the closure for listen().
  static void* add(std::shared_ptr<HandlerSlot> slot);
  /// The slot gets no more.
  static void remove(void* closure);
};

/// Subscribes on the wire. nullptr if the connection is closed.
NatsSubscription listen(natsConnection* connection, const std::string& subject, void* inlet,
                        const NatsOptions& options);

/// `what: why`, as libnats calls it; of the last call of this thread if it failed.
Error nats_error(const std::string& what, natsStatus status);

/// Frees what libnats keeps for this thread, when the thread ends.
void free_nats_memory_at_thread_end();

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_NATS_CONNECTION_H_

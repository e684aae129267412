// The bus between nodes: core NATS for publications, a JetStream key-value bucket for leases.
//
// The bus lives through everything that happens to the servers: it looks for another one for ever,
// makes its subscriptions good there, and reports a gap. Subjects begin with `countersign.` and a
// token of the installation, so that several can share the servers.
// Thread-safety: as Bus. Handlers run on two threads of libnats, listeners on one of the bus's own.
// Source: NATS client protocol; ADR-8 (JetStream based key-value stores) of nats-architecture.
#ifndef COUNTERSIGN_BUS_NATS_NATS_BUS_H_
#define COUNTERSIGN_BUS_NATS_NATS_BUS_H_

#include <cstddef>
#include <memory>
#include <string>

#include "countersign/result.h"

#include "base/metrics.h"
#include "base/random.h"
#include "bus/bus.h"

namespace countersign::bus {

struct NatsOptions {
  /// `nats://` or `tls://`, `[USER[:PASSWORD]@]HOST[:PORT]`; several, separated by commas, are
  /// members of one cluster. A user without a password, and without a file, is a token.
  std::string url;
  /// Holds the password of the URL's user or, if it names none, a token. Read at each connect.
  std::string password_file;
  /// Certificate authorities in PEM; asks for TLS. Empty: those of the system.
  std::string ca_file;
  /// What the servers call this connection in their own lists.
  std::string name = "countersign";
  /// What all nodes of an installation share and no other has.
  std::string installation;
  /// What may wait to be sent.
  std::size_t max_pending_bytes = 8 << 20;
  /// What may wait for the handler of one subscription.
  int max_unhandled = 16 * 1024;
  int max_unhandled_bytes = 8 << 20;
  /// Whether to fail if no server answers within 5 s; else the bus begins as one that is away.
  bool wait = true;
};

/// Connects. `metrics` outlives the bus.
/// kBadSetting for a URL that is none; kUnreadableFile; kBusFailed, only if `wait`. No text of an
/// error or log line holds a password.
Result<std::unique_ptr<Bus>> open_nats_bus(NatsOptions options, base::Random& random,
                                           base::Metrics& metrics);

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_NATS_NATS_BUS_H_

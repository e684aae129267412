// NatsAddress: where the servers are and what they want to hear, read from the options.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_BUS_NATS_NATS_ADDRESS_H_
#define COUNTERSIGN_BUS_NATS_NATS_ADDRESS_H_

#include <string>
#include <vector>

#include "bus/nats/nats_bus.h"

namespace countersign::bus {

struct NatsAddress {
  std::vector<std::string> servers;  ///< `nats://HOST:PORT`, without credentials
  std::string user;                  ///< with password
  std::string password;
  std::string token;  ///< instead of user and password
  bool tls = false;
};

/// Reads url and password_file. kBadSetting, kUnreadableFile; the text names the servers at most.
Result<NatsAddress> read_nats_address(const NatsOptions& options);

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_NATS_NATS_ADDRESS_H_

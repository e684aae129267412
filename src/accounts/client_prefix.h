// ClientPrefix: where a request comes from, as far as throttles and fairness count. An IPv6 user
// commonly owns a whole /64 and easily a /48, so single addresses mean nothing there.
// Thread-safety: a value type.
#ifndef COUNTERSIGN_ACCOUNTS_CLIENT_PREFIX_H_
#define COUNTERSIGN_ACCOUNTS_CLIENT_PREFIX_H_

#include <string>

namespace countersign::accounts {

struct ClientPrefix {
  std::string narrow;  ///< IPv4 /32 (or what the setting says), IPv6 /64: what throttles count by
  std::string wide;    ///< IPv4 /24, IPv6 /48: what the hash pool shares its threads between
};

}  // namespace countersign::accounts

#endif  // COUNTERSIGN_ACCOUNTS_CLIENT_PREFIX_H_

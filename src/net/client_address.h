// Who really asks, when proxies stand between: the walk through forwarding headers.
//
// A forwarding header is believed only as far as the hop that wrote it is trusted
// (server.trusted_proxies): starting at the peer, X-Forwarded-For is read from the right, and the
// first address that is no trusted proxy is the client. Anything left of it is hearsay.
// Thread-safety: pure functions.
#ifndef COUNTERSIGN_NET_CLIENT_ADDRESS_H_
#define COUNTERSIGN_NET_CLIENT_ADDRESS_H_

#include <vector>

#include "net/http_message.h"

namespace countersign::net {

bool is_trusted(const IpAddress& address, const std::vector<Network>& trusted_proxies);

/// Sets `request.client` and `request.secure` from its peer, its fields and whether the connection
/// itself is TLS. X-Forwarded-Proto counts only when the peer is trusted; with several values the
/// nearest proxy's (the last) decides.
void resolve_client(Request& request, bool tls, const std::vector<Network>& trusted_proxies);

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_CLIENT_ADDRESS_H_

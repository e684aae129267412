// The opening handshake of a WebSocket, server side.
// Thread-safety: pure functions. Source: RFC 6455 section 4.2.
#ifndef COUNTERSIGN_NET_WEBSOCKET_HANDSHAKE_H_
#define COUNTERSIGN_NET_WEBSOCKET_HANDSHAKE_H_

#include <string>
#include <string_view>

#include "net/http_message.h"

namespace countersign::net {

/// True if `request` asks to become a WebSocket, well-formed or not.
bool wants_websocket(const Request& request);

/// The first subprotocol that the client offers, or an empty text.
std::string first_offered_subprotocol(const Request& request);

/// The answer to an upgrade request: 101 with Sec-WebSocket-Accept, and `subprotocol` if the client
/// offered it. kMalformedRequest if the request is not as RFC 6455 wants it; kUpgradeRequired if it
/// asks for another version than 13.
Result<Response> accept_websocket(const Request& request, std::string_view subprotocol);

}  // namespace countersign::net

#endif  // COUNTERSIGN_NET_WEBSOCKET_HANDSHAKE_H_

// Server messages: the replies and pushes of `countersign.v1.json` that every connection knows, as
// flat JSON text. Those of inboxes and conversations are beside it, in inbox_messages.h and
// conversation_messages.h.
// Thread-safety: pure functions.
// Source: docs/reference/protocol.md.
#ifndef COUNTERSIGN_PROTOCOL_SERVER_MESSAGES_H_
#define COUNTERSIGN_PROTOCOL_SERVER_MESSAGES_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "countersign/codes.h"
#include "countersign/identity.h"

#include "base/clock.h"
#include "protocol/inbox_messages.h"

namespace countersign::protocol {

/// The WebSocket subprotocol.
inline constexpr std::string_view kSubprotocol = "countersign.v1.json";
/// What the gateway sends to hear whether anybody is there; the answer is the same text.
inline constexpr std::string_view kPing = "{}";

/// Limits that the reply to `connect` announces.
struct Limits {
  std::size_t max_frame_bytes = 64 * 1024;    ///< one frame to the gateway
  std::size_t max_queued_bytes = 256 * 1024;  ///< that may wait for a slow reader
  std::uint32_t commands_per_second = 20;     ///< sustained
  std::uint32_t command_burst = 60;           ///< at once, after a pause
};

/// The reply to `connect`. `instance` and `secret` only when the instance was made from a ticket.
struct ConnectReply {
  std::string_view connection;
  std::string_view node;
  IdentityType user_type = IdentityType::kUsername;
  std::string_view user_endpoint;
  std::string_view device;
  base::SystemTime server_time;
  base::SystemTime instance_expires_at;
  std::chrono::milliseconds ping_interval{25'000};
  Limits limits;
  std::string_view instance;  ///< empty: leave both out
  std::string_view secret;
  std::optional<InboxState> inbox = std::nullopt;  ///< for a client that asked for its inbox
};

std::string encode_connect_reply(std::uint32_t id, const ConnectReply& reply);
std::string encode_refresh_reply(std::uint32_t id, base::SystemTime instance_expires_at);
std::string encode_ping_reply(std::uint32_t id);
std::string encode_terminate_reply(std::uint32_t id);
/// `{"id":n,"error":{…}}` with the code that may leave the host, see gateway_code(). `users` are
/// those because of whom a message was not accepted.
std::string encode_error(std::uint32_t id, ErrorCode code,
                         std::optional<std::chrono::milliseconds> retry_after = std::nullopt,
                         std::span<const Identity> users = {});

/// The instance ends in `left`; a `refresh` is due.
std::string encode_expiring(std::chrono::milliseconds left);
/// The gateway is about to close with this code; a client that comes back waits `retry_after`.
std::string encode_bye(CloseCode code, std::chrono::milliseconds retry_after);

/// The code of 100 to 399 that a client hears for an inner code: ticket faults are 101 (expired:
/// 109), a store without room is 113, and everything else that is not of the protocol is 100. Those
/// of messages (112, 210 to 214) pass as they are.
ErrorCode gateway_code(ErrorCode code);

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_SERVER_MESSAGES_H_

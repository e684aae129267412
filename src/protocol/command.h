// Commands: what clients send over `countersign.v1.json`, decoded strictly and one by one.
//
// A frame is one or more JSON objects, separated by a single line feed. `{}` is a pong; every other
// object is a command `{"id":n,"<verb>":{...}}`. What has an id but cannot be obeyed becomes
// Refused and wants an error reply; what has none is garbage and costs the client its connection.
// Thread-safety: value types; a FrameReader belongs to one thread.
// Source: docs/reference/protocol.md and docs/reference/messages.md; RFC 8259.
#ifndef COUNTERSIGN_PROTOCOL_COMMAND_H_
#define COUNTERSIGN_PROTOCOL_COMMAND_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "countersign/result.h"

#include "protocol/messaging_commands.h"

namespace countersign::protocol {

/// JSON nested deeper than this is garbage.
inline constexpr std::size_t kMaxDepth = 16;
/// Longest id (instance, device) and longest client name or version, in bytes.
inline constexpr std::size_t kMaxIdBytes = 64;
/// Longest ticket that is passed on: anything longer is no ticket of ours (see
/// countersign/policy.h).
inline constexpr std::size_t kMaxTicketTextBytes = 16 * 1024;

/// What calls itself a client. For logs and statistics only; nobody vouches for it.
struct ClientInfo {
  std::string name;
  std::string version;
  friend bool operator==(const ClientInfo&, const ClientInfo&) = default;
};

/// Makes or resumes an instance. Holds either `user_ticket`, or `instance` and `secret`.
struct Connect {
  std::string user_ticket;
  std::string instance;
  std::string secret;  ///< base64, as the gateway handed it out
  std::string device;  ///< empty: the gateway makes one up
  ClientInfo client;
  bool messaging = false;  ///< it wants its inbox: `caps` names `messaging`
  std::optional<ClientPosition> resume = std::nullopt;
  friend bool operator==(const Connect&, const Connect&) = default;
};

/// Prolongs the instance.
struct Refresh {
  std::string user_ticket;
  friend bool operator==(const Refresh&, const Refresh&) = default;
};

/// Asks for a sign of life.
struct Ping {
  friend bool operator==(const Ping&, const Ping&) = default;
};

/// Ends the instance for good.
struct Terminate {
  friend bool operator==(const Terminate&, const Terminate&) = default;
};

/// A command that cannot be obeyed: kUnknownVerb, kBadRequest (it does not follow the rules),
/// kMessageTooLarge (a text, or all of them, has too many bytes) or kLimitExceeded (a list has too
/// many members).
struct Refused {
  ErrorCode code = ErrorCode::kBadRequest;
  friend bool operator==(const Refused&, const Refused&) = default;
};

struct Command {
  std::uint32_t id = 0;  ///< 1 or more
  std::variant<Ping, Connect, Refresh, Terminate, Refused, Send, Ack, Sync, Read, Typing, History,
               ListConversations, FindConversation, ListMembers, ChangeGroup, Block, ListBlocked,
               WatchPresence, SetPresence>
      verb;
  friend bool operator==(const Command&, const Command&) = default;
};

/// The answer to the gateway's own `{}`.
struct Pong {
  friend bool operator==(const Pong&, const Pong&) = default;
};

using ClientMessage = std::variant<Pong, Command>;

/// Walks through the objects of one frame without looking ahead, so that a long frame costs no more
/// memory than its largest object.
class FrameReader {
 public:
  /// `frame` must outlive the reader.
  explicit FrameReader(std::string_view frame) : rest_(frame) {}

  /// The next message; nullopt at the end. kBadRequest if what follows is garbage: not JSON, too
  /// deep, not an object, or without a usable `id`. After garbage the reader is at its end.
  std::optional<Result<ClientMessage>> next();

 private:
  std::optional<std::string_view> rest_;
};

/// Decodes one object. kBadRequest as in FrameReader::next().
Result<ClientMessage> decode_message(std::string_view object);

}  // namespace countersign::protocol

#endif  // COUNTERSIGN_PROTOCOL_COMMAND_H_

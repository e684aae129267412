// Actions: what the connection machine wants done. The driver carries them out in order and reports
// the outcome of those that have one as an event.
// Thread-safety: value types.
#ifndef COUNTERSIGN_GATEWAY_ACTIONS_H_
#define COUNTERSIGN_GATEWAY_ACTIONS_H_

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "countersign/codes.h"

#include "base/clock.h"
#include "base/ids.h"
#include "protocol/messaging_commands.h"
#include "storage/records.h"

namespace countersign::gateway {

/// What the inbox machine leaves to the desks: everything but `ack` and `sync`.
using MessagingRequest =
    std::variant<protocol::Send, protocol::ChangeGroup, protocol::Read, protocol::Typing,
                 protocol::History, protocol::ListConversations, protocol::FindConversation,
                 protocol::ListMembers, protocol::Block, protocol::ListBlocked,
                 protocol::WatchPresence, protocol::SetPresence>;

/// Queue a frame.
struct SendFrame {
  std::string frame;
};
/// Close with a code of ours, or with WebSocket's 1000. Nothing follows.
struct CloseWith {
  CloseCode code;
};
struct CloseNormally {};
/// Verify a ticket now; answer with on_ticket().
struct VerifyTicket {
  std::string ticket;
};
/// Tell the hub whose connection this is, so that revocations find it; answer with on_enrolled().
/// Once enrolled it only brings the hub up to date.
struct Enrol {};
/// Revocations of this session concern the connection too, until the next Enrol.
struct WatchSession {
  base::SessionHandle session;
};
/// The client is in: older connections of the same device are replaced.
struct Announce {};
/// Forget the connection in the hub.
struct Leave {};
/// Store operations; answer with on_created(), on_found(), on_checked(), on_refreshed(),
/// on_ended().
struct CreateInstance {
  storage::Instance instance;
  std::optional<storage::PresentedTicket> presented;  ///< to be noted with it
};
struct FindInstance {
  base::InstanceId id;
};
/// Is the instance still there, and what it was made from still live?
struct CheckInstance {
  base::InstanceId id;
};
struct RefreshInstance {
  storage::Instance instance;  ///< with its new session, ticket time and expiry
  std::optional<storage::PresentedTicket> presented;  ///< to be noted with it
};
/// End the instance. Without `answer` nobody waits for the outcome.
struct EndInstance {
  base::InstanceId id;
  bool answer = true;
};
/// Join the mailroom, if that is still to be done, then ask the store where this device stands;
/// answer with on_attached().
struct AttachInbox {
  std::optional<protocol::ClientPosition> resume;
};
/// A stretch of the user's inbox; answer with on_page().
struct ReadInbox {
  std::int64_t after = 0;
  std::size_t max_entries = 0;
  std::size_t max_bytes = 0;
};
/// The device has handled everything up to here; answer with on_acknowledged().
struct StoreAck {
  std::string epoch;
  std::int64_t offset = 0;
};
/// A messaging command that the desks answer; the reply comes with on_answered().
struct Ask {
  std::uint32_t id = 0;
  MessagingRequest request;
};
/// Presence was dropped while the client was slow: tell it all again.
struct TellPresenceAgain {};
/// Something for the log and the metrics; `reason` is exact and stays on this host.
struct Report {
  enum class Event { kTicketRefused, kInstanceRefused, kConnectFailed, kRefreshFailed };
  Event event;
  ErrorCode reason;
};

using Action =
    std::variant<SendFrame, CloseWith, CloseNormally, VerifyTicket, Enrol, WatchSession, Announce,
                 Leave, CreateInstance, FindInstance, CheckInstance, RefreshInstance, EndInstance,
                 AttachInbox, ReadInbox, StoreAck, Ask, TellPresenceAgain, Report>;
using Actions = std::vector<Action>;

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_ACTIONS_H_

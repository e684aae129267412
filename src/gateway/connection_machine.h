// The connection machine: everything a gateway connection decides, as a pure state machine. It
// takes an event and the present moment and returns actions; it knows no socket, no store, no
// clock.
//
//     new ──connect──▶ connecting ──▶ live ⇄ expired ──25 s──▶ closing
//      └─5 s─▶ closing     └─refused─▶ closing     (every phase may end in closing)
//
// The order inside `connecting` is what makes revocation airtight: the connection first enrols with
// the hub and only then is the store asked whether session and instance are live. A revocation
// committed before the question is seen by it; one committed afterwards finds the connection
// enrolled. A client that asked for its inbox is attached last, before the reply.
//
// Every command gets exactly one reply, also if the connection is closed while it is being obeyed.
// Thread-safety: none; a connection lives on one shard.
// Source: docs/reference/protocol.md.
#ifndef COUNTERSIGN_GATEWAY_CONNECTION_MACHINE_H_
#define COUNTERSIGN_GATEWAY_CONNECTION_MACHINE_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "countersign/result.h"

#include "base/clock.h"
#include "gateway/actions.h"
#include "gateway/inbox_machine.h"
#include "gateway/instance_keys.h"
#include "gateway/membership.h"
#include "gateway/moment.h"
#include "gateway/token_bucket.h"
#include "protocol/command.h"
#include "protocol/server_messages.h"
#include "storage/records.h"

namespace countersign::gateway {

/// The numbers of the protocol. One object for all connections; outlives them.
struct MachineConfig {
  std::string node = "local";
  protocol::Limits limits;
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds ping_interval{25'000};
  std::chrono::milliseconds pong_timeout{10'000};
  std::chrono::milliseconds expiry_grace{25'000};
  std::chrono::milliseconds final_notice{60'000};       ///< second `expiring`, before the end
  std::chrono::milliseconds operation_timeout{10'000};  ///< of one verify-and-store step
  std::chrono::milliseconds retry_after{1'000};         ///< with temporary refusals
  std::chrono::hours max_instance_life{24};
  std::uint32_t max_refusals = 100;  ///< answers with 111 before the connection is closed
  InboxConfig inbox;
};

/// Unpredictable values for an instance that a ticket may make.
struct Fresh {
  std::string device;            ///< if the client named none
  std::uint32_t generation = 1;  ///< goes into the secret: what was ended stays ended
};

/// What a verified ticket says.
struct TicketFacts {
  std::string application_key;
  Identity identity;
  base::SystemTime created;
  base::SystemTime expires;  ///< created + lifetime, without skew
  std::optional<base::SessionHandle> session;
  /// Set where a ticket is good for one device only; the machine says which.
  std::optional<storage::PresentedTicket> presented = std::nullopt;
};

class ConnectionMachine {
 public:
  enum class Phase : std::uint8_t { kNew, kConnecting, kLive, kExpired, kClosing };

  /// @param connection  names the connection in the reply and in logs.
  /// @param spread      0 to 255: where in its interval the first ping falls, so that connections
  ///                    made together do not ping together.
  ConnectionMachine(const MachineConfig& config, const InstanceKeys& keys, std::uint64_t connection,
                    std::uint8_t spread, Moment now);

  // Events from the client.
  Actions on_frame(std::string_view frame, Moment now);
  Actions on_timer(Moment now);
  /// The connection is gone.
  Actions on_closed();

  // Outcomes of actions. Late ones, for which nobody waits any more, change nothing.
  Actions on_ticket(Result<TicketFacts> ticket, Fresh fresh, Moment now);
  /// kLimitExceeded if the user has too many connections.
  Actions on_enrolled(Result<void> outcome, Moment now);
  /// @param stored  the instance as it stands: new, or the one this device had.
  Actions on_created(Result<storage::Instance> stored, Moment now);
  Actions on_found(Result<std::optional<storage::Instance>> found, Moment now);
  /// @param checked  the instance as it stands now.
  Actions on_checked(Result<storage::Instance> checked, Moment now);
  Actions on_refreshed(Result<void> outcome, Moment now);
  Actions on_ended(Result<void> outcome, Moment now);
  Actions on_attached(Result<storage::Attached> attached, Moment now);
  Actions on_page(Result<storage::InboxPage> page, Moment now);
  /// @param cursor  the device's, as the store has it now.
  Actions on_acknowledged(Result<std::int64_t> cursor, Moment now);
  /// @param frame  the whole reply.
  Actions on_answered(std::uint32_t id, Result<std::string> frame, Moment now);

  // Events from the mailroom.
  Actions on_entry(const protocol::EntryEvent& entry, Moment now);
  /// The inbox may have changed: read it.
  Actions on_news(Moment now);
  /// The store's top of the user's inbox, as somebody has just read it.
  Actions on_top(std::int64_t top, Moment now);
  /// A push that may be lost; see LooseQueue.
  Actions on_loose(LooseQueue::Kind kind, std::string_view key, std::string push, Moment now);
  /// The highest offset pushed; 0 without an inbox.
  std::int64_t pushed() const { return inbox_ ? inbox_->last() : 0; }
  /// Entries pushed since the last call. For metrics.
  std::uint32_t take_pushed() { return inbox_ ? inbox_->take_pushed() : 0; }

  // Events from the hub.
  Actions on_revoked(Moment now);
  /// The same device has connected again, as the same instance or with a new one.
  Actions on_replaced(bool same_instance, Moment now);
  /// Close at `at`, telling the client when to come back. Who connects meanwhile is sent away.
  Actions on_shutdown(base::SteadyTime at, std::chrono::milliseconds retry_after, Moment now);
  /// Revocations may have been missed: close, so that the client comes back through the checks.
  Actions on_recheck(Moment now);

  /// When on_timer() is next due; nullopt once closing.
  std::optional<base::SteadyTime> next_deadline() const;
  Phase phase() const { return phase_; }
  /// Whose connection it is; empty before the credential was accepted.
  const Membership& membership() const { return membership_; }
  std::uint64_t connection() const { return connection_; }
  /// Sixteen hexadecimal digits.
  std::string connection_name() const;

 private:
  enum class Step : std::uint8_t {
    kVerifyConnect,
    kFind,
    kEnrolNew,
    kEnrolKnown,
    kCreate,
    kCheck,
    kAttach,
    kVerifyRefresh,
    kRefresh,
    kEnd
  };
  // The one command that waits for an outcome. Idle connections have none.
  struct Pending {
    std::uint32_t id = 0;
    Step step = Step::kVerifyConnect;
    base::SteadyTime deadline;
    storage::Instance instance;                         // about to be made, resumed or refreshed
    std::optional<storage::PresentedTicket> presented;  // what it is to be made with
    std::string device;                                 // as the client named it
    std::string secret;                                 // as the client showed it
    bool watching = false;                              // the hub also knows the new session
    bool from_ticket = false;                           // the reply names instance and secret
    bool messaging = false;                             // the client wants its inbox
    bool news = false;                                  // something came while it was looked for
    std::optional<protocol::ClientPosition> resume;     // where the client stands
    std::uint32_t terminate_id = 0;  // a `terminate` that waits for this command to end
  };

  void obey(protocol::Command& command, Moment now, Actions& out);
  void obey_connect(std::uint32_t id, protocol::Connect& connect, Moment now, Actions& out);
  void obey_refresh(std::uint32_t id, protocol::Refresh& refresh, Moment now, Actions& out);
  void obey_terminate(std::uint32_t id, Moment now, Actions& out);
  void obey_messaging(protocol::Command& command, Moment now, Actions& out);
  bool admit(const protocol::ClientMessage& message, Moment now, Actions& out);

  void ticket_for_connect(Result<TicketFacts>& ticket, Fresh& fresh, Moment now, Actions& out);
  void ticket_for_refresh(Result<TicketFacts>& ticket, Moment now, Actions& out);
  void enter(bool from_ticket, Moment now, Actions& out);
  void go_live(std::optional<storage::Attached> attached, Moment now, Actions& out);
  void connect_failed(ErrorCode reason, Moment now, Actions& out);
  void refresh_failed(ErrorCode reason, Moment now, Actions& out);
  void finish_deferred(std::uint32_t terminate_id, Moment now, Actions& out);
  void end_instance(std::uint32_t id, Moment now, Actions& out);

  void expire_if_due(Moment now);
  void plan_notice(base::SystemTime after, Moment now);
  void watch_wall(Moment now, Actions& out);
  void keep_alive(Moment now, Actions& out);
  base::SystemTime capped_expiry(base::SystemTime expires, Moment now) const;

  static bool is_ticket_fault(ErrorCode code);
  bool waits_for(Step step) const { return pending_ && pending_->step == step; }
  void begin(std::uint32_t id, Step step, Moment now);
  void reply_error(std::uint32_t id, ErrorCode code, Actions& out) const;
  void close(CloseCode code, Actions& out, std::chrono::milliseconds retry_after = {});
  bool closing() const { return phase_ == Phase::kClosing; }
  Moment for_inbox(Moment now) const;
  template <class Event>
  Actions tell_inbox(Moment now, Event event);

  const MachineConfig& config_;
  const InstanceKeys& keys_;
  const std::uint64_t connection_;
  std::unique_ptr<Pending> pending_;
  std::unique_ptr<InboxMachine> inbox_;  // while live, if the client asked for it
  Membership membership_;
  TokenBucket bucket_;
  base::SteadyTime phase_deadline_;  // of kNew and kExpired
  base::SteadyTime next_ping_;
  base::SteadyTime pong_deadline_ = base::SteadyTime::max();
  base::SteadyTime wall_check_ = base::SteadyTime::max();
  base::SteadyTime shutdown_at_ = base::SteadyTime::max();
  base::SystemTime next_notice_ = base::SystemTime::max();
  std::chrono::duration<std::uint32_t, std::milli> shutdown_retry_{0};
  std::uint32_t last_id_ = 0;
  std::uint32_t refusals_ = 0;
  std::uint8_t pings_ = 0;
  Phase phase_ = Phase::kNew;
  const std::uint8_t spread_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_CONNECTION_MACHINE_H_

// The presence office: the presence table with a lock, the bus and this node's lease. It carries
// out what the table decides, one thing after the other in the table's order, by whichever thread
// comes first, and never while it holds the table's lock.
// Thread-safety: every call may be made from any thread; start() and stop() from one.
// Source: docs/reference/messages.md, "Presence".
#ifndef COUNTERSIGN_GATEWAY_PRESENCE_OFFICE_H_
#define COUNTERSIGN_GATEWAY_PRESENCE_OFFICE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/random.h"
#include "bus/bus.h"
#include "gateway/message_publisher.h"
#include "gateway/node_lease.h"
#include "gateway/presence_actions.h"
#include "gateway/presence_inquiry.h"
#include "gateway/presence_table.h"
#include "protocol/messaging_commands.h"
#include "storage/message_store.h"

namespace countersign::gateway {

/// Whose presence one may watch.
enum class PresenceMode : std::uint8_t { kContacts, kEverybody, kOff };

class PresenceOffice final : private NodeListener {
 public:
  /// Pushes to one connection; called on any thread.
  using Push = std::function<void(const std::string& key, const std::string& push)>;
  /// As MessageDesk's.
  using Reply = std::function<void(Result<std::string> frame)>;

  /// References outlive the office.
  PresenceOffice(PresenceMode mode, PresenceOptions options, storage::MessageStore& store,
                 bus::Bus& bus, MessagePublisher& publisher, const base::Clock& clock,
                 base::Random& random);
  ~PresenceOffice() override;
  PresenceOffice(const PresenceOffice&) = delete;
  PresenceOffice& operator=(const PresenceOffice&) = delete;

  void start();
  /// Idempotent. Subscriptions have ended afterwards.
  void stop();
  /// Does what has become due; about twice a second.
  void tick();
  void on_gap();
  /// Another node asks about a user.
  void on_query(const storage::UserKey& user);

  /// The connection's client is in.
  void connect(ConnectionId connection, const storage::UserKey& user, std::string_view device,
               Push push);
  /// Nothing if it was not in.
  void disconnect(ConnectionId connection, bool clean);
  void tell_again(ConnectionId connection);

  /// Answers `presence.watch` and `presence.unwatch`; blocks on the store. The reply takes its
  /// place among the pushes, so that none overtakes it whose news it does not hold. kNotAvailable
  /// if presence is off; kLimitExceeded, kOverloaded.
  void watch(ConnectionId connection, const storage::UserKey& user, std::uint32_t id,
             const protocol::WatchPresence& watch, Reply reply);
  /// What all nodes know of the user, see PresenceInquiry. `done` is called once, on any thread,
  /// and must not wait. kNotAvailable if presence is off; kOverloaded.
  void ask(const storage::UserKey& user, PresenceInquiry::Done done);
  /// The reply to `presence.set`. kNotAvailable.
  Result<std::string> set(ConnectionId connection, std::uint32_t id,
                          const protocol::SetPresence& set);

 private:
  // NodeListener
  void on_node_back(const std::string& node) override;
  void on_node_lost(const std::string& node) override;
  void on_bus_lost() override;
  void on_bus_back() override;

  /// One thing to be done: what the table decided, or an answer.
  using Work = std::variant<PresenceAction, std::function<void()>>;

  PresenceTime now() const { return {clock_.steady(), clock_.now()}; }
  /// Takes the actions of one call of the table, made under `lock`, and sees that they are done.
  void carry_out(PresenceActions actions, std::unique_lock<std::mutex>& lock);
  void work_off(std::unique_lock<std::mutex>& lock);
  void perform(const PresenceAction& action);
  static void perform(const std::function<void()>& answer) { answer(); }
  void perform(const PublishPresence& action);
  void perform(const QueryPresence& action);
  void perform(const SubscribePresence& action);
  void perform(const UnsubscribePresence& action);
  void perform(const PushPresence& action);
  void on_payload(const storage::UserKey& user, const std::string& payload);

  const PresenceMode mode_;
  storage::MessageStore& store_;
  bus::Bus& bus_;
  MessagePublisher& publisher_;
  const base::Clock& clock_;
  const std::string node_;
  std::mutex mutex_;  // of the table, the queue and the pushes
  PresenceTable table_;
  std::deque<Work> queue_;
  bool working_ = false;  // somebody carries out the queue
  bool stopped_ = false;
  std::unordered_map<ConnectionId, Push> pushes_;
  std::map<std::string, std::unique_ptr<bus::Subscription>> subscriptions_;  // the worker's
  NodeLease lease_;
  PresenceInquiry inquiry_;
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_PRESENCE_OFFICE_H_

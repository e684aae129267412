// What the parts of the classic gateway share.
// Thread-safety: as its members; the references outlive it.
#ifndef COUNTERSIGN_GATEWAY_CLASSIC_CLASSIC_CONTEXT_H_
#define COUNTERSIGN_GATEWAY_CLASSIC_CLASSIC_CONTEXT_H_

#include <atomic>
#include <functional>

#include "gateway/classic/classic_gateway.h"
#include "gateway/classic/classic_keys.h"
#include "gateway/classic/instance_book.h"
#include "gateway/classic/log_reader.h"
#include "gateway/classic/receipt_book.h"
#include "gateway/classic/transport_desk.h"
#include "gateway/outstanding_calls.h"
#include "gateway/send_budget.h"

namespace countersign::gateway::classic {

struct ClassicContext {
  explicit ClassicContext(const ClassicSetup& setup);

  bool fenced() const { return poller.fenced(clock.steady()); }
  Client client(const storage::Instance& instance) const {
    return {{instance.application_key, instance.identity}, instance.device, instance.id};
  }
  static storage::UserKey user(const storage::Instance& instance) {
    return {instance.application_key, instance.identity};
  }

  /// Makes sure that the device has its row in the store and its page in the receipt book.
  /// @param join  the mailroom has just been joined: see Messaging::attach().
  /// @param done  on a worker if it succeeded; on any thread otherwise.
  void open_device(const LiveInstance& instance, bool join,
                   std::function<void(Result<storage::Attached>)> done);
  /// Has the user's log tell what others have got since it was told last. Blocks: from a worker.
  Result<void> note_horizons(const storage::UserKey& user);
  /// Stores the device's cursor. kUnrecoverablePosition if the store is another one by now.
  void store(const LiveInstance& instance, const CursorMove& move,
             std::function<void(Result<void>)> done);

  const ClassicOptions options;
  storage::ClassicStore& classic;
  storage::MessageStore& messages;
  Messaging& messaging;
  RevocationPoller& poller;
  TaskQueue& tasks;
  const base::Clock& clock;
  const ClassicKeys keys;
  InstanceDesk desk;
  InstanceBook book;
  TransportDesk transports;
  LogReader reader;
  ReceiptBook receipts;
  SendBudget openings;  ///< by transport channel
  SendBudget requests;  ///< by instance
  OutstandingCalls calls;
  std::atomic<bool> shutting_down{false};
  base::Gauge& polls_gauge;
  base::Counter& polled;
  base::Counter& published;
  base::Counter& refused;
};

/// A judgement of the book, as the plane answers it: whatever ended the instance, its key is not
/// good any more.
ErrorCode plane_code(ErrorCode code);

}  // namespace countersign::gateway::classic

#endif  // COUNTERSIGN_GATEWAY_CLASSIC_CLASSIC_CONTEXT_H_

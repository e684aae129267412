// The publish desk: what classic clients publish, turned into messages and acknowledgements.
//
// A client publishes every frame once on each channel of its transport; the first one that is whole
// makes the message, for all members, and the others are repeats. What is answered is committed.
// Thread-safety: every call may be made from any thread.
// Source: docs/reference/classic-door.md, "Publishing".
#ifndef COUNTERSIGN_GATEWAY_CLASSIC_PUBLISH_DESK_H_
#define COUNTERSIGN_GATEWAY_CLASSIC_PUBLISH_DESK_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_set>

#include "countersign/result.h"

#include "gateway/classic/classic_context.h"
#include "protocol/classic_paths.h"
#include "protocol/mxp_frame.h"
#include "protocol/mxp_message.h"

namespace countersign::gateway::classic {

/// The newest of what was committed, so that a repeat need not ask the store.
class RecentFrames {
 public:
  explicit RecentFrames(std::size_t max) : max_(max) {}
  bool holds(const std::string& name);
  void add(const std::string& name);

 private:
  const std::size_t max_;
  std::mutex mutex_;
  std::unordered_set<std::string> names_;
  std::deque<const std::string*> order_;
};

class PublishDesk {
 public:
  using Done = std::function<void(Result<void>)>;

  explicit PublishDesk(ClassicContext& context);

  /// Takes the frame of a request whose keys are `publisher`'s. Blocks: from a worker.
  /// @param done  once, on any thread, when it is committed.
  void publish(const base::InstanceId& publisher, const protocol::ClassicPublish& request,
               const Done& done);

 private:
  struct Incoming;

  Result<void> check_sender(const Incoming& incoming, const protocol::MxpMessage& message) const;
  void open(std::shared_ptr<Incoming> incoming, std::string_view payload, const Done& done);
  void send(const std::shared_ptr<Incoming>& incoming, const protocol::MxpMessage& message,
            const Done& done);
  void acknowledge(const std::shared_ptr<Incoming>& incoming, const Done& done);
  void note_receipt(const std::shared_ptr<Incoming>& incoming, const Identity& sender,
                    const Done& done);

  ClassicContext& context_;
  RecentFrames recent_;
};

}  // namespace countersign::gateway::classic

#endif  // COUNTERSIGN_GATEWAY_CLASSIC_PUBLISH_DESK_H_

// The bus: short-lived news between the nodes of one installation, and inside one of them.
//
// A bus is a hint. Whatever it carries also stands in the store, or may be lost: a publication
// may be dropped, delayed or come twice. Who depends on one reads the store when the bus reports a
// gap, and now and then without one. Losing the bus costs latency, never a message.
//
// A subject is made of tokens of a-z and 0-9, joined by dots; subject_token() makes one out of
// anything, so that no name a person chose ever reaches a subject.
//
// Thread-safety: every call may be made from any thread. Handlers and listeners run on a thread of
// the bus (of the local bus: on a publisher's), one call at a time for each subscription; they must
// be quick, must not block, must not throw, and may publish, subscribe and unsubscribe. Destroying
// a Subscription waits for a handler of it that is running on another thread; none runs afterwards.
// So do not destroy one while you hold a lock that its handler takes. Subscriptions and Leases may
// outlive their bus, but are of no use then.
#ifndef COUNTERSIGN_BUS_BUS_H_
#define COUNTERSIGN_BUS_BUS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "countersign/result.h"

namespace countersign::bus {

/// What was published; shared, because many connections may get it.
using Payload = std::shared_ptr<const std::string>;
using Handler = std::function<void(const Payload& payload)>;

/// The longest payload a bus takes. Below the 1,048,576 bytes that a NATS server takes by default.
inline constexpr std::size_t kMaxPayloadBytes = 1'000'000;

/// Ends with its destruction.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

/// Keys with a life of their own, on which all nodes agree: who holds one, renews it.
/// A lease that is not renewed is gone after its time to live, which is the bucket's.
class Leases {
 public:
  virtual ~Leases() = default;

  /// Takes a key that nobody holds. kAlreadyExists if somebody does; kBusFailed (temporary) if the
  /// bus does not answer: it may have been taken all the same, and then ends by itself.
  /// kBadRequest if is_subject(key) is false.
  /// @return the revision, to be shown with the next change.
  virtual Result<std::uint64_t> acquire(std::string_view key, std::string_view value) = 0;
  /// Prolongs it, and may change its value: compare-and-set on the revision.
  /// kAbsent if it is gone or somebody else's by now; kBusFailed.
  virtual Result<std::uint64_t> renew(std::string_view key, std::string_view value,
                                      std::uint64_t revision) = 0;
  /// Gives it up. Success also if it was gone. kBusFailed.
  virtual Result<void> release(std::string_view key, std::uint64_t revision) = 0;
  /// All keys that are held, with their values. kBusFailed.
  virtual Result<std::map<std::string, std::string>> list() = 0;
};

class Bus {
 public:
  virtual ~Bus() = default;

  /// Hands the payload to every subscriber of the subject, on all nodes, this one included, in the
  /// order in which one thread publishes. Never blocks. kOverloaded if too much waits to be sent,
  /// kBusFailed if the bus is away, kBadRequest if is_subject(subject) is false or the payload has
  /// more than kMaxPayloadBytes: nothing was sent then. Success promises nothing.
  virtual Result<void> publish(std::string_view subject, std::string payload) = 0;
  /// Never blocks. kBadRequest if is_subject(subject) is false. While the bus is away a
  /// subscription is kept and made good when it is back.
  virtual Result<std::unique_ptr<Subscription>> subscribe(std::string_view subject,
                                                          Handler handler) = 0;
  /// Calls `done` once every subscription made before is in force, or with kBusFailed after 5 s at
  /// the latest (at once while the bus is away). Never blocks; `done` may be called before flush()
  /// returns. In a cluster the other servers hear of the subscription a moment later: read the
  /// store now, and again after 2 s.
  virtual void flush(std::function<void(Result<void>)> done) = 0;

  /// Hears that publications may have been missed by any subscription: the bus was away and is back
  /// (all subscriptions are in force again when this is called), or we were too slow for it, or
  /// another node's news did not get through. Called at least once after each such event; events
  /// close together may share a call. Set before the first subscription; nullptr ends it, and waits
  /// for a call that is running on another thread.
  virtual void on_gap(std::function<void()> listener) = 0;
  /// False while the bus is away. The local bus never is.
  virtual bool connected() const = 0;

  /// The leases of a bucket; made if it is not there. Keys live for `time_to_live` (1 s to 1 day)
  /// after their last acquire or renew; nodes that name different times agree on the latest asked
  /// for. This call and those on the leases block, up to 5 s: make them from a worker.
  /// kBadRequest if is_subject(bucket) is false, or the time is out of range. kBusFailed.
  virtual Result<std::unique_ptr<Leases>> leases(std::string_view bucket,
                                                 std::chrono::milliseconds time_to_live) = 0;
};

/// A subject token: lower-case base32 (RFC 4648, without padding) of the SHA-256 over the parts,
/// each preceded by its length as eight bytes, so that no two lists of parts look alike. 52
/// characters.
std::string subject_token(std::initializer_list<std::string_view> parts);

/// True for tokens of a-z, 0-9, joined by single dots, at most 255 bytes.
bool is_subject(std::string_view subject);

}  // namespace countersign::bus

#endif  // COUNTERSIGN_BUS_BUS_H_

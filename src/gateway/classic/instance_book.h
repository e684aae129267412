// The instance book: which instances are live, as far as this node has lately asked. Thousands of
// polls and publishes show a key each; the store is asked once a minute for each instance, and what
// is revoked meanwhile is struck out when the revocation poller hears of it.
//
// Ids of no instance are not remembered: a signed request names one before anybody knows who asks,
// and what strangers can fill must not grow.
// Thread-safety: every call may be made from any thread.
// Source: docs/reference/classic-door.md, "Keys".
#ifndef COUNTERSIGN_GATEWAY_CLASSIC_INSTANCE_BOOK_H_
#define COUNTERSIGN_GATEWAY_CLASSIC_INSTANCE_BOOK_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>

#include "countersign/result.h"

#include "base/clock.h"
#include "base/ids.h"
#include "gateway/instance_desk.h"
#include "storage/records.h"

namespace countersign::gateway::classic {

using LiveInstance = std::shared_ptr<const storage::Instance>;

/// Whether the row ends the instance.
bool ends(const storage::Revocation& revocation, const storage::Instance& instance);

class InstanceBook {
 public:
  struct Options {
    std::chrono::milliseconds fresh{60'000};    ///< how long an answer of the store holds
    std::chrono::milliseconds refused{10'000};  ///< how long a refusal holds
    std::size_t max_entries = 100'000;          ///< beyond it all are forgotten, and asked for anew
  };

  /// Both outlive the book.
  InstanceBook(Options options, InstanceDesk& desk, const base::Clock& clock);

  /// What is remembered; null: ask find().
  Result<LiveInstance> peek(const base::InstanceId& id);
  /// Asks the store, unless it is remembered; blocks. Never null.
  /// kAbsent, kRevoked, kInstanceExpired; those of the store.
  Result<LiveInstance> find(const base::InstanceId& id);

  void strike(std::span<const storage::Revocation> revocations);
  /// Revocations may have been missed.
  void strike_all();
  /// How many are remembered. For tests.
  std::size_t size();

 private:
  struct Entry {
    LiveInstance instance;  ///< null: refused
    ErrorCode refusal = ErrorCode::kInternal;
    base::SteadyTime until;
  };
  Result<LiveInstance> judge(const base::InstanceId& id);

  const Options options_;
  InstanceDesk& desk_;
  const base::Clock& clock_;
  std::mutex mutex_;
  std::uint64_t strikes_ = 0;
  std::unordered_map<base::InstanceId, Entry> entries_;
};

}  // namespace countersign::gateway::classic

#endif  // COUNTERSIGN_GATEWAY_CLASSIC_INSTANCE_BOOK_H_

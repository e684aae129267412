// The classic store: what the classic door must keep besides messages.
//
//   - Transports: sets of people who have asked for a common key, before their first message.
//   - Parts: pieces of a message that is not whole yet.
//   - The receipt log: receipts, which the inbox has only as horizons, in the order in which a
//     user's classic clients are told of them, interleaved with the user's inbox.
//
// Positions. Receipt number n of a user, written when their inbox ended at offset o, has position
// o + n; an inbox entry has its offset plus the number of receipts before it. So every position of
// a user is one entry or one receipt, a later one is never below an earlier one, and a client
// that stands at p has seen exactly the receipts with positions up to p, and the rest of p is its
// offset. A receipt is written while the inbox's head is locked: no entry comes in between.
//
// Every call blocks and is made from a worker. Errors of every call are those of store.h.
// Thread-safety: every call may be made from any thread. Source: docs/reference/classic-door.md.
#ifndef COUNTERSIGN_STORAGE_CLASSIC_STORE_H_
#define COUNTERSIGN_STORAGE_CLASSIC_STORE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

#include "storage/message_records.h"

namespace countersign::storage {

struct ClassicTransport {
  std::string application;
  std::string id;
  std::string conversation;       ///< of the message store, whether it exists yet or not
  std::vector<Identity> members;  ///< ordered by identity
  SystemTime time;                ///< when it was last asked for
  friend bool operator==(const ClassicTransport&, const ClassicTransport&) = default;
};

struct ClassicPart {
  InstanceId instance;
  std::string session;  ///< with `mark` it names the set
  std::string mark;
  std::uint32_t index = 0;
  std::uint32_t count = 1;
  std::string payload;
  SystemTime time;
};

struct ClassicPartLimits {
  std::size_t sets_of_instance = 16;
  std::size_t bytes_of_set = 64 * 1024;
  std::chrono::seconds idle{30};  ///< sets that get nothing for so long are dropped
};

/// How far a member of a conversation has got, as the log's user is to be told.
struct ClassicHorizon {
  std::string conversation;
  Identity member;
  std::int64_t seq = 0;
  friend bool operator==(const ClassicHorizon&, const ClassicHorizon&) = default;
};

struct ClassicReceipt {
  std::int64_t number = 0;
  std::int64_t position = 0;
  std::string conversation;
  Identity member;
  std::int64_t after = 0;  ///< the user was told up to this seq before
  std::int64_t seq = 0;    ///< and is told up to this one now
  friend bool operator==(const ClassicReceipt&, const ClassicReceipt&) = default;
};

/// What of the log lies after a position.
struct ClassicLogPage {
  std::int64_t before = 0;  ///< receipts at or before the position: the rest of it is the offset
  std::vector<ClassicReceipt> receipts;
};

class ClassicStore {
 public:
  virtual ~ClassicStore() = default;

  /// Inserts it, or notes that it was asked for again; the members of an id never change.
  virtual Result<void> put_transport(const ClassicTransport& transport) = 0;
  virtual Result<std::optional<ClassicTransport>> find_transport(std::string_view application,
                                                                 std::string_view id) = 0;
  /// For each user whether messages to them are taken: they have an inbox that was not erased.
  virtual Result<std::vector<bool>> have_inboxes(std::span<const UserKey> users) = 0;

  /// Keeps the part. A repeat changes nothing.
  /// @return the whole payload once all parts are there.
  /// kLimitExceeded: too many sets, or a set too large. kIdempotencyConflict: another part is in
  /// its place, or the set has another count.
  virtual Result<std::optional<std::string>> add_part(const ClassicPart& part,
                                                      const ClassicPartLimits& limits) = 0;
  /// The set has become a message.
  virtual Result<void> drop_parts(const InstanceId& instance, std::string_view session,
                                  std::string_view mark) = 0;

  /// Appends a receipt for each horizon that lies beyond what the user was told. With the user's
  /// first call the log begins and nothing is appended: nobody waits for what lies before.
  /// @return how many were appended; 0 for a user without an inbox.
  virtual Result<std::size_t> note_horizons(const UserKey& user,
                                            std::span<const ClassicHorizon> horizons,
                                            SystemTime now) = 0;
  /// At most `limit` receipts after `position`, in order.
  virtual Result<ClassicLogPage> read_log(const UserKey& user, std::int64_t position,
                                          std::size_t limit) = 0;
  /// The position of the inbox's `offset`: what comes after it in the inbox, and the receipts
  /// written since, come after it.
  virtual Result<std::int64_t> position_of(const UserKey& user, std::int64_t offset) = 0;

  /// Removes at most `limit` of what is older than `before`: receipts from the front of their logs,
  /// transports, and sets of parts idle since `idle_before`. Returns how many.
  virtual Result<std::size_t> remove_old(SystemTime before, SystemTime idle_before,
                                         std::size_t limit) = 0;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_CLASSIC_STORE_H_

// The callback store: what the team's own backend is still to be told, as an outbox.
//
// A row is written in the transaction of what it tells about, by the other stores of the same
// Store, so that neither happens without the other:
//   - MessageStore::accept() writes kMessageSent (not for a repeat, not for a change of a group),
//     acknowledge() kMessageDelivered for each delivered horizon that moves;
//   - an instance's creation writes kInstanceStarted; its end kInstanceEnded, whatever ended it:
//   its
//     client, its session, a revocation, its expiry.
// Rows of one user are told in order: the next one is due when the one before it has been taken or
// has gone to the dead letters.
//
// A full outbox fails nothing: the oldest waiting row is given up for the new one.
//
// Errors of every call are those of store.h. All calls block.
// Thread-safety: every call may be made from any thread. Source: docs/guides/callbacks.md.
#ifndef COUNTERSIGN_STORAGE_CALLBACK_STORE_H_
#define COUNTERSIGN_STORAGE_CALLBACK_STORE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "countersign/result.h"

#include "storage/message_records.h"

namespace countersign::storage {

/// What a callback tells. The numbers are stored.
enum class CallbackKind : std::uint8_t {
  kMessageSent = 1,       ///< `user` sent `message_id` in `conversation` at `seq`
  kMessageDelivered = 2,  ///< `user` got everything up to `seq` of `conversation`
  kInstanceStarted = 3,
  kInstanceEnded = 4,
};

struct Callback {
  std::int64_t id = 0;  ///< assigned by the store, growing within a user
  std::string key;      ///< unlike that of any other callback, also after a restore
  CallbackKind kind = CallbackKind::kMessageSent;
  UserKey user;
  std::string conversation;  ///< for messages
  std::int64_t seq = 0;      ///< for messages
  std::string message_id;    ///< the sender's `msg_id`, for kMessageSent
  std::string instance;      ///< for instances
  SystemTime time;           ///< of what it tells about
  std::uint32_t attempts = 0;
  std::string last_error;  ///< what the last attempt ended with, a fixed word or a status
  bool dead = false;       ///< given up; somebody may have it tried again
};

struct CallbackCounts {
  std::size_t waiting = 0;
  std::size_t dead = 0;
  std::size_t given_up = 0;          ///< for want of room, ever
  std::optional<SystemTime> oldest;  ///< of those that wait
};

class CallbackStore {
 public:
  virtual ~CallbackStore() = default;

  /// From now on rows are written, and at most `max_rows` wait and as many are dead: beyond that
  /// the oldest waiting row is given up (`outbox_full`), and the oldest dead one removed. 0, as in
  /// a new store: none is written. It holds for all who use the store, and stays.
  virtual Result<void> keep(std::size_t max_rows) = 0;
  /// The first waiting row of each of at most `limit` users, if it is due, put off to
  /// `leased_until` so that no other node takes it meanwhile. Longest due first.
  virtual Result<std::vector<Callback>> lease(SystemTime now, SystemTime leased_until,
                                              std::size_t limit) = 0;
  /// It was taken: the row goes, and the user's next one is due. Success also if it was gone.
  virtual Result<void> complete(std::int64_t id) = 0;
  /// It was not: tried again at `next`, or `dead`. Success also if it was gone.
  virtual Result<void> fail(std::int64_t id, SystemTime next, bool dead,
                            std::string_view error) = 0;
  /// Dead rows, oldest first, with ids above `after`.
  virtual Result<std::vector<Callback>> list_dead(std::int64_t after, std::size_t limit) = 0;
  /// Makes dead rows wait again, all of them or one, as if they had never been tried; each user's
  /// in their old order. What there is no room for stays dead. Returns how many.
  virtual Result<std::size_t> replay(std::optional<std::int64_t> id) = 0;
  /// Gives up (`too_old`) waiting rows older than `before`; removes dead ones older than
  /// `dead_before`. At most `limit`, oldest first; returns how many went.
  virtual Result<std::size_t> remove_old(SystemTime before, SystemTime dead_before,
                                         std::size_t limit) = 0;
  virtual Result<CallbackCounts> count() = 0;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_CALLBACK_STORE_H_

// Deliberate faults of the message store, which its tests must notice. Never outside of tests.
// Thread-safety: set before the store is opened.
#ifndef COUNTERSIGN_STORAGE_SQLITE_MESSAGE_MUTANTS_H_
#define COUNTERSIGN_STORAGE_SQLITE_MESSAGE_MUTANTS_H_

#include <functional>

namespace countersign::storage {

struct MessageMutants {
  bool acknowledge_before_commit = false;  ///< accept() answers before its transaction commits
  bool reuse_offsets = false;           ///< the top is that of the entries there are, no head row
  bool dedupe_by_msg_id_alone = false;  ///< the sender does not count
  bool read_in_two_steps = false;       ///< read_inbox() reads head and entries apart
  bool keep_epoch = false;              ///< a restore keeps the epoch; chains are not checked
  bool fan_out_in_memory = false;       ///< jobs do not survive a restart
  bool parts_in_memory = false;         ///< nor do parts of messages that are not whole yet
  /// Called between the two steps of `read_in_two_steps`.
  std::function<void()> between_steps;
};

}  // namespace countersign::storage

#endif  // COUNTERSIGN_STORAGE_SQLITE_MESSAGE_MUTANTS_H_

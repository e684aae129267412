// The simulation of messages: two nodes of the gateway, real but for their sockets, threads, store,
// bus and clock, with clients that send, listen, acknowledge, die and come back, driven through a
// random schedule of everything that can happen. A run is decided by its seed alone.
//
// It checks what docs/reference/messages.md promises:
//   - what was acknowledged to its sender stands in the inbox of every recipient, unless the store
//     was restored since;
//   - what was accepted into a group stands in the inbox of everybody who was a member then, once,
//     and of nobody else, whoever has been added, removed or blocked meanwhile; only members send;
//   - a conversation has one order, the same for everybody, without a hole; a message is the same
//     for all who see it, and whole on the other devices of its sender;
//   - receipts count only people who were members and to whom it was shown, and as readers only
//     those whose clients said so;
//   - every device that is connected in the end has been given exactly the entries that stand in
//     its user's inbox, offset by offset, from the last place that it was told of on: so
//     `recovered:true` hides no hole, and nothing is lost, replaced or shown to somebody else;
//   - what a device has handled, and noted, does not come again unless it was told so;
//   - within one push and from push to push, offsets follow each other without a hole;
//   - the cursor never passes what was pushed to the device;
//   - every command gets exactly one reply, and nothing is sent after a close;
//   - with no news from outside, everything comes to rest.
// A mutant is a way of being wrong that somebody could write; the checks must notice each.
#ifndef COUNTERSIGN_GATEWAY_MESSAGE_SIMULATION_H_
#define COUNTERSIGN_GATEWAY_MESSAGE_SIMULATION_H_

#include <cstdint>
#include <optional>
#include <string>

namespace countersign::gateway {

enum class MessageMutant {
  kNone,
  kAcknowledgeBeforeCommit,  ///< the reply to `send` does not wait for the commit
  kSequenceOffsets,          ///< offsets from a sequence: a failed commit leaves a hole
  kTwoStatementResume,       ///< floor and entries are read apart, and nobody looks again
  kRestoreUnnoticed,         ///< a restored store keeps its epoch, and no chain is compared
  kDedupeByIdAlone,          ///< two senders may not use the same msg_id
  kNeverReadAgain,           ///< what the bus loses, nobody looks for
  kOffsetReused,             ///< an inbox that was emptied begins anew
  kSubjectTrusted,           ///< whatever comes under a user's subject is the user's
  kFanOutToMembersOfNow,     ///< a job writes to those who are members when it is worked off
  kRemovedStillServed,       ///< who was removed still gets what is sent
  kRemovedMaySend,           ///< who was removed may still send
  kNoCarbonInGroups,         ///< the sender's other devices get nothing
  kFanOutOvertaken,          ///< what is written at once passes what a job still owes
  kCountsMembersOfNow,       ///< receipts are counted among the members of now
  kBlocksIgnoredInGroups,    ///< who is blocked is shown all the same
  kReadsWhatIsDelivered,     ///< a delivery counts as read
};

/// Runs one schedule.
/// @return what went wrong, in a sentence; nullopt if nothing did.
std::optional<std::string> run_message_schedule(std::uint64_t seed,
                                                MessageMutant mutant = MessageMutant::kNone);

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_MESSAGE_SIMULATION_H_

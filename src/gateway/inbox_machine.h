// The inbox machine: what a connection that asked for its inbox decides about it, as a pure state
// machine. It keeps where the client stands and says what to read, push and store.
//
// An entry that the bus brings is pushed only if it is the next one, of the store's present epoch,
// and its chain follows from ours; whatever else is heard, or not heard, ends in reading the store
// from where the client stands. So a bus that loses, repeats or reorders costs a read, and the
// client's check is `offset == last + 1`.
//
//     pushed (base, last] = the window: at most 128 entries and 128 KiB; `ack` moves the base
//     last < top, or news ──▶ ReadInbox ──▶ push ──▶ … until last == top
//     the page does not follow ──▶ AttachInbox ──▶ go on, or push `reset`
//
// Nothing is queued for a slow reader: beyond half of what may wait for it the machine stops
// reading, and goes on from `last` when there is room again. While pushes are held (the node is
// fenced, or the instance has expired) it does the same; the caller says so with Moment::fenced.
//
// Every command gets exactly one reply. Thread-safety: none; lives on one shard.
// Source: docs/reference/messages.md.
#ifndef COUNTERSIGN_GATEWAY_INBOX_MACHINE_H_
#define COUNTERSIGN_GATEWAY_INBOX_MACHINE_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "countersign/result.h"

#include "base/clock.h"
#include "gateway/actions.h"
#include "gateway/loose_queue.h"
#include "gateway/moment.h"
#include "protocol/messaging_commands.h"
#include "protocol/user_event.h"
#include "storage/message_records.h"

namespace countersign::gateway {

/// The numbers. One object for all connections; outlives them.
struct InboxConfig {
  std::size_t window_entries = 128;
  std::size_t window_bytes = 128 * 1024;
  std::size_t frame_bytes = 32 * 1024;        ///< entries of one push, unless one alone is larger
  std::size_t max_queued_bytes = 256 * 1024;  ///< beyond half of it nothing more is read
  std::size_t max_in_flight = 64;             ///< commands of one connection that wait
  std::size_t max_heavy_in_flight = 2;        ///< of those whose answer is long
  std::chrono::milliseconds second_read{2'000};  ///< after attaching: the bus was just joined
  std::chrono::milliseconds retry{500};          ///< of a read that failed
  std::chrono::milliseconds recheck{100};        ///< while there is no room for the client
  std::chrono::milliseconds slow_after{10'000};  ///< over max_queued_bytes: cut
  std::chrono::milliseconds operation_timeout{10'000};
  std::chrono::milliseconds retry_after{1'000};  ///< with temporary refusals
  LooseLimits loose;
  bool trust_pages = false;  ///< a fault that the simulation must notice; never otherwise
};

class InboxMachine {
 public:
  /// The client is told where it stands in the reply to `connect`; call start() after that reply.
  /// @param news  something was heard while the store was asked: read at once.
  InboxMachine(const InboxConfig& config, const storage::Attached& attached, bool news, Moment now);

  void start(Moment now, Actions& out);

  // Commands.
  void ack(std::uint32_t id, const protocol::Ack& ack, Moment now, Actions& out);
  void sync(std::uint32_t id, protocol::Sync& sync, Moment now, Actions& out);
  void ask(std::uint32_t id, MessagingRequest request, Moment now, Actions& out);

  // Outcomes.
  void on_attached(Result<storage::Attached> attached, Moment now, Actions& out);
  /// @param device  of this connection: what it sent itself comes as a stub.
  void on_page(const Result<storage::InboxPage>& page, std::string_view device, Moment now,
               Actions& out);
  /// @return the cursor as the store has it now.
  void on_acknowledged(const Result<std::int64_t>& cursor, Moment now, Actions& out);
  /// The whole reply, or why there is none.
  void on_answered(std::uint32_t id, Result<std::string> frame, Moment now, Actions& out);

  // News of the user's other doings.
  void on_entry(const protocol::EntryEvent& entry, std::string_view device, Moment now,
                Actions& out);
  /// Something may have happened: read.
  void on_news(Moment now, Actions& out);
  /// The store's top, as somebody read it: read if it is not ours.
  void on_top(std::int64_t top, Moment now, Actions& out);
  /// A push that may be lost. Of those of one key the newest counts.
  /// @param key  names what the push is about, within its kind.
  void on_loose(LooseQueue::Kind kind, std::string_view key, std::string push, Moment now,
                Actions& out);

  void on_timer(Moment now, Actions& out);
  /// Tells the client the top; with every fourth ping.
  void tell_top(Moment now, Actions& out);
  /// The connection closes: whoever waits hears this code. Nothing is answered afterwards.
  void fail_all(ErrorCode code, Actions& out);

  /// More than max_queued_bytes waited for `slow_after`.
  bool too_slow(Moment now) const { return now.steady >= slow_at_; }
  base::SteadyTime next_deadline() const;

  const std::string& epoch() const { return epoch_; }
  std::int64_t last() const { return last_; }
  std::size_t in_flight() const { return waiting_.size(); }
  /// Entries pushed since the last call.
  std::uint32_t take_pushed() { return std::exchange(pushed_, 0); }

 private:
  enum class Reading : std::uint8_t { kNothing, kPage, kPlace, kSync };
  struct Waiting {
    std::uint32_t id = 0;
    bool heavy = false;
    base::SteadyTime deadline;
  };

  void pump(Moment now, Actions& out);
  void watch_room(Moment now);
  bool congested(Moment now) const { return now.queued_bytes > config_.max_queued_bytes / 2; }
  bool window_full() const;
  bool may_wait(std::uint32_t id, bool heavy, Moment now, Actions& out);
  void wait_for(std::uint32_t id, bool heavy, Moment now);
  bool done_waiting(std::uint32_t id);
  void stand_at(const storage::Attached& attached);
  void note_pushed(std::int64_t offset, std::string_view chain, std::size_t bytes);
  void free_window(std::int64_t offset);
  void ask_place(Moment now, Actions& out);
  void read_failed(Moment now);
  bool follows(const storage::InboxPage& page) const;
  void push_entries(const storage::InboxPage& page, std::string_view device, Actions& out);
  void store_ack(std::int64_t offset, Actions& out);
  void push_loose(Moment now, Actions& out);
  void reply_error(std::uint32_t id, ErrorCode code, Actions& out) const;

  const InboxConfig& config_;
  std::string epoch_;
  std::string chain_;                          // at last_
  std::int64_t last_ = 0;                      // pushed
  std::int64_t base_ = 0;                      // handled, as the client says
  std::int64_t top_ = 0;                       // highest heard of
  std::int64_t heard_ = 0;                     // highest heard of since the read under way began
  std::int64_t cursor_ = 0;                    // stored
  std::int64_t ack_stored_ = 0;                // of the StoreAck under way; 0: none
  std::int64_t ack_next_ = 0;                  // to be stored after it
  std::vector<std::uint32_t> acks_under_way_;  // ids
  std::vector<std::uint32_t> acks_next_;
  std::vector<std::uint32_t> window_;  // bytes of the entries base_ + 1, base_ + 2, …
  std::size_t window_sum_ = 0;
  std::vector<Waiting> waiting_;  // in order of their deadlines
  LooseQueue loose_;
  std::optional<protocol::ClientPosition> sync_;  // wanted, once the read under way has ended
  std::uint32_t sync_id_ = 0;
  std::uint32_t pushed_ = 0;
  base::SteadyTime second_read_ = base::SteadyTime::max();
  base::SteadyTime not_before_ = base::SteadyTime::min();  // of the next read
  base::SteadyTime recheck_ = base::SteadyTime::max();
  base::SteadyTime slow_at_ = base::SteadyTime::max();
  Reading reading_ = Reading::kNothing;
  bool dirty_ = false;      // read, whatever top_ says
  bool astray_ = false;     // the last page did not follow although the place was right
  bool recovered_ = false;  // the client showed that it has handled up to base_
};

}  // namespace countersign::gateway

#endif  // COUNTERSIGN_GATEWAY_INBOX_MACHINE_H_

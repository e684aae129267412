#include "gateway/inbox_machine.h"

#include <algorithm>
#include <utility>

#include "gateway/inbox_text.h"
#include "protocol/inbox_messages.h"
#include "protocol/server_messages.h"
#include "storage/message_ids.h"

namespace countersign::gateway {
namespace {

constexpr base::SteadyTime kNever = base::SteadyTime::max();

// Commands whose answers may be long.
bool is_heavy(const MessagingRequest& request) {
  return std::holds_alternative<protocol::History>(request) ||
         std::holds_alternative<protocol::ListConversations>(request) ||
         std::holds_alternative<protocol::FindConversation>(request) ||
         std::holds_alternative<protocol::ListMembers>(request) ||
         std::holds_alternative<protocol::ListBlocked>(request) ||
         std::holds_alternative<protocol::WatchPresence>(request);
}

}  // namespace

InboxMachine::InboxMachine(const InboxConfig& config, const storage::Attached& attached, bool news,
                           Moment now)
    : config_(config),
      loose_(config.loose),
      second_read_(now.steady + config.second_read),
      dirty_(news) {
  stand_at(attached);
  recovered_ = attached.reason == storage::Attached::Reason::kNone;
}

void InboxMachine::start(Moment now, Actions& out) {
  // A client that has handled more than it could acknowledge has said so with its position.
  if (recovered_ && base_ > cursor_) store_ack(base_, out);
  pump(now, out);
}

// The stream goes on after attached.from.
void InboxMachine::stand_at(const storage::Attached& attached) {
  epoch_ = attached.epoch;
  last_ = base_ = attached.from;
  chain_ = attached.from_chain;
  cursor_ = attached.cursor;
  top_ = std::max(attached.top, heard_);
  window_.clear();
  window_sum_ = 0;
  // What was to be acknowledged was a place in the stream before.
  ack_next_ = 0;
  acks_under_way_.insert(acks_under_way_.end(), acks_next_.begin(), acks_next_.end());
  acks_next_.clear();
}

// Commands.

void InboxMachine::ack(std::uint32_t id, const protocol::Ack& ack, Moment now, Actions& out) {
  if (ack.epoch != epoch_) return reply_error(id, ErrorCode::kUnrecoverablePosition, out);
  if (ack.offset > last_) return reply_error(id, ErrorCode::kBadRequest, out);
  free_window(ack.offset);
  if (ack.offset <= cursor_) {
    out.push_back(SendFrame{protocol::encode_ack_reply(id, cursor_)});
  } else if (may_wait(id, false, now, out)) {
    wait_for(id, false, now);
    if (ack_stored_ != 0 && ack.offset <= ack_stored_) {
      acks_under_way_.push_back(id);
    } else {
      acks_next_.push_back(id);
      store_ack(ack.offset, out);
    }
  }
  pump(now, out);
}

// Newer ones wait for the one under way and become one.
void InboxMachine::store_ack(std::int64_t offset, Actions& out) {
  ack_next_ = std::max(ack_next_, offset);
  if (ack_stored_ != 0) return;
  ack_stored_ = std::exchange(ack_next_, 0);
  acks_under_way_ = std::exchange(acks_next_, {});
  out.push_back(StoreAck{epoch_, ack_stored_});
}

void InboxMachine::on_acknowledged(const Result<std::int64_t>& cursor, Moment now, Actions& out) {
  ack_stored_ = 0;
  if (cursor) cursor_ = std::max(cursor_, *cursor);
  for (const std::uint32_t id : std::exchange(acks_under_way_, {})) {
    if (!done_waiting(id)) continue;
    if (cursor) {
      out.push_back(SendFrame{protocol::encode_ack_reply(id, *cursor)});
    } else {
      // The store does not know the device any more: as after a restore, it has to attach anew.
      const bool gone = cursor.code() == ErrorCode::kAbsent;
      reply_error(id, gone ? ErrorCode::kUnrecoverablePosition : cursor.code(), out);
    }
  }
  if (!cursor &&
      (cursor.code() == ErrorCode::kAbsent || cursor.code() == ErrorCode::kUnrecoverablePosition)) {
    ask_place(now, out);
  }
  if (ack_next_ != 0) store_ack(ack_next_, out);
  pump(now, out);
}

void InboxMachine::sync(std::uint32_t id, protocol::Sync& sync, Moment now, Actions& out) {
  if (now.fenced) return reply_error(id, ErrorCode::kOverloaded, out);
  if (sync_id_ != 0) return reply_error(id, ErrorCode::kBadState, out);
  if (!may_wait(id, false, now, out)) return;
  wait_for(id, false, now);
  sync_id_ = id;
  sync_ = std::move(sync.position);
  pump(now, out);
}

void InboxMachine::ask(std::uint32_t id, MessagingRequest request, Moment now, Actions& out) {
  if (now.fenced) return reply_error(id, ErrorCode::kOverloaded, out);
  const bool heavy = is_heavy(request);
  if (!may_wait(id, heavy, now, out)) return;
  wait_for(id, heavy, now);
  out.push_back(Ask{id, std::move(request)});
}

void InboxMachine::on_answered(std::uint32_t id, Result<std::string> frame, Moment now,
                               Actions& out) {
  const auto heavy = std::find_if(waiting_.begin(), waiting_.end(),
                                  [id](const Waiting& waiting) { return waiting.id == id; });
  if (heavy == waiting_.end()) return;  // its time was over
  const bool shows_messages = heavy->heavy;
  waiting_.erase(heavy);
  if (!frame) {
    reply_error(id, frame.code(), out);
  } else if (shows_messages && now.fenced) {
    reply_error(id, ErrorCode::kOverloaded, out);
  } else {
    out.push_back(SendFrame{*std::move(frame)});
  }
  watch_room(now);
}

// Reading.

// Does whatever is to be done next. Every event ends here.
void InboxMachine::pump(Moment now, Actions& out) {
  watch_room(now);
  if (reading_ != Reading::kNothing) return;
  if (sync_) {
    reading_ = Reading::kSync;
    heard_ = 0;
    dirty_ = false;
    out.push_back(AttachInbox{std::exchange(sync_, std::nullopt)});
    return;
  }
  if (!dirty_ && top_ <= last_) return;
  if (window_full()) return;  // the next ack brings us back
  if (now.steady < not_before_) return;
  not_before_ = base::SteadyTime::min();
  if (now.fenced || congested(now)) {
    recheck_ = std::min(recheck_, now.steady + config_.recheck);
    return;
  }
  reading_ = Reading::kPage;
  heard_ = 0;
  dirty_ = false;
  out.push_back(ReadInbox{last_, config_.window_entries - window_.size(),
                          config_.window_bytes - window_sum_});
}

void InboxMachine::on_page(const Result<storage::InboxPage>& page, std::string_view device,
                           Moment now, Actions& out) {
  if (reading_ != Reading::kPage) return;
  reading_ = Reading::kNothing;
  if (sync_) return pump(now, out);  // the client wants another place
  if (!page) {
    read_failed(now);
  } else if (now.fenced) {
    dirty_ = true;
  } else if (!follows(*page)) {
    if (!std::exchange(astray_, !astray_)) return ask_place(now, out);
    read_failed(now);  // it has just told us another place: not in a busy loop
  } else {
    astray_ = false;
    push_entries(*page, device, out);
    top_ = std::max(page->top, heard_);
  }
  pump(now, out);
}

// The page is of our stream and goes on where we are.
bool InboxMachine::follows(const storage::InboxPage& page) const {
  if (page.epoch != epoch_ || page.top < last_) return false;
  if (config_.trust_pages) return true;
  if (page.floor > last_) return false;
  return page.entries.empty() ? page.top <= last_ : page.entries.front().offset == last_ + 1;
}

void InboxMachine::push_entries(const storage::InboxPage& page, std::string_view device,
                                Actions& out) {
  std::vector<std::string> texts;
  std::size_t bytes = 0;
  const auto push = [&] {
    if (texts.empty()) return;
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    out.push_back(SendFrame{protocol::encode_inbox_push(epoch_, views)});
    texts.clear();
    bytes = 0;
  };
  for (const storage::Entry& entry : page.entries) {
    if (entry.offset != last_ + 1 && !config_.trust_pages) break;
    std::string text = entry_text(entry, device);
    if (bytes + text.size() > config_.frame_bytes) push();
    note_pushed(entry.offset, entry.chain, text.size());
    bytes += text.size();
    texts.push_back(std::move(text));
  }
  push();
}

void InboxMachine::read_failed(Moment now) {
  dirty_ = true;
  not_before_ = now.steady + config_.retry;
}

// The stream does not go on where we are: ask where it does.
void InboxMachine::ask_place(Moment now, Actions& out) {
  if (reading_ != Reading::kNothing || sync_) {
    dirty_ = true;
    return pump(now, out);
  }
  reading_ = Reading::kPlace;
  heard_ = 0;
  dirty_ = false;
  out.push_back(AttachInbox{protocol::ClientPosition{epoch_, last_, chain_}});
}

void InboxMachine::on_attached(Result<storage::Attached> attached, Moment now, Actions& out) {
  const Reading reading = std::exchange(reading_, Reading::kNothing);
  if (reading == Reading::kSync) {
    const std::uint32_t id = std::exchange(sync_id_, 0);
    const bool waits = done_waiting(id);
    if (waits && attached && !now.fenced) {
      stand_at(*attached);
      out.push_back(SendFrame{protocol::encode_sync_reply(id, inbox_state(*attached))});
    } else {
      // The client has been told that nothing came of it: it stands where it stood, and the next
      // page shows whether that still holds.
      dirty_ = true;
      if (waits) reply_error(id, attached ? ErrorCode::kOverloaded : attached.code(), out);
    }
  } else if (!attached) {
    read_failed(now);
  } else if (attached->reason == storage::Attached::Reason::kNone && attached->epoch == epoch_ &&
             attached->from == last_) {
    dirty_ = true;
    if (astray_) not_before_ = now.steady + config_.retry;
  } else if (now.fenced) {
    dirty_ = true;
  } else {
    auto reason = reset_reason(attached->reason);
    if (reason == protocol::ResetReason::kNone) reason = protocol::ResetReason::kEpoch;
    stand_at(*attached);
    astray_ = false;
    out.push_back(
        SendFrame{protocol::encode_reset_push(reason, epoch_, last_, chain_, attached->top)});
  }
  pump(now, out);
}

// News.

void InboxMachine::on_entry(const protocol::EntryEvent& entry, std::string_view device, Moment now,
                            Actions& out) {
  heard_ = std::max(heard_, entry.offset);
  top_ = std::max(top_, entry.offset);
  const bool next = entry.offset == last_ + 1 && !entry.id.empty() && entry.epoch == epoch_ &&
                    storage::next_chain(chain_, entry.id, entry.offset) == entry.chain;
  const bool ready = reading_ == Reading::kNothing && !dirty_ && !sync_ && !now.fenced &&
                     !congested(now) && !window_full();
  if (next && ready) {
    const bool own = !entry.stub.empty() && entry.device == device;
    const std::string& text = own ? entry.stub : entry.entry;
    const std::string_view view = text;
    note_pushed(entry.offset, entry.chain, text.size());
    out.push_back(SendFrame{protocol::encode_inbox_push(epoch_, {&view, 1})});
  } else if (entry.offset > last_ ? entry.offset == last_ + 1 && !next
                                  : entry.offset == last_ && entry.chain != chain_) {
    dirty_ = true;  // not ours to judge: what stands in the store counts
  }
  pump(now, out);
}

void InboxMachine::on_news(Moment now, Actions& out) {
  dirty_ = true;
  pump(now, out);
}

void InboxMachine::on_top(std::int64_t top, Moment now, Actions& out) {
  if (top < last_) dirty_ = true;
  heard_ = std::max(heard_, top);
  top_ = std::max(top_, top);
  pump(now, out);
}

void InboxMachine::on_loose(LooseQueue::Kind kind, std::string_view key, std::string push,
                            Moment now, Actions& out) {
  loose_.put(kind, key, std::move(push), now.steady);
  push_loose(now, out);
  watch_room(now);
}

void InboxMachine::push_loose(Moment now, Actions& out) {
  if (now.fenced) return;
  std::size_t queued = now.queued_bytes;
  while (auto push = loose_.next(queued, now.steady)) {
    queued += push->size();
    out.push_back(SendFrame{*std::move(push)});
  }
  if (loose_.take_lost_presence(queued)) out.push_back(TellPresenceAgain{});
}

// Time.

// Looks again soon while the client leaves unread what waits for it.
void InboxMachine::watch_room(Moment now) {
  if (now.queued_bytes <= config_.max_queued_bytes) {
    slow_at_ = kNever;
  } else if (slow_at_ == kNever) {
    slow_at_ = now.steady + config_.slow_after;
  }
  if (slow_at_ != kNever || loose_.waiting()) {
    recheck_ = std::min(recheck_, now.steady + config_.recheck);
  }
}

void InboxMachine::on_timer(Moment now, Actions& out) {
  while (!waiting_.empty() && now.steady >= waiting_.front().deadline) {
    const std::uint32_t id = waiting_.front().id;
    waiting_.erase(waiting_.begin());
    reply_error(id, ErrorCode::kInternal, out);
  }
  if (now.steady >= second_read_) {
    second_read_ = kNever;
    dirty_ = true;
  }
  if (now.steady >= recheck_) recheck_ = kNever;
  push_loose(now, out);
  pump(now, out);
}

void InboxMachine::tell_top(Moment now, Actions& out) {
  if (!now.fenced) out.push_back(SendFrame{protocol::encode_top_push(epoch_, top_)});
}

base::SteadyTime InboxMachine::next_deadline() const {
  base::SteadyTime next = std::min({second_read_, recheck_, slow_at_});
  if (!waiting_.empty()) next = std::min(next, waiting_.front().deadline);
  const bool wants_read = dirty_ && reading_ == Reading::kNothing && !window_full();
  if (wants_read && not_before_ != base::SteadyTime::min()) next = std::min(next, not_before_);
  return next;
}

void InboxMachine::fail_all(ErrorCode code, Actions& out) {
  for (const Waiting& waiting : std::exchange(waiting_, {})) reply_error(waiting.id, code, out);
  sync_id_ = 0;
  sync_.reset();
}

// Small parts.

bool InboxMachine::window_full() const {
  return window_.size() >= config_.window_entries || window_sum_ >= config_.window_bytes;
}

void InboxMachine::note_pushed(std::int64_t offset, std::string_view chain, std::size_t bytes) {
  last_ = offset;
  chain_ = chain;
  window_.push_back(static_cast<std::uint32_t>(bytes));
  window_sum_ += bytes;
  ++pushed_;
}

void InboxMachine::free_window(std::int64_t offset) {
  const auto handled = static_cast<std::ptrdiff_t>(std::max<std::int64_t>(0, offset - base_));
  for (std::ptrdiff_t i = 0; i < handled; ++i) window_sum_ -= window_[static_cast<std::size_t>(i)];
  window_.erase(window_.begin(), window_.begin() + handled);
  if (window_.empty()) window_.shrink_to_fit();
  base_ = std::max(base_, offset);
}

// False: it was answered, because too many wait already.
bool InboxMachine::may_wait(std::uint32_t id, bool heavy, Moment now, Actions& out) {
  const auto heavy_ones = static_cast<std::size_t>(std::count_if(
      waiting_.begin(), waiting_.end(), [](const Waiting& waiting) { return waiting.heavy; }));
  const bool room = waiting_.size() < config_.max_in_flight &&
                    (!heavy || (heavy_ones < config_.max_heavy_in_flight && !congested(now)));
  if (!room) reply_error(id, ErrorCode::kTooManyRequests, out);
  return room;
}

void InboxMachine::wait_for(std::uint32_t id, bool heavy, Moment now) {
  waiting_.push_back({id, heavy, now.steady + config_.operation_timeout});
}

bool InboxMachine::done_waiting(std::uint32_t id) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [id](const Waiting& waiting) { return waiting.id == id; });
  if (found == waiting_.end()) return false;
  waiting_.erase(found);
  return true;
}

void InboxMachine::reply_error(std::uint32_t id, ErrorCode code, Actions& out) const {
  const ErrorCode outside = protocol::gateway_code(code);
  std::optional<std::chrono::milliseconds> retry_after;
  if (outside == ErrorCode::kOverloaded || outside == ErrorCode::kTooManyRequests) {
    retry_after = config_.retry_after;
  }
  out.push_back(SendFrame{protocol::encode_error(id, code, retry_after)});
}

}  // namespace countersign::gateway

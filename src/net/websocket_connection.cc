#include "net/websocket_connection.h"

#include <exception>
#include <utility>

#include <boost/asio/post.hpp>

#include "base/log.h"
#include "net/shard_impl.h"

namespace countersign::net {
namespace {

using Status = Stream::Status;

/// Reads in a row before others get their turn.
constexpr int kReadsPerTurn = 4;

}  // namespace

void WebSocketConnection::HandlerTimer::on_expired() {
  const auto self = owner_.shared_from_this();
  owner_.with_handler([](gateway::ChannelHandler& handler) { handler.on_timer(); });
}

void WebSocketConnection::Deadline::on_expired() { owner_.on_deadline(); }

WebSocketConnection::WebSocketConnection(ShardImpl& shard, Stream stream, Admission admission,
                                         WebSocketDoor::Accept accept)
    : shard_(shard),
      stream_(std::move(stream)),
      admission_(std::move(admission)),
      handler_(std::move(accept.handler)),
      decoder_(accept.max_frame_bytes),
      max_queued_bytes_(static_cast<std::uint32_t>(accept.max_queued_bytes)) {
  shard_.connections().push_back(*this);
  shard_.server().metrics.websockets.add(1);
}

WebSocketConnection::~WebSocketConnection() {
  shard_.server().metrics.websockets.add(-1);
  shard_.note_closed();
}

void WebSocketConnection::serve(ShardImpl& shard, Stream stream, Admission admission,
                                WebSocketDoor::Accept accept, std::span<char> early) {
  const auto self = std::make_shared<WebSocketConnection>(shard, std::move(stream),
                                                          std::move(admission), std::move(accept));
  self->with_handler([&](gateway::ChannelHandler& handler) { handler.on_open(*self); });
  if (!early.empty()) self->process(early);
  self->on_readable();  // TLS may hold bytes already
}

void WebSocketConnection::refuse(ShardImpl& shard, Stream stream, Admission admission,
                                 CloseCode code) {
  const auto self = std::make_shared<WebSocketConnection>(
      shard, std::move(stream), std::move(admission), WebSocketDoor::Accept());
  self->close(code);
  self->on_readable();
}

base::Executor& WebSocketConnection::shard() { return shard_; }

template <class Call>
void WebSocketConnection::with_handler(Call call) {
  if (handler_ == nullptr || phase_ == Phase::kEnded) return;
  const bool outermost = !std::exchange(corked_, true);
  try {
    call(*handler_);
  } catch (const std::exception& escaped) {
    base::log_error("channel_handler_failed", {{"what", escaped.what()}});
    close(CloseCode::kServerError);
  }
  if (outermost) {
    corked_ = false;
    flush_soon();
  }
}

void WebSocketConnection::set_timer(std::optional<base::SteadyTime> when) {
  if (phase_ == Phase::kEnded || !when) {
    shard_.timers().disarm(handler_timer_);
  } else {
    shard_.timers().arm(handler_timer_, *when);
  }
}

void WebSocketConnection::wait_readable() {
  stream_.wait(Status::kWantRead, [self = shared_from_this()](boost::system::error_code error) {
    if (self->phase_ == Phase::kEnded) return;
    error ? self->end() : self->on_readable();
  });
}

void WebSocketConnection::wait_writable() {
  if (std::exchange(waiting_writable_, true)) return;
  stream_.wait(Status::kWantWrite, [self = shared_from_this()](boost::system::error_code error) {
    self->waiting_writable_ = false;
    if (self->phase_ == Phase::kEnded) return;
    if (error) {
      self->end();
      return;
    }
    if (std::exchange(self->read_wants_write_, false)) self->on_readable();
    self->flush();
  });
}

void WebSocketConnection::on_readable() {
  for (int turn = 0; phase_ != Phase::kEnded && !ending_; ++turn) {
    if (turn == kReadsPerTurn && !stream_.has_pending()) break;
    const auto buffer = shard_.read_buffer();
    std::size_t got = 0;
    const Status status =
        fin_sent_ ? stream_.discard_some(buffer, got) : stream_.read_some(buffer, got);
    if (status == Status::kClosed) {
      end();
      return;
    }
    if (status == Status::kWantWrite) {
      read_wants_write_ = true;
      wait_writable();
      return;
    }
    if (status == Status::kWantRead) break;
    process(buffer.subspan(0, got));
    // A short read has emptied the socket; TLS may still hold a record.
    if (got < buffer.size() && !stream_.has_pending()) break;
  }
  if (phase_ != Phase::kEnded && !ending_) wait_readable();
}

void WebSocketConnection::process(std::span<char> input) {
  const bool outermost = !std::exchange(corked_, true);
  while (phase_ == Phase::kOpen || phase_ == Phase::kClosing) {
    const auto event = decoder_.next(input);
    if (event == FrameDecoder::Event::kMore) break;
    const bool open = phase_ == Phase::kOpen;
    switch (event) {
      case FrameDecoder::Event::kText:
        if (open) {
          with_handler(
              [&](gateway::ChannelHandler& handler) { handler.on_frame(decoder_.payload()); });
        }
        break;
      case FrameDecoder::Event::kPing:
        // Pongs that do not fit are left out: only the last one matters (section 5.5.3).
        if (open && queued_bytes() < max_queued_bytes_) queue(Opcode::kPong, decoder_.payload());
        break;
      case FrameDecoder::Event::kClose:
        close_received_ = true;
        if (open) {
          const auto code = decoder_.close_code();
          start_close(code == 1005 ? std::uint16_t{1000} : code, {}, Phase::kClosing);
        }
        input = {};
        break;
      case FrameDecoder::Event::kFailure:
        if (open) {
          base::log_info("websocket_bad_frame", {{"why", decoder_.failure()}});
          start_close(static_cast<std::uint16_t>(CloseCode::kBadFrame),
                      close_name(CloseCode::kBadFrame), Phase::kDiscarding);
        } else {
          phase_ = Phase::kDiscarding;
        }
        break;
      case FrameDecoder::Event::kPong:
      case FrameDecoder::Event::kMore:
        break;
    }
    if (close_received_) break;
  }
  if (outermost) {
    corked_ = false;
    flush_soon();
  }
}

void WebSocketConnection::send(std::string frame) {
  if (phase_ != Phase::kOpen || ending_) return;
  if (frame.size() > max_queued_bytes_ || queued_bytes() > max_queued_bytes_ - frame.size()) {
    shard_.server().metrics.slow_readers.add();
    close(CloseCode::kSlow);
    return;
  }
  queue(Opcode::kText, frame);
}

void WebSocketConnection::queue(Opcode opcode, std::string_view payload) {
  if (output_.capacity() < shard_.spare_output().capacity()) output_.swap(shard_.spare_output());
  append_frame(output_, opcode, payload);
  if (!corked_) flush_soon();
}

// Frames that several tasks of one batch write leave together: a system call costs more than a
// frame.
void WebSocketConnection::flush_soon() {
  if (!shard_.gathers_output()) return flush();
  if (!std::exchange(flush_waits_, true)) shard_.flush_later(shared_from_this());
}

void WebSocketConnection::on_gathered() {
  flush_waits_ = false;
  flush();
}

void WebSocketConnection::flush() {
  if (phase_ == Phase::kEnded || ending_ || waiting_writable_) return;
  if (queued_bytes() > 0) {
    std::string_view rest = std::string_view(output_).substr(output_sent_);
    const std::size_t before = rest.size();
    const Status status = stream_.write_all(rest);
    output_sent_ = output_.size() - rest.size();
    if (status == Status::kClosed) {
      end_later();
      return;
    }
    if (status != Status::kOk) {
      // The read side waits for readability already; only a full socket needs a wait of its own.
      if (status == Status::kWantWrite) wait_writable();
      if (phase_ == Phase::kOpen && (!deadline_.armed() || rest.size() < before)) {
        shard_.timers().arm_in(deadline_, kStallTimeout);
      }
      if (output_sent_ > output_.size() / 2) {
        output_.erase(0, output_sent_);
        output_sent_ = 0;
      }
      return;
    }
  }
  // All is sent: lend the memory to the next who writes.
  output_.clear();
  output_sent_ = 0;
  if (output_.capacity() > shard_.spare_output().capacity() && output_.capacity() <= 64 * 1024) {
    output_.swap(shard_.spare_output());
  }
  if (output_.capacity() > std::string().capacity()) std::string().swap(output_);

  if (phase_ == Phase::kOpen) {
    shard_.timers().disarm(deadline_);
  } else if (close_received_) {
    end_later();  // both close frames are through; the server closes first (section 7.1.1)
  } else if (phase_ == Phase::kDiscarding && !std::exchange(fin_sent_, true)) {
    stream_.shutdown_send();
  }
}

void WebSocketConnection::close(CloseCode code) {
  start_close(static_cast<std::uint16_t>(code), close_name(code), Phase::kClosing);
}

void WebSocketConnection::close_normally() { start_close(1000, {}, Phase::kClosing); }

void WebSocketConnection::start_close(std::uint16_t code, std::string_view reason, Phase next) {
  if (phase_ != Phase::kOpen || ending_) return;
  phase_ = next;
  shard_.timers().disarm(handler_timer_);
  shard_.timers().arm_in(deadline_, kCloseTimeout);
  queue(Opcode::kClose, close_payload(code, reason));
}

void WebSocketConnection::on_deadline() {
  const auto self = shared_from_this();
  if (phase_ == Phase::kOpen) {
    shard_.server().metrics.slow_readers.add();
    close(CloseCode::kSlow);
  } else {
    end();
  }
}

void WebSocketConnection::end_later() {
  if (std::exchange(ending_, true)) return;
  boost::asio::post(shard_.context().get_executor(), [self = shared_from_this()] { self->end(); });
}

void WebSocketConnection::end() {
  if (phase_ == Phase::kEnded) return;
  const auto self = weak_from_this().lock();  // closing drops the waits that keep us alive
  phase_ = Phase::kEnded;
  shard_.timers().disarm(handler_timer_);
  shard_.timers().disarm(deadline_);
  ConnectionHook::unlink();
  stream_.close();
  if (const auto handler = std::move(handler_)) {
    try {
      handler->on_closed();
    } catch (const std::exception& escaped) {
      base::log_error("channel_handler_failed", {{"what", escaped.what()}});
    }
  }
}

void WebSocketConnection::on_stop() { end(); }

}  // namespace countersign::net

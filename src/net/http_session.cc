#include "net/http_session.h"

#include <algorithm>
#include <exception>
#include <optional>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "net/client_address.h"
#include "net/connection.h"
#include "net/held_answer.h"
#include "net/response_writer.h"
#include "net/shard_impl.h"
#include "net/timer_wheel.h"
#include "net/upgrade.h"
#include "net/websocket_connection.h"
#include "net/websocket_handshake.h"
#include "net/workspace.h"

namespace countersign::net {
namespace {

using namespace std::chrono_literals;
using Status = Stream::Status;

constexpr auto kAwait =
    boost::asio::as_tuple(boost::asio::use_awaitable_t<boost::asio::io_context::executor_type>());

/// Requests of one connection that are served before others of the shard get their turn.
constexpr std::uint8_t kRequestsPerTurn = 16;
/// How long a refused connection may take to say what it wants.
constexpr std::chrono::milliseconds kRefusalTimeout = 2s;
/// How long a fresh connection may take for its first request once the server drains.
constexpr std::chrono::milliseconds kDrainGrace = 1s;
// After an answer that leaves input unread, closing at once would make the kernel send a reset,
// which can destroy the answer on its way. So the end is announced and input dropped for a while.
constexpr std::chrono::milliseconds kLingerTimeout = 5s;
constexpr std::size_t kLingerBytes = 16 * 1024 * 1024;

class HttpSession final : public Connection, private TimerWheel::Timer {
 public:
  HttpSession(ShardImpl& shard, Stream stream, IpAddress peer, Admission admission)
      : shard_(shard), stream_(std::move(stream)), peer_(peer), admission_(std::move(admission)) {
    shard_.connections().push_back(*this);
  }
  ~HttpSession() override {
    release_workspace();
    if (!handed_over_) shard_.note_closed();
  }

  Awaitable<void> run();

  void on_drain() override;
  void on_drain_late() override {}
  void on_stop() override;

 private:
  enum class Stage : std::uint8_t {
    kHandshake,
    kIdle,
    kHead,
    kBody,
    kHandler,
    kHeld,
    kWrite,
    kLinger
  };
  enum class Step : std::uint8_t { kDone, kFailed, kClosed, kWantRead, kWantWrite };

  void on_expired() override;
  void enter(Stage stage, std::chrono::milliseconds limit);
  void release_workspace();
  static Step step_of(Status status);

  Awaitable<bool> shake_hands();
  void begin_request();
  Step read_head();
  Step begin_body();
  Awaitable<Step> read_body();
  Awaitable<Response> answer_request();
  Awaitable<bool> hold(Response& response);
  Step take_early_input();
  Awaitable<bool> become_websocket();
  Awaitable<bool> send(Response response, bool keep_alive);
  Awaitable<bool> write(std::string_view text);
  Awaitable<void> linger();
  Response refusal(ErrorCode code) const {
    return shard_.server().refusal(code, head_known_ ? &workspace_->request : nullptr);
  }
  bool draining() const { return shard_.server().draining.load(std::memory_order_relaxed); }

  ShardImpl& shard_;
  Stream stream_;
  const IpAddress peer_;
  Admission admission_;
  std::unique_ptr<Workspace> workspace_;
  std::size_t input_used_ = 0;  ///< bytes of the input that belong to the present request
  std::size_t body_limit_ = 0;
  ErrorCode fault_ = ErrorCode::kMalformedRequest;  ///< why a step failed
  Stage stage_ = Stage::kHandshake;
  bool head_known_ = false;    ///< the workspace holds the head of the present request
  bool http11_ = true;         ///< the present request's version
  bool head_only_ = false;     ///< it was HEAD
  bool wants_more_ = false;    ///< its sender wants to keep the connection
  bool served_ = false;        ///< at least one request
  std::uint8_t in_a_row_ = 0;  ///< requests served since the session last waited
  bool expired_ = false;       ///< the stage's time is over
  bool closing_ = false;       ///< somebody wants the connection gone
  bool handed_over_ = false;
};

void HttpSession::enter(Stage stage, std::chrono::milliseconds limit) {
  stage_ = stage;
  shard_.timers().arm_in(*this, limit);
}

void HttpSession::on_expired() {
  expired_ = true;
  stream_.cancel();
}

void HttpSession::on_drain() {
  if (stage_ == Stage::kHeld) return on_expired();
  if (stage_ == Stage::kLinger || (stage_ == Stage::kIdle && served_ && !stream_.readable())) {
    closing_ = true;
    stream_.cancel();
  } else if (stage_ == Stage::kIdle && !served_) {
    shard_.timers().arm_in(*this, kDrainGrace);
  }
}

void HttpSession::on_stop() {
  closing_ = true;
  ConnectionHook::unlink();
  stream_.close();
}

void HttpSession::release_workspace() {
  if (workspace_) shard_.workspaces().give_back(std::move(workspace_));
}

HttpSession::Step HttpSession::step_of(Status status) {
  switch (status) {
    case Status::kOk:
      return Step::kDone;
    case Status::kWantRead:
      return Step::kWantRead;
    case Status::kWantWrite:
      return Step::kWantWrite;
    case Status::kClosed:
      break;
  }
  return Step::kClosed;
}

Awaitable<void> HttpSession::run() {
  if (stream_.tls()) {
    const bool shaken = co_await shake_hands();
    if (!shaken) co_return;
  }
  for (;;) {
    begin_request();
    Step step = workspace_ || stream_.has_pending() ? read_head() : Step::kWantRead;
    const bool waited = step == Step::kWantRead || step == Step::kWantWrite;
    while (step == Step::kWantRead || step == Step::kWantWrite) {
      co_await stream_.wait(step == Step::kWantRead ? Status::kWantRead : Status::kWantWrite,
                            kAwait);
      if (closing_) co_return;
      if (expired_ && stage_ == Stage::kIdle) co_return;
      if (expired_) {
        fault_ = ErrorCode::kRequestTimeout;
        step = Step::kFailed;
      } else {
        step = read_head();
      }
    }
    if (step == Step::kClosed) co_return;
    if (!waited) {
      // Whoever sends requests without end is served without a wait: the others' turn comes first.
      if (++in_a_row_ >= kRequestsPerTurn) {
        in_a_row_ = 0;
        co_await boost::asio::post(shard_.context().get_executor(), kAwait);
        if (closing_ || expired_) co_return;
      }
    } else {
      in_a_row_ = 0;
    }
    shard_.timers().disarm(*this);
    stage_ = Stage::kHandler;
    http11_ = workspace_->parser.http11();
    wants_more_ = workspace_->parser.keep_alive();

    Request& request = workspace_->request;
    shard_.make_request_id(request.id);
    if (step == Step::kDone) {
      input_used_ = workspace_->parser.head_size();
      head_known_ = true;
      head_only_ = request.method == "HEAD";
      request.peer = peer_;
      resolve_client(request, stream_.tls(), shard_.server().options.trusted_proxies);
      if (is_upgrade(shard_.server(), request)) {
        const bool goes_on = co_await become_websocket();
        if (!goes_on) co_return;
        continue;
      }
      if (admission_.refused()) {
        fault_ = ErrorCode::kTooManyConnections;
        step = Step::kFailed;
      } else if (workspace_->parser.has_body()) {
        step = begin_body();
        if (step == Step::kWantRead) step = co_await read_body();
        if (step == Step::kClosed) co_return;
      }
    }

    if (step == Step::kFailed) {
      const bool sent = co_await send(refusal(fault_), false);
      if (sent) co_await linger();
      co_return;
    }
    request.body = workspace_->body;
    shard_.timers().disarm(*this);
    stage_ = Stage::kHandler;
    Response response = co_await answer_request();
    if (response.held) {
      const bool answered = co_await hold(response);
      if (!answered) co_return;
    }
    const bool keep_alive = wants_more_ && !response.close && !draining();
    const bool sent = co_await send(std::move(response), keep_alive);
    if (!sent) co_return;
    if (!keep_alive) {
      // Who asked for the end has sent all they wanted.
      if (wants_more_) co_await linger();
      co_return;
    }
    served_ = true;
  }
}

Awaitable<bool> HttpSession::shake_hands() {
  enter(Stage::kHandshake, shard_.limits().handshake_timeout);
  Status status = stream_.handshake();
  while (status == Status::kWantRead || status == Status::kWantWrite) {
    co_await stream_.wait(status, kAwait);
    if (expired_ || closing_) co_return false;
    status = stream_.handshake();
  }
  if (status == Status::kOk) co_return true;
  shard_.server().metrics.tls_failures.add();
  if (stream_.peer_spoke_http()) {
    std::string answer;
    std::string id;
    shard_.make_request_id(id);
    ResponseFrame frame;
    frame.keep_alive = false;
    frame.date = shard_.date();
    frame.request_id = id;
    if (append_response(answer, refusal(ErrorCode::kMalformedRequest), frame)) {
      stream_.write_plain(answer);
      co_await linger();
    }
  }
  co_return false;
}

/// Leaves the last request behind and starts to wait for the next.
void HttpSession::begin_request() {
  if (workspace_) {
    Workspace& w = *workspace_;
    w.input.consume(input_used_);
    if (!w.pipelined.empty()) {
      w.input.append(w.pipelined);
      w.pipelined.clear();
    }
    w.body.clear();
    w.parser.reset();
    if (!w.holds_input()) release_workspace();
  }
  input_used_ = 0;
  head_known_ = false;
  head_only_ = false;
  const auto& limits = shard_.limits();
  if (admission_.refused()) {
    enter(Stage::kIdle, std::min(kRefusalTimeout, limits.header_timeout));
  } else {
    enter(Stage::kIdle, served_ ? limits.idle_timeout : limits.header_timeout);
  }
}

/// Reads until a head is complete, or says what to wait for.
HttpSession::Step HttpSession::read_head() {
  if (!workspace_) workspace_ = shard_.workspaces().take();
  Workspace& w = *workspace_;
  for (;;) {
    if (!w.input.empty()) {
      const auto progress = w.parser.parse_head(w.input.data(), w.request);
      if (progress == RequestParser::Progress::kDone) return Step::kDone;
      if (progress == RequestParser::Progress::kFailed) {
        fault_ = w.parser.error();
        return Step::kFailed;
      }
    }
    std::size_t got = 0;
    const Status status = stream_.read_some(w.input.prepare(), got);
    if (status == Status::kOk) {
      w.input.commit(got);
      continue;
    }
    if (w.input.empty()) {
      release_workspace();  // an idle connection owns none
    } else if (stage_ == Stage::kIdle && !admission_.refused()) {
      enter(Stage::kHead, shard_.limits().header_timeout);
    } else {
      stage_ = Stage::kHead;
    }
    return step_of(status);
  }
}

/// Takes what came of the body together with the head. kWantRead if there is more to come.
HttpSession::Step HttpSession::begin_body() {
  Workspace& w = *workspace_;
  body_limit_ = shard_.server().handler.body_limit(w.request.method, w.request.path);
  const auto rest = w.input.data().subspan(input_used_);
  std::size_t consumed = 0;
  const auto progress = w.parser.parse_body(std::string_view(rest.data(), rest.size()), body_limit_,
                                            w.body, consumed);
  input_used_ += consumed;
  if (progress == RequestParser::Progress::kDone) return Step::kDone;
  if (progress == RequestParser::Progress::kFailed) {
    fault_ = w.parser.error();
    return Step::kFailed;
  }
  return Step::kWantRead;
}

Awaitable<HttpSession::Step> HttpSession::read_body() {
  Workspace& w = *workspace_;
  if (w.parser.expects_continue() && w.body.empty()) {
    const bool sent = co_await write("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return Step::kClosed;
  }
  enter(Stage::kBody, shard_.limits().body_timeout);
  for (;;) {
    // Through the shard's buffer: the head's views must not move. Never past the end of a body
    // whose length is known.
    auto buffer = shard_.read_buffer();
    if (!w.parser.chunked() && w.parser.remaining() < buffer.size()) {
      buffer = buffer.subspan(0, static_cast<std::size_t>(w.parser.remaining()));
    }
    std::size_t got = 0;
    const Status status = stream_.read_some(buffer, got);
    if (status == Status::kClosed) co_return Step::kClosed;
    if (status != Status::kOk) {
      co_await stream_.wait(status, kAwait);
      if (closing_) co_return Step::kClosed;
      if (expired_) {
        fault_ = ErrorCode::kRequestTimeout;
        co_return Step::kFailed;
      }
      continue;
    }
    std::size_t consumed = 0;
    const auto progress =
        w.parser.parse_body(std::string_view(buffer.data(), got), body_limit_, w.body, consumed);
    if (progress == RequestParser::Progress::kFailed) {
      fault_ = w.parser.error();
      co_return Step::kFailed;
    }
    if (progress == RequestParser::Progress::kDone) {
      w.pipelined.assign(buffer.data() + consumed, got - consumed);
      co_return Step::kDone;
    }
  }
}

Awaitable<Response> HttpSession::answer_request() {
  Request& request = workspace_->request;
  try {
    co_return co_await shard_.server().handler.handle(request, shard_);
  } catch (const std::exception& escaped) {
    base::log_error("request_failed", {{"request_id", request.id}, {"what", escaped.what()}});
  } catch (...) {
    base::log_error("request_failed", {{"request_id", request.id}});
  }
  co_return refusal(ErrorCode::kInternal);
}

/// Waits for an answer that is held, and puts it in `response`. False if the client is gone.
Awaitable<bool> HttpSession::hold(Response& response) {
  struct Sink final : AnswerSink {
    explicit Sink(HttpSession& owner) : session(owner) {}
    void answer(Response given) override {
      if (response) return;
      response = std::move(given);
      session.stream_.cancel();
    }
    HttpSession& session;
    std::optional<Response> response;
  };
  const std::string id = workspace_->request.id;
  head_known_ = false;
  workspace_->input.consume(input_used_);
  input_used_ = 0;
  workspace_->input.append(workspace_->pipelined);
  workspace_->pipelined.clear();
  workspace_->body.clear();
  if (!workspace_->holds_input()) release_workspace();

  Sink sink(*this);  // outlives what may call it
  const std::shared_ptr<HeldAnswer> held = std::move(response.held);
  enter(Stage::kHeld, held->limit());
  held->begin(sink);
  if (draining()) on_expired();
  Step step = Step::kWantRead;
  while (!sink.response) {
    if (expired_) {
      sink.answer(held->give_up());
      break;
    }
    co_await stream_.wait(step == Step::kWantWrite ? Status::kWantWrite : Status::kWantRead,
                          kAwait);
    if (closing_) co_return false;
    if (sink.response || expired_) continue;
    step = take_early_input();
    if (step == Step::kClosed) co_return false;
  }
  expired_ = false;
  shard_.timers().disarm(*this);
  stage_ = Stage::kHandler;
  response = std::move(*sink.response);
  if (!workspace_) workspace_ = shard_.workspaces().take();
  workspace_->request.id = id;
  co_return true;
}

/// Reads what a client sends while its answer is held: the next request at most.
HttpSession::Step HttpSession::take_early_input() {
  std::size_t got = 0;
  const auto buffer = shard_.read_buffer();
  const Status status = stream_.read_some(buffer, got);
  if (status != Status::kOk) return step_of(status);
  if (!workspace_) workspace_ = shard_.workspaces().take();
  InputBuffer& input = workspace_->input;
  if (input.data().size() + got > shard_.limits().max_header_bytes) return Step::kClosed;
  input.append(std::string_view(buffer.data(), got));
  return Step::kWantRead;
}

/// True if the connection goes on as HTTP.
Awaitable<bool> HttpSession::become_websocket() {
  Workspace& w = *workspace_;
  WebSocketDoor::Decision decision = Response();
  bool decided = false;
  auto handshake = accept_websocket(w.request, {});
  if (!handshake) {
    decision = refusal(handshake.code());
    if (handshake.code() == ErrorCode::kUpgradeRequired) {
      std::get<Response>(decision).set("sec-websocket-version", "13");
    }
  } else if (w.parser.has_body()) {
    decision = refusal(ErrorCode::kMalformedRequest);
  } else {
    decision = decide_upgrade(shard_, w.request, admission_);
    decided = true;
  }

  if (auto* const response = std::get_if<Response>(&decision)) {
    const bool keep_alive = decided && wants_more_ && !response->close && !draining();
    const bool sent = co_await send(std::move(*response), keep_alive);
    if (sent && !keep_alive) co_await linger();
    served_ = true;
    co_return sent&& keep_alive;
  }

  auto* const accept = std::get_if<WebSocketDoor::Accept>(&decision);
  auto* const refuse = std::get_if<WebSocketDoor::RefuseAfterHandshake>(&decision);
  handshake = accept_websocket(w.request, accept ? accept->subprotocol : refuse->subprotocol);
  const bool sent = co_await send(std::move(*handshake), true);
  if (!sent) co_return false;
  shard_.timers().disarm(*this);
  handed_over_ = true;
  ConnectionHook::unlink();
  if (accept != nullptr) {
    WebSocketConnection::serve(shard_, std::move(stream_), std::move(admission_),
                               std::move(*accept), w.input.data().subspan(input_used_));
  } else {
    WebSocketConnection::refuse(shard_, std::move(stream_), std::move(admission_), refuse->code);
  }
  co_return false;
}

/// Sends an answer. False if the connection is of no further use.
Awaitable<bool> HttpSession::send(Response response, bool keep_alive) {
  Workspace& w = *workspace_;
  ResponseFrame frame;
  frame.http11 = http11_;
  frame.keep_alive = keep_alive;
  frame.head_only = head_only_;
  frame.date = shard_.date();
  frame.request_id = w.request.id;
  w.output.clear();
  if (!append_response(w.output, response, frame)) {
    base::log_error("response_field_malformed", {{"request_id", w.request.id}});
    response = Response();
    response.status = 500;
    w.output.clear();
    if (!append_response(w.output, response, frame)) co_return false;
  }
  const auto status_class = static_cast<std::size_t>(std::clamp(response.status / 100, 1, 5));
  shard_.server().metrics.requests[status_class - 1]->add();

  std::string_view rest = w.output;
  Status status = stream_.write_all(rest);
  if (status != Status::kOk) {
    const bool sent = status != Status::kClosed && co_await write(rest);
    if (!sent) co_return false;
  }
  if (sends_body(response, frame) && response.body.size() > kFlatBodyBytes) {
    const bool sent = co_await write(response.body);
    if (!sent) co_return false;
  }
  co_return true;
}

/// Writes all of `text`, which must stay where it is, within the time a write may take.
Awaitable<bool> HttpSession::write(std::string_view text) {
  Status status = stream_.write_all(text);
  if (status == Status::kOk) co_return true;
  enter(Stage::kWrite, shard_.limits().write_timeout);
  while (status == Status::kWantRead || status == Status::kWantWrite) {
    co_await stream_.wait(status, kAwait);
    if (expired_ || closing_) co_return false;
    status = stream_.write_all(text);
  }
  shard_.timers().disarm(*this);
  co_return status == Status::kOk;
}

Awaitable<void> HttpSession::linger() {
  release_workspace();
  expired_ = false;
  stream_.shutdown_send();
  enter(Stage::kLinger, kLingerTimeout);
  std::size_t dropped = 0;
  while (dropped < kLingerBytes) {
    std::size_t got = 0;
    const Status status = stream_.discard_some(shard_.read_buffer(), got);
    dropped += got;
    if (status == Status::kClosed) co_return;
    if (status == Status::kOk) continue;
    co_await stream_.wait(status, kAwait);
    if (expired_ || closing_) co_return;
  }
}

}  // namespace

Awaitable<void> serve_http(ShardImpl& shard, Stream stream, IpAddress peer, Admission admission) {
  if (admission.refused()) {
    auto& metrics = shard.server().metrics;
    const bool total = admission.kind() == Admission::Kind::kTotalReached;
    (total ? metrics.refused_total : metrics.refused_address).add();
  }
  HttpSession session(shard, std::move(stream), peer, std::move(admission));
  co_await session.run();
}

}  // namespace countersign::net

#include "web/classic/classic_plane.h"

#include <memory>
#include <utility>
#include <variant>

#include "net/held_answer.h"
#include "net/server.h"
#include "protocol/classic_paths.h"
#include "web/classic/classic_answers.h"

namespace countersign::web::classic {
namespace {

using gateway::classic::ClassicGateway;
using gateway::classic::Polled;
using std::chrono::milliseconds;

/// What errors name as their service, by the path's first segment.
std::string_view service_of(std::string_view path) {
  if (path.starts_with("/publish")) return "Publish";
  if (path.starts_with("/subscribe")) return "Subscribe";
  if (path.starts_with("/v2")) return "Presence";
  return "Time";
}

/// A poll. Its client may go at any time, and then the gateway forgets it.
class HeldPoll final : public net::HeldAnswer {
 public:
  HeldPoll(ClassicGateway& gateway, net::Shard& shard, milliseconds limit,
           protocol::ClassicSubscribe request)
      : gateway_(gateway), shard_(shard), limit_(limit), timetoken_(request.timetoken) {
    // The request is needed once, at the beginning.
    request_ = std::make_unique<protocol::ClassicSubscribe>(std::move(request));
  }
  ~HeldPoll() override { cancel(); }
  HeldPoll(const HeldPoll&) = delete;
  HeldPoll& operator=(const HeldPoll&) = delete;

  milliseconds limit() const override { return limit_; }

  void begin(net::AnswerSink& sink) override {
    poll_ = gateway_.subscribe(shard_.index(), shard_, std::move(*request_),
                               [this, &sink](Result<Polled> polled) {
                                 poll_ = 0;
                                 sink.answer(answer_to(polled));
                               });
    request_.reset();
  }

  net::Response give_up() override {
    cancel();
    // The SDK comes again with the same token. One that asks for the present has none yet.
    if (timetoken_ == 0) return plane_error(ErrorCode::kNotReady, "Subscribe");
    return plane_answer(protocol::encode_poll_answer({}, timetoken_));
  }

 private:
  static net::Response answer_to(const Result<Polled>& polled) {
    if (!polled) return plane_error(polled.code(), "Subscribe");
    return plane_answer(protocol::encode_poll_answer(polled->items, polled->timetoken));
  }
  void cancel() {
    if (poll_ != 0) gateway_.cancel(shard_.index(), poll_);
    poll_ = 0;
  }

  ClassicGateway& gateway_;
  net::Shard& shard_;
  const milliseconds limit_;
  const std::uint64_t timetoken_;
  std::unique_ptr<protocol::ClassicSubscribe> request_;
  gateway::classic::PollId poll_ = 0;
};

/// A publish on its way to its commit. It goes on without its client, who will repeat it.
class HeldPublish final : public net::HeldAnswer {
 public:
  HeldPublish(ClassicGateway& gateway, net::Shard& shard, milliseconds limit,
              protocol::ClassicPublish request)
      : gateway_(gateway), shard_(shard), limit_(limit), request_(std::move(request)) {}
  ~HeldPublish() override {
    if (sink_) *sink_ = nullptr;
  }
  HeldPublish(const HeldPublish&) = delete;
  HeldPublish& operator=(const HeldPublish&) = delete;

  milliseconds limit() const override { return limit_; }

  void begin(net::AnswerSink& sink) override {
    sink_ = std::make_shared<net::AnswerSink*>(&sink);
    gateway_.publish(shard_.index(), shard_, std::move(request_),
                     [place = sink_](Result<std::uint64_t> sent) {
                       if (*place == nullptr) return;
                       (*place)->answer(sent ? plane_answer(protocol::encode_sent_answer(*sent))
                                             : plane_error(sent.code(), "Publish"));
                     });
  }

  net::Response give_up() override { return plane_error(ErrorCode::kOverloaded, "Publish"); }

 private:
  ClassicGateway& gateway_;
  net::Shard& shard_;
  const milliseconds limit_;
  protocol::ClassicPublish request_;
  std::shared_ptr<net::AnswerSink*> sink_;
};

/// A refusal that takes its time.
class LateRefusal final : public net::HeldAnswer {
 public:
  LateRefusal(milliseconds delay, ErrorCode code, std::string_view service)
      : delay_(delay), code_(code), service_(service) {}

  milliseconds limit() const override { return delay_; }
  void begin(net::AnswerSink&) override {}
  net::Response give_up() override { return plane_error(code_, service_); }

 private:
  const milliseconds delay_;
  const ErrorCode code_;
  const std::string_view service_;
};

template <class Held, class... Arguments>
net::Response held(Arguments&&... arguments) {
  net::Response response;
  response.held = std::make_shared<Held>(std::forward<Arguments>(arguments)...);
  return response;
}

}  // namespace

net::Response ClassicPlane::refuse(std::string_view path, ErrorCode code) {
  return plane_error(code, service_of(path));
}

net::Response ClassicPlane::answer(const net::Request& request, net::Shard& shard) const {
  Result<protocol::ClassicRequest> parsed = protocol::parse_classic_path(request.path);
  if (!parsed) {
    const std::string_view service = service_of(request.path);
    const bool poll = service == "Subscribe";
    return held<LateRefusal>(poll ? options_.poll_refusal : options_.other_refusal, parsed.code(),
                             service);
  }
  if (auto* const subscribe = std::get_if<protocol::ClassicSubscribe>(&*parsed)) {
    return held<HeldPoll>(gateway_, shard, options_.poll_limit, std::move(*subscribe));
  }
  if (auto* const publish = std::get_if<protocol::ClassicPublish>(&*parsed)) {
    return held<HeldPublish>(gateway_, shard, options_.publish_limit, std::move(*publish));
  }
  if (const auto* const leave = std::get_if<protocol::ClassicLeave>(&*parsed)) {
    gateway_.leave(*leave);
    return plane_answer(protocol::encode_leave_answer());
  }
  return plane_answer(protocol::encode_time_answer(gateway_.time()));
}

}  // namespace countersign::web::classic

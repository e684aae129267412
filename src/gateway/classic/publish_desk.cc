#include "gateway/classic/publish_desk.h"

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"

namespace countersign::gateway::classic {
namespace {

constexpr std::size_t kMaxRecent = 8'192;
constexpr std::string_view kMessageType = "msg";
// The desks answer by number; a classic client asks one thing at a time.
constexpr std::uint32_t kRequest = 1;

auto refuse(ErrorCode code, std::string_view why) { return fail(code, std::string(why)); }

// What a frame is, whatever channel it came on.
std::string name_of(const base::InstanceId& publisher, const protocol::MxpFrame& frame) {
  std::string text = publisher.text() + "\n" + frame.session + "\n" + frame.mark + "\n" +
                     std::to_string(frame.index) + "\n" + frame.transport + "\n" + frame.payload;
  return base::to_string(base::sha256(text));
}

}  // namespace

bool RecentFrames::holds(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return names_.contains(name);
}

void RecentFrames::add(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto [row, made] = names_.insert(name);
  if (!made) return;
  order_.push_back(&*row);
  if (order_.size() <= max_) return;
  names_.erase(names_.find(*order_.front()));
  order_.pop_front();
}

// A frame on its way.
struct PublishDesk::Incoming {
  LiveInstance instance;
  SharedTransport transport;
  protocol::MxpFrame frame;
  std::string channel;
  std::string name;
};

PublishDesk::PublishDesk(ClassicContext& context) : context_(context), recent_(kMaxRecent) {}

void PublishDesk::publish(const base::InstanceId& publisher,
                          const protocol::ClassicPublish& request, const Done& done) {
  if (context_.fenced()) return done(refuse(ErrorCode::kOverloaded, "fenced"));
  auto instance = context_.book.find(publisher);
  if (!instance) return done(refuse(plane_code(instance.code()), instance.error().detail));
  auto frame = protocol::parse_mxp_frame(request.message);
  if (!frame) return done(frame.failure());
  if (frame->transport.empty()) return done(refuse(ErrorCode::kNotAvailable, "calls"));

  auto incoming = std::make_shared<Incoming>();
  incoming->instance = *std::move(instance);
  incoming->frame = *std::move(frame);
  incoming->channel = request.channel;
  auto transport = context_.transports.find(ClassicContext::user(*incoming->instance),
                                            incoming->frame.transport);
  if (!transport) {
    const bool hidden = transport.code() == ErrorCode::kAbsent;
    return done(hidden ? refuse(ErrorCode::kPermissionDenied, "transport") : transport.failure());
  }
  incoming->transport = *std::move(transport);
  if (incoming->transport->owner(request.channel) == incoming->transport->members.size()) {
    return done(refuse(ErrorCode::kPermissionDenied, "channel"));
  }
  incoming->name = name_of(publisher, incoming->frame);
  if (recent_.holds(incoming->name)) return done({});
  if (context_.requests.take(publisher.text(), 1, context_.clock.steady())) {
    return done(refuse(ErrorCode::kTooManyRequests, "frames"));
  }
  if (incoming->frame.count == 1) return open(incoming, incoming->frame.payload, done);

  const protocol::MxpFrame& part = incoming->frame;
  auto whole = context_.classic.add_part({publisher, part.session, part.mark, part.index,
                                          part.count, part.payload, context_.clock.now()},
                                         {});
  if (!whole) return done(whole.failure());
  if (*whole) return open(incoming, **whole, done);
  recent_.add(incoming->name);
  context_.published.add();
  done({});
}

// The receiver believes what the frame says of its sender, so it has to be true.
Result<void> PublishDesk::check_sender(const Incoming& incoming,
                                       const protocol::MxpMessage& message) const {
  const storage::Instance& instance = *incoming.instance;
  const std::string own = context_.keys.transport_channel(ClassicContext::user(instance));
  const bool honest = message.user == instance.identity.endpoint &&
                      message.instance.starts_with(instance.id.text() + ":") &&
                      message.device == instance.id.text() && message.channel == own;
  if (honest) return {};
  base::log_warning("classic_forgery_refused", {{"instance", instance.id.text()}});
  return refuse(ErrorCode::kPermissionDenied, "the sender is another");
}

void PublishDesk::open(std::shared_ptr<Incoming> incoming, std::string_view payload,
                       const Done& done) {
  const auto text = protocol::decrypt_mxp(incoming->transport->key, payload);
  if (!text) return done(text.failure());
  const auto message = protocol::decode_mxp_message(*text);
  if (!message) return done(message.failure());
  if (auto honest = check_sender(*incoming, *message); !honest) return done(honest.failure());
  if (message->type != kMessageType) return done(refuse(ErrorCode::kBadRequest, "body type"));
  if (message->code == protocol::kMxpText) return send(incoming, *message, done);
  if (message->code == protocol::kMxpReceipt) return acknowledge(incoming, done);
  done(refuse(ErrorCode::kBadRequest, "message code"));
}

void PublishDesk::send(const std::shared_ptr<Incoming>& incoming,
                       const protocol::MxpMessage& message, const Done& done) {
  auto body = protocol::body_of_mxp_text(message.body, message.headers);
  if (!body) return done(body.failure());
  protocol::Send command;
  command.msg_id = incoming->frame.session;
  command.body = *std::move(body);
  const Transport& transport = *incoming->transport;
  if (transport.group) {
    command.to.id = transport.conversation;
  } else {
    command.to.users = transport.members;
    std::sort(command.to.users.begin(), command.to.users.end(), protocol::ordered_before);
    if (command.to.users.size() > 1) std::erase(command.to.users, incoming->instance->identity);
  }
  Reply reply = [this, incoming, done, call = context_.calls.begin()](Result<std::string> frame) {
    if (!frame) return done(frame.failure());
    if (const auto code = protocol::error_of_reply(*frame)) {
      const bool over = *code == ErrorCode::kUnauthorized;
      if (over) context_.book.strike_all();  // the store knows better
      return done(refuse(*code, "send"));
    }
    recent_.add(incoming->name);
    context_.published.add();
    done({});
    if (incoming->frame.count == 1) return;
    // Its parts are not needed any more; if this fails they go when they have been idle.
    (void)context_.tasks.try_submit([this, incoming, again = context_.calls.begin()] {
      (void)context_.classic.drop_parts(incoming->instance->id, incoming->frame.session,
                                        incoming->frame.mark);
    });
  };
  context_.messaging.ask(context_.client(*incoming->instance), ConnectionId(), kRequest,
                         std::move(command), std::move(reply));
}

void PublishDesk::acknowledge(const std::shared_ptr<Incoming>& incoming, const Done& done) {
  const Transport& transport = *incoming->transport;
  const Identity& sender = transport.members[transport.owner(incoming->channel)];
  if (context_.receipts.knows(incoming->instance->id)) return note_receipt(incoming, sender, done);
  context_.open_device(incoming->instance, false,
                       [this, incoming, sender, done](const Result<storage::Attached>& attached) {
                         if (!attached) return done(attached.failure());
                         note_receipt(incoming, sender, done);
                       });
}

void PublishDesk::note_receipt(const std::shared_ptr<Incoming>& incoming, const Identity& sender,
                               const Done& done) {
  const base::InstanceId& id = incoming->instance->id;
  const std::string& session = incoming->frame.session;
  auto noted = context_.receipts.receipt(id, sender, session, context_.clock.steady());
  // Another node may have delivered what this one has not read yet.
  while (!noted.found) {
    const auto after = context_.receipts.known_until(id);
    if (!after) break;
    const auto more =
        context_.reader.unreceipted(ClassicContext::user(*incoming->instance), *after);
    if (!more) return done(more.failure());
    if (more->until == *after) break;
    context_.receipts.add(id, *more, context_.clock.steady());
    noted = context_.receipts.receipt(id, sender, session, context_.clock.steady());
  }
  recent_.add(incoming->name);
  context_.published.add();
  if (!noted.move) return done({});
  context_.store(incoming->instance, *noted.move, done);
}

}  // namespace countersign::gateway::classic
